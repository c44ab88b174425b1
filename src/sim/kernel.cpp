#include "sim/kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace espquant::sim {

std::byte* Scratch::get(std::size_t bytes, std::size_t slot) {
  if (slot >= slots_.size()) slots_.resize(slot + 1);
  Buffer& buffer = slots_[slot];
  if (buffer.size < bytes) {
    buffer.bytes.reset();
    buffer.bytes = allocate_bytes(bytes);
    buffer.size = bytes;
  }
  return buffer.bytes.get();
}

std::span<std::byte> Workspace::state(const void* kernel, std::size_t bytes) {
  auto entry = std::find_if(states_.begin(), states_.end(),
                            [&](const auto& keyed) { return keyed.first == kernel; });
  if (entry == states_.end()) {
    states_.emplace_back(kernel, Buffer{allocate_bytes(bytes), bytes});
    entry = std::prev(states_.end());
    std::memset(entry->second.bytes.get(), 0, bytes);
  }
  ESPQUANT_ASSERT(entry->second.size == bytes, "a kernel's state changed its size");
  return {entry->second.bytes.get(), bytes};
}

void Workspace::reset() {
  for (auto& [kernel, buffer] : states_) std::memset(buffer.bytes.get(), 0, buffer.size);
}

const TensorDesc& NodeContext::input(std::size_t i) const {
  if (!has_input(i))
    throw Error(ErrorCode::Malformed,
                fmt::format("{} needs input {}, which is not given", node.op, i))
        .node(node.name)
        .remedy("Export the model again");
  return inputs[i];
}

const espdl::Constant& NodeContext::constant(std::size_t i) const {
  input(i);
  if (constants[i] == nullptr)
    throw Error(ErrorCode::Unsupported,
                fmt::format("{} needs its input {} to be constant", node.op, i))
        .node(node.name)
        .tensor(node.inputs[i])
        .remedy("Make it an initializer of the model");
  return *constants[i];
}

}  // namespace espquant::sim
