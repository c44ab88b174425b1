#include <algorithm>

#include "lower/builder.h"
#include "lower/lower.h"

namespace espquant::lower {

bool Order::is_natural() const { return std::is_sorted(perm.begin(), perm.end()); }

bool Order::is_channels_last(const Shape& value) const {
  return shape == value && shape.size() >= 3 && perm == channels_last_perm(shape.size());
}

Tensor Order::stored(const Tensor& value) const {
  return is_natural() ? value : value.reshaped(shape).transposed(perm);
}

Tensor Order::network(std::span<const float> stored, const Shape& value) const {
  return Tensor::of<float>(permuted(shape, perm), stored).transposed(inverse(perm)).reshaped(value);
}

Order input_order(const Graph& graph, const Node& n, const Orders& orders,
                  const espdl::Node& lowered) {
  const Value& input = graph.value(n.inputs.at(0));
  const Shape& shape = *input.shape;
  Order order{lowered.inputs.at(0), shape, identity_perm(shape.size())};
  if (n.op == "Conv") {
    order.perm = channels_last_perm(shape.size());
  } else if (const auto it = orders.find(input.name);
             it != orders.end() && it->second.shape.size() > shape.size()) {
    order.shape = it->second.shape;
    order.perm = it->second.perm;
  }
  return order;
}

}  // namespace espquant::lower
