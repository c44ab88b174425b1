#pragma once

#include <cstddef>
#include <vector>

#include "espdl/model.h"
#include "strategy/quantize_model.h"
#include "target/target.h"

namespace espquant::strategy {

/// The bytes of an .espdl that has passed every test which the program knows. Only pass_last_gate()
/// makes one, and only this is written.
class SoundFile {
 public:
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  explicit SoundFile(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  friend SoundFile pass_last_gate(const espdl::Model&, const Target&, const espdl::Model*);

  std::vector<std::byte> bytes_;
};

/// Encodes `model`, reads it back, puts it through every rule of `check` for `target`, plans its
/// memory, and simulates its test values again, bit for bit. Throws Error(Illegal), with node and
/// remedy, where the runtime could not compute it rightly; Error(Internal) where the file would not
/// be what was meant, which is our own fault.
/// `original`: the file of which this is a rewrite, if it is one. What is wrong with that, by the
/// name of the finding, may be wrong with this, and test values that it does not give need not be
/// given.
SoundFile pass_last_gate(const espdl::Model& model, const Target& target,
                         const espdl::Model* original = nullptr);

/// The same for what quantize_model() made. Throws Error(Illegal) also where an output is the same
/// for all samples, though the float network's is not.
SoundFile pass_last_gate(const QuantizedModel& made, const Target& target);

}  // namespace espquant::strategy
