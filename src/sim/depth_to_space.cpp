#include <fmt/format.h>

#include <algorithm>

#include "sim/operators.h"
#include "sim/prepare.h"

/// DepthToSpace and SpaceToDepth (ESP-DL 3.14) over N,H,W,C.
namespace espquant::sim {
namespace {

/// For each channel of an input pixel, where it goes from the first element of the pixel's block in
/// the output.
std::vector<std::int64_t> depth_offsets(std::int64_t channels, std::int64_t block,
                                        std::int64_t out_width, bool crd) {
  const std::int64_t area = block * block, out_channels = channels / area;
  std::vector<std::int64_t> offsets;
  for (std::int64_t c = 0; c < channels; ++c) {
    const std::int64_t oc = crd ? c / area : c % block;
    const std::int64_t dy = crd ? c % area / block : c / area;
    const std::int64_t dx = crd ? c % block : c % area / block;
    offsets.push_back((dy * out_width + dx) * out_channels + oc);
  }
  return offsets;
}

std::int64_t block_of(const NodeContext& context, const Shape& in) {
  if (in.size() != 4)
    refuse(fmt::format("{} of shape {}: ESP-DL takes N,H,W,C", context.node.op, to_string(in)),
           "Reshape the tensor");
  const std::int64_t block = context.node.get_int("blocksize", 0);
  if (block < 1 || block > 1024)
    refuse("a block size is missing or out of range", "Check 'blocksize'");
  return block;
}

}  // namespace

Prepared prepare_depth_to_space(const NodeContext& context) {
  const DType dtype = element_type(context);
  const Shape& in = context.input(0).shape;
  const std::int64_t block = block_of(context, in), area = block * block;
  if (in[3] % area != 0)
    refuse(fmt::format("{} channels do not divide into blocks of {}", in[3], area),
           "Check 'blocksize'");
  const std::int64_t out_channels = in[3] / area;
  const bool crd = context.node.get_string("mode", "DCR") == "CRD";
  // The runtime's DCR mixes up its divisors (3.14).
  if (!crd && out_channels > block)
    refuse(fmt::format("ESP-DL's DepthToSpace in mode DCR writes beyond its output for {} channels "
                       "in blocks of {}",
                       out_channels, block),
           "Use mode CRD, permuting the channels that produce its input");

  const Shape shape{in[0], in[1] * block, in[2] * block, out_channels};
  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([offsets = depth_offsets(in[3], block, shape[2], crd), in, shape,
                        block](const KernelArgs& args) {
      const T* from = args.in<T>(0);
      T* out = args.out<T>(0);
      // DCR with fewer channels than the block's side leaves elements as they were.
      std::fill_n(out, element_count(shape), T{0});
      for (std::int64_t row = 0; row < in[0] * in[1]; ++row)
        for (std::int64_t x = 0; x < in[2]; ++x) {
          T* to = out + (row * block * shape[2] + x * block) * shape[3];
          for (std::int64_t offset : offsets) to[offset] = *from++;
        }
    });
  });
  Prepared prepared = prepared_with(context, shape, dtype, std::move(kernel));
  check_exponents(context, prepared, {0});
  if (!crd && out_channels != block) add_fault(prepared, "depth-to-space-dcr");
  return prepared;
}

Prepared prepare_space_to_depth(const NodeContext& context) {
  const DType dtype = element_type(context);
  const Shape& in = context.input(0).shape;
  const std::int64_t block = block_of(context, in);
  if (in[1] % block != 0 || in[2] % block != 0)
    refuse(fmt::format("{} by {} does not divide into blocks of {}", in[1], in[2], block),
           "Pad the input");
  const Shape shape{in[0], in[1] / block, in[2] / block, in[3] * block * block};
  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([in, shape, block](const KernelArgs& args) {
      const T* from = args.in<T>(0);
      for (std::int64_t row = 0; row < in[0] * in[1]; ++row)
        for (std::int64_t x = 0; x < in[2]; ++x) {
          T* to = args.out<T>(0) + (row / block * shape[2] + x / block) * shape[3] +
                  row % block * block + x % block;
          for (std::int64_t c = 0; c < in[3]; ++c) to[c * block * block] = *from++;
        }
    });
  });
  Prepared prepared = prepared_with(context, shape, dtype, std::move(kernel));
  check_exponents(context, prepared, {0});
  if (in[3] > 1) add_fault(prepared, "space-to-depth-order");
  return prepared;
}

}  // namespace espquant::sim
