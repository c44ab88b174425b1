#include <fmt/format.h>

#include <numeric>

#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// Pad; pads and value are attributes before opset 11, inputs since; `axes` since 18, 'wrap'
/// since 19.
namespace espquant::ops {
namespace {

enum class Mode { Constant, Edge, Reflect, Wrap };

Mode mode_of(const Node& node) {
  const std::string name = node.attributes.get_string("mode", "constant");
  if (name == "constant") return Mode::Constant;
  if (name == "edge") return Mode::Edge;
  if (name == "reflect") return Mode::Reflect;
  if (name == "wrap") return Mode::Wrap;
  malformed(fmt::format("mode '{}', expected constant, edge, reflect or wrap", name));
}

/// Elements added before each axis and, from index `rank` on, after it; negative ones crop.
std::vector<std::int64_t> pads_of(const Node& node, std::int64_t opset, std::size_t rank,
                                  const std::vector<std::int64_t>* pads_input,
                                  const std::vector<std::int64_t>* axes_input) {
  const std::vector<std::int64_t> given =
      opset < 11 ? node.attributes.get_ints("pads") : *pads_input;
  std::vector<std::int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (axes_input != nullptr) {
    axes = *axes_input;
    normalize_axes(axes, static_cast<std::int64_t>(rank));
    for (std::int64_t& axis : axes) axis = normalize_axis(axis, static_cast<std::int64_t>(rank));
  }
  if (given.size() != 2 * axes.size())
    malformed(fmt::format("{} pads for {} axes, expected two for each", given.size(), axes.size()));
  std::vector<std::int64_t> pads(2 * rank, 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    pads[static_cast<std::size_t>(axes[i])] = given[i];
    pads[rank + static_cast<std::size_t>(axes[i])] = given[axes.size() + i];
  }
  return pads;
}

void infer_pad(const InferContext& context) {
  const Shape& in = context.shape(0);
  const Mode mode = mode_of(context.node);
  std::vector<std::int64_t> pads_input, axes_input;
  if (context.opset >= 11) {
    pads_input = context.constant_ints(1);
    require_same_dtype(context, 0, 2);
    if (context.has(2) && element_count(context.shape(2)) != 1)
      malformed("the padding value is not a scalar");
    if (context.has(3)) axes_input = context.constant_ints(3);
  }
  const auto pads = pads_of(context.node, context.opset, in.size(), &pads_input,
                            context.has(3) ? &axes_input : nullptr);
  Shape out = in;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const std::int64_t before = pads[i], after = pads[in.size() + i];
    if (before < -in[i] || after < -in[i] || before > kMaxElements || after > kMaxElements ||
        in[i] + before + after < 0)
      bad_data(fmt::format("pads of {} and {} on axis {} of {}", before, after, i, to_string(in)));
    if (mode != Mode::Constant && in[i] == 0 && before + after > 0)
      bad_data(fmt::format("axis {} has no elements to pad with", i));
    out[i] += before + after;
  }
  set_output(context, 0, context.dtype(0), std::move(out));
}

/// For each position along an axis, where it reads from; -1 stands for the padding value.
std::vector<std::int64_t> padded_sources(Mode mode, std::int64_t extent, std::int64_t before,
                                         std::int64_t out) {
  std::vector<std::int64_t> result(static_cast<std::size_t>(out));
  for (std::int64_t o = 0; o < out; ++o) {
    std::int64_t i = o - before;
    if (i < 0 || i >= extent) {
      const std::int64_t period =
          mode == Mode::Reflect ? std::max<std::int64_t>(2 * (extent - 1), 1) : extent;
      switch (mode) {
        case Mode::Constant:
          i = -1;
          break;
        case Mode::Edge:
          i = std::clamp<std::int64_t>(i, 0, extent - 1);
          break;
        case Mode::Reflect:
          i = (i % period + period) % period;
          i = std::min(i, period - i);
          if (extent == 1) i = 0;
          break;
        case Mode::Wrap:
          i = (i % period + period) % period;
          break;
      }
    }
    result[static_cast<std::size_t>(o)] = i;
  }
  return result;
}

void fill_padding(const RunContext& context) {
  Tensor& out = context.outputs[0];
  if (context.opset >= 11) {
    if (!context.has(2)) return;
    visit_width(out.dtype(), [&]<typename T>(T) {
      auto to = mutable_raw<T>(out);
      std::fill(to.begin(), to.end(), raw<T>(context.in(2))[0]);
    });
    return;
  }
  const float value = context.node.attributes.get_float("value", 0.0F);
  if (value == 0.0F) return;
  visit_number(out.dtype(), [&]<typename T>(T) {
    auto to = out.mutable_data<T>();
    std::fill(to.begin(), to.end(), static_cast<T>(value));
  });
}

void run_pad(const RunContext& context) {
  const Tensor& in = context.in(0);
  Tensor& out = context.outputs[0];
  const Mode mode = mode_of(context.node);
  const std::size_t rank = in.shape().size();
  std::vector<std::int64_t> pads_input, axes_input;
  if (context.opset >= 11) {
    pads_input = to_ints(context.in(1));
    if (context.has(3)) axes_input = to_ints(context.in(3));
  }
  const auto pads = pads_of(context.node, context.opset, rank, &pads_input,
                            context.has(3) ? &axes_input : nullptr);
  if (mode == Mode::Constant) fill_padding(context);
  std::vector<std::vector<std::int64_t>> source(rank);
  for (std::size_t d = 0; d < rank; ++d)
    source[d] = padded_sources(mode, in.shape()[d], pads[d], out.shape()[d]);
  const Shape strides = strides_of(in.shape());
  visit_width(in.dtype(), [&]<typename T>(T) {
    const auto from = raw<T>(in);
    auto to = mutable_raw<T>(out);
    Shape at(rank, 0);
    for (std::size_t o = 0; o < to.size(); ++o) {
      std::int64_t offset = 0;
      for (std::size_t d = 0; d < rank && offset >= 0; ++d) {
        const std::int64_t i = source[d][static_cast<std::size_t>(at[d])];
        offset = i < 0 ? -1 : offset + i * strides[d];
      }
      if (offset >= 0) to[o] = from[static_cast<std::size_t>(offset)];
      for (std::size_t d = rank; d-- > 0;) {
        if (++at[d] < out.shape()[d]) break;
        at[d] = 0;
      }
    }
  });
}

}  // namespace

const OpDef kPad{"Pad", QuantRule::PassThrough, infer_pad, run_pad, gradient_of_movement};

}  // namespace espquant::ops
