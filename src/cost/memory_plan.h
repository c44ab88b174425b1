#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "espdl/model.h"
#include "target/target.h"

namespace espquant::cost {

enum class Memory {
  Internal,  ///< the chip's own RAM
  Psram,     ///< RAM behind the cache
};

std::string_view to_string(Memory memory);

/// What the application chooses when it constructs dl::Model, and what its board has.
struct PlannerOptions {
  /// Empty: as boards with this chip are usually sold (default_has_psram).
  std::optional<bool> has_psram;
  /// Internal RAM that activations may use first, in bytes; a multiple of 16. Only with PSRAM:
  /// without, everything is internal anyway (ESP-DL 5.3). dl::Model's default is 0.
  std::size_t max_internal_size = 0;
  /// Parameters are copied from flash to RAM when the model is loaded (`param_copy`, default true;
  /// ESP-DL 1.3). false: the kernels read them from flash.
  bool copy_parameters = true;
};

bool default_has_psram(const Target& target);

/// Where one activation lies.
struct TensorPlace {
  std::string name;
  std::size_t bytes = 0;
  Memory memory = Memory::Psram;
  std::size_t offset = 0;  ///< in bytes, from the start of that memory's block
  /// Step (index of a node) before which its memory is taken, and that before which it is given
  /// back; `end` is empty for what stays: outputs of the network, and tensors nobody reads.
  std::size_t begin = 0;
  std::optional<std::size_t> end;
  /// The tensor whose memory it shares (directly), empty when it has its own.
  std::string shares;
};

/// A tensor whose elements the runtime destroys while they are still needed.
struct Overwrite {
  std::string tensor;
  std::string node;      ///< that writes over it
  std::size_t step = 0;  ///< the index of that node
};

/// Bytes that a node takes from the heap beside the plan (ESP-DL 5.3, last paragraph).
struct NodeScratch {
  std::size_t per_run = 0;  ///< while it runs
  std::size_t kept = 0;     ///< from its first run on
};

struct MemoryPlan {
  /// In the order of the runtime's records: node by node, inputs before outputs, as first met.
  std::vector<TensorPlace> tensors;
  /// Sizes of the two blocks that the runtime allocates for all activations together.
  std::size_t internal_bytes = 0, psram_bytes = 0;
  /// Constants, each in whole blocks of 16 bytes.
  std::size_t parameter_bytes = 0;
  /// What of those is copied to RAM beside the file in flash: once for each node that reads it.
  std::size_t parameter_copy_bytes = 0;
  /// One per node.
  std::vector<NodeScratch> scratch;
  std::vector<Overwrite> overwrites;

  std::size_t activation_bytes() const { return internal_bytes + psram_bytes; }
  std::size_t kept_scratch_bytes() const;
  std::size_t largest_scratch_bytes() const;
  /// RAM of the loaded and once run model, beside the objects of the runtime itself (some hundred
  /// bytes per node).
  std::size_t ram_bytes() const {
    return activation_bytes() + parameter_copy_bytes + kept_scratch_bytes() +
           largest_scratch_bytes();
  }
};

/// The plan that ESP-DL's only memory manager makes at load time (ESP-DL 5): tensors in order of
/// execution, best fit, in-place operators sharing memory, no reordering. Shapes are taken as the
/// file declares them. Throws Error(Malformed) where a tensor is read that nothing writes or
/// describes, Error(Illegal) where one is 2 GiB or larger, and Error(Usage) on a max_internal_size
/// that is no multiple of 16 (the runtime would let tensors overlap).
MemoryPlan plan_memory(const espdl::Model& model, const Target& target,
                       const PlannerOptions& options = {});

}  // namespace espquant::cost
