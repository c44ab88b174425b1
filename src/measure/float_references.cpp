#include "measure/float_references.h"

namespace espquant::measure {

FloatReferences::FloatReferences(const Graph& graph, const sim::Program& program,
                                 const lower::Orders& orders)
    : tensor_of_(graph.value_count(), kAbsent),
      order_(graph.value_count()),
      value_of_(program.tensor_count(), kNone) {
  for (const auto& [name, order] : orders) {
    const ValueId v = graph.find_value(name);
    if (v == kNone || graph.value(v).dtype != DType::Float32 || order.tensor != name) continue;
    const std::size_t tensor = program.tensor_index(name);
    tensor_of_[static_cast<std::size_t>(v)] = tensor;
    order_[static_cast<std::size_t>(v)] = order;
    value_of_[tensor] = v;
  }
}

void FloatReferences::keep(const ops::Executor::View& view, Values& values) const {
  const auto v = static_cast<std::size_t>(view.value);
  if (tensor_of_[v] == kAbsent) return;
  std::vector<float>& slot = values[tensor_of_[v]];
  const lower::Order& order = order_[v];
  if (view.channels_last ? order.is_channels_last(view.shape) : order.is_natural()) {
    slot.assign(view.data.begin(), view.data.end());
  } else {
    const Tensor ordered = order.stored(view.to_tensor());
    slot.assign(ordered.data<float>().begin(), ordered.data<float>().end());
  }
}

}  // namespace espquant::measure
