#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/operators.h"
#include "sim/prepare.h"

/// ReverseSequence (ESP-DL 3.14): the first steps of each sequence in reverse order; batch and time
/// are the first two axes, in either order.
namespace espquant::sim {
namespace {

struct Sequences {
  std::int64_t batch, time, batch_step, time_step, features, count;
};

std::int64_t checked_length(std::int64_t length, const Sequences& s) {
  if (length <= s.time) return length;
  throw Error(ErrorCode::BadData,
              fmt::format("a sequence of {} steps in a tensor of {}", length, s.time))
      .remedy("Give lengths up to the extent of the time axis");
}

/// The runtime swaps through an int, which takes a float's fraction away from one side.
template <typename T>
void swap_through_int(T& a, T& b) {
  const auto held = static_cast<T>(static_cast<std::int32_t>(a));
  a = b;
  b = held;
}

template <typename T>
void reverse(const Sequences& s, std::int64_t b, std::int64_t length, T* out) {
  T* first = out + b * s.batch_step;
  for (std::int64_t t = 0; t < length / 2; ++t) {
    T* early = first + t * s.time_step;
    T* late = first + (length - 1 - t) * s.time_step;
    for (std::int64_t i = 0; i < s.features; ++i) swap_through_int(early[i], late[i]);
  }
}

}  // namespace

Prepared prepare_reverse_sequence(const NodeContext& context) {
  const DType dtype = element_type(context);
  const Shape& shape = context.input(0).shape;
  require_type(context, 1, DType::Int64);
  const std::int64_t batch_axis = context.node.get_int("batch_axis", 1);
  const std::int64_t time_axis = context.node.get_int("time_axis", 0);
  const bool first_two =
      std::min(batch_axis, time_axis) == 0 && std::max(batch_axis, time_axis) == 1;
  if (shape.size() < 2 || !first_two)
    refuse("ESP-DL reverses sequences along the first two axes only", "Transpose the tensor");

  const auto batch = static_cast<std::size_t>(batch_axis),
             time = static_cast<std::size_t>(time_axis);
  const Shape steps = strides_of(shape);
  Sequences s{shape[batch], shape[time], steps[batch], steps[time], steps[1], element_count(shape)};
  if (element_count(context.input(1).shape) < s.batch)
    refuse("fewer sequence lengths than sequences", "Give one length per sequence");

  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([s](const KernelArgs& args) {
      const auto* lengths = args.in<std::int64_t>(1);
      T* out = args.out<T>(0);
      std::copy_n(args.in<T>(0), s.count, out);
      for (std::int64_t b = 0; b < s.batch; ++b) reverse(s, b, checked_length(lengths[b], s), out);
    });
  });
  Prepared prepared = prepared_with(context, shape, dtype, std::move(kernel));
  check_exponents(context, prepared, {0});
  if (is_float(dtype)) add_fault(prepared, "reverse-sequence-truncates-floats");
  return prepared;
}

}  // namespace espquant::sim
