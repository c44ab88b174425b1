#include <fmt/format.h>

#include <cstring>

#include "sim/operators.h"
#include "sim/prepare.h"

/// InsertZeros (ESP-DL 3.4), the first half of a transposed convolution: pixels spread apart by the
/// stride, zeros between and behind them. N,H,W,C or N,W,C.
namespace espquant::sim {
namespace {

std::vector<std::int64_t> per_axis(const NodeContext& context, std::string_view name,
                                   std::size_t axes) {
  auto values = context.node.get_ints(name);
  if (values.size() == 1) values.assign(axes, values[0]);
  if (values.size() != axes)
    refuse(fmt::format("attribute '{}' of InsertZeros has {} values for {} axes", name,
                       values.size(), axes),
           "Export the model again");
  for (std::int64_t v : values)
    if (v < 0 || v > 1 << 16) refuse("InsertZeros by an impossible amount", "Check its attributes");
  return values;
}

}  // namespace

Prepared prepare_insert_zeros(const NodeContext& context) {
  const DType dtype = element_type(context);
  const Shape& in = context.input(0).shape;
  if (in.size() != 3 && in.size() != 4)
    refuse(fmt::format("InsertZeros of shape {}: ESP-DL takes N,H,W,C or N,W,C", to_string(in)),
           "Reshape the tensor");
  const std::size_t axes = in.size() - 2;
  const auto stride = per_axis(context, "stride", axes);
  const auto padding = per_axis(context, "output_padding", axes);
  Shape shape = in;
  for (std::size_t i = 0; i < axes; ++i) {
    if (stride[i] < 1 || in[i + 1] < 1) refuse("InsertZeros with a stride of 0", "Check 'stride'");
    shape[i + 1] = in[i + 1] + (stride[i] - 1) * (in[i + 1] - 1) + padding[i];
  }

  const bool plane = axes == 2;
  const std::int64_t height = plane ? in[1] : 1, out_height = plane ? shape[1] : 1;
  const std::int64_t width = in[axes], out_width = shape[axes];
  const std::int64_t stride_y = plane ? stride[0] : 1, stride_x = stride.back();
  const std::size_t pixel = static_cast<std::size_t>(in.back()) * size_of(dtype);
  auto kernel = make_kernel(
      [=, images = in[0], bytes = TensorDesc{dtype, shape}.byte_size()](const KernelArgs& args) {
        if (bytes == 0) return;
        std::memset(args.outputs[0], 0, bytes);
        const std::byte* from = args.inputs[0];
        for (std::int64_t n = 0; n < images; ++n)
          for (std::int64_t y = 0; y < height; ++y)
            for (std::int64_t x = 0; x < width; ++x, from += pixel) {
              const std::int64_t to = (n * out_height + y * stride_y) * out_width + x * stride_x;
              std::memcpy(args.outputs[0] + static_cast<std::size_t>(to) * pixel, from, pixel);
            }
      });
  Prepared prepared = prepared_with(context, std::move(shape), dtype, std::move(kernel));
  check_exponents(context, prepared, {0});
  return prepared;
}

}  // namespace espquant::sim
