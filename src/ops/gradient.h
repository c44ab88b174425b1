#pragma once

#include "ops/broadcast.h"
#include "ops/unary.h"

/// What the gradients of several operators have in common. All add to input gradients that were
/// zero-filled.
namespace espquant::ops {

/// For element-wise functions that know their own slope(x).
template <typename Function>
void gradient_float_map(const GradientContext& context) {
  if (!context.wants(0)) return;
  const Function f(context.node.attributes);
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    const auto x = context.in(0).data<T>(), dy = context.output_gradients[0].data<T>();
    auto dx = context.input_gradients[0].mutable_data<T>();
    for (std::size_t i = 0; i < dx.size(); ++i) dx[i] += dy[i] * f.slope(x[i]);
  });
}

/// For y = f(a, b), both broadcast: the gradients of a and b are those of y times slope_a(a, b, y)
/// and slope_b(a, b, y), summed over what repeats.
template <typename T, typename SlopeA, typename SlopeB>
void add_broadcast_gradients(const GradientContext& context, SlopeA slope_a, SlopeB slope_b) {
  const Shape& shape = context.outputs[0].shape();
  const std::array<Shape, 2> strides{broadcast_strides(context.in(0).shape(), shape),
                                     broadcast_strides(context.in(1).shape(), shape)};
  const std::int64_t step_a = shape.empty() ? 0 : strides[0].back();
  const std::int64_t step_b = shape.empty() ? 0 : strides[1].back();
  const T* a = context.in(0).data<T>().data();
  const T* b = context.in(1).data<T>().data();
  const T* y = context.outputs[0].data<T>().data();
  const T* dy = context.output_gradients[0].data<T>().data();
  const auto add = [&](std::size_t input, auto slope) {
    if (!context.wants(input)) return;
    T* to = context.input_gradients[input].mutable_data<T>().data();
    const std::int64_t step = input == 0 ? step_a : step_b;
    for_each_row(shape, strides, [&](std::int64_t at, const auto& from, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i)
        to[from[input] + i * step] +=
            dy[at + i] * slope(a[from[0] + i * step_a], b[from[1] + i * step_b], y[at + i]);
    });
  };
  add(0, slope_a);
  add(1, slope_b);
}

/// Where each element of a node's outputs comes from, for operators that only move data.
struct Origins {
  /// Of a number below: which input, and which element of it; 0 stands for an element that the node
  /// fills in itself.
  struct Place {
    std::size_t input;
    std::int64_t element;
  };
  /// By output, a number for each element.
  std::vector<std::vector<std::int64_t>> numbers;
  /// The first number of each input, 0 for those whose elements are not moved.
  std::vector<std::int64_t> first;

  Place place_of(std::int64_t number) const;
};

/// By the node's own kernel, which moves numbers in place of the elements of its float inputs.
Origins origins_of(const Node& node, std::int64_t opset, std::span<const Tensor* const> inputs);

/// The gradient of operators that only move data, repeat them or leave some out.
void gradient_of_movement(const GradientContext& context);

}  // namespace espquant::ops
