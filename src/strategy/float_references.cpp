#include "strategy/float_references.h"

#include <algorithm>

namespace espquant::strategy {

FloatReferences::FloatReferences(const Graph& graph, const sim::Program& program,
                                 const std::map<std::string, std::vector<std::int64_t>>& order)
    : tensor_of_(graph.value_count(), kAbsent),
      order_(graph.value_count()),
      value_of_(program.tensor_count(), kNone) {
  for (const auto& [name, axes] : order) {
    const ValueId v = graph.find_value(name);
    if (v == kNone || graph.value(v).dtype != DType::Float32) continue;
    const std::size_t tensor = program.tensor_index(name);
    tensor_of_[static_cast<std::size_t>(v)] = tensor;
    order_[static_cast<std::size_t>(v)] = axes;
    value_of_[tensor] = v;
  }
}

bool FloatReferences::is_channels_last(std::span<const std::int64_t> order) {
  if (order.size() < 3 || order.front() != 0 || order.back() != 1) return false;
  for (std::size_t i = 1; i + 1 < order.size(); ++i)
    if (order[i] != static_cast<std::int64_t>(i) + 1) return false;
  return true;
}

void FloatReferences::keep(const ops::Executor::View& view, Values& values) const {
  const auto v = static_cast<std::size_t>(view.value);
  if (tensor_of_[v] == kAbsent) return;
  std::vector<float>& slot = values[tensor_of_[v]];
  const auto& order = order_[v];
  const bool natural = std::is_sorted(order.begin(), order.end());
  if (view.channels_last ? is_channels_last(order) : natural) {
    slot.assign(view.data.begin(), view.data.end());
  } else {
    const Tensor plain = view.to_tensor();
    const Tensor ordered = natural ? plain : plain.transposed(order);
    slot.assign(ordered.data<float>().begin(), ordered.data<float>().end());
  }
}

}  // namespace espquant::strategy
