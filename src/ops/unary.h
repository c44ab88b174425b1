#pragma once

#include "ops/visit.h"

namespace espquant::ops {

/// out[i] = f(in[i]) over one element type.
template <typename T, typename F>
void map_elements(const Tensor& in, Tensor& out, F f) {
  const auto from = in.data<T>();
  auto to = out.mutable_data<T>();
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = f(from[i]);
}

/// A kernel from a functor on float and double, constructed from the node's attributes.
template <typename Function>
void run_float_map(const RunContext& context) {
  const Function f(context.node.attributes);
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    map_elements<T>(context.in(0), context.outputs[0], [&](T x) { return f(x); });
  });
}

/// The same for functors that take integers too.
template <typename Function>
void run_number_map(const RunContext& context) {
  const Function f(context.node.attributes);
  visit_number(context.in(0).dtype(), [&]<typename T>(T) {
    map_elements<T>(context.in(0), context.outputs[0], [&](T x) { return f(x); });
  });
}

/// For functors without attributes.
struct Parameterless {
  explicit Parameterless(const Attributes&) {}
};

}  // namespace espquant::ops
