#pragma once

#include <cstddef>
#include <span>
#include <vector>

/// Buffers of the simulator itself (the chip's plan is cost/'s business): tensors that are never
/// alive together share bytes, so that a frame stays in the cache.
namespace espquant::sim {

/// A tensor of `size` bytes that is written at step `begin` and last read at step `end`.
struct Lifetime {
  std::size_t size = 0, begin = 0, end = 0;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;
  std::size_t size = 0;
};

/// `bytes` rounded up to the 64-byte grid on which buffers start.
std::size_t aligned_size(std::size_t bytes);

/// Best fit in order of steps; tensors alive in the same step never overlap.
MemoryPlan plan_buffers(std::span<const Lifetime> tensors);

}  // namespace espquant::sim
