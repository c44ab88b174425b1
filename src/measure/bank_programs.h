#pragma once

#include <deque>
#include <span>
#include <vector>

#include "espdl/banks.h"
#include "sim/program.h"

namespace espquant::measure {

/// A model and its banks of exponents, each ready to run, from the quietest on.
class BankPrograms {
 public:
  /// `own`, of the model itself, is the last. Both must outlive this object.
  BankPrograms(const sim::Program& own, const espdl::Banks& banks);
  /// A model without banks.
  explicit BankPrograms(const sim::Program& own) : all_{&own} {}

  std::span<const sim::Program* const> all() const { return all_; }
  const sim::Program& own() const { return *all_.back(); }
  /// The one that computes a frame of these float inputs, by index.
  std::size_t choose(std::span<const Tensor> inputs) const;
  /// The same in a stream, where `before` computed the last frame.
  std::size_t choose(std::span<const Tensor> inputs, std::size_t before) const;

 private:
  const espdl::Banks* banks_ = nullptr;
  std::deque<espdl::Model> models_;
  std::deque<sim::Program> programs_;
  std::vector<const sim::Program*> all_;
};

}  // namespace espquant::measure
