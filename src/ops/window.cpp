#include "ops/window.h"

#include <fmt/format.h>

namespace espquant::ops {
namespace {

constexpr std::int64_t kMaxAttribute = (std::int64_t{1} << 31) - 1;

void set_same_padding(WindowAxis& axis, bool upper) {
  axis.out = (axis.in + axis.stride - 1) / axis.stride;
  const std::int64_t total =
      std::max<std::int64_t>((axis.out - 1) * axis.stride + axis.reach() - axis.in, 0);
  axis.pad_begin = upper ? total / 2 : total - total / 2;
  axis.pad_end = total - axis.pad_begin;
}

void set_output_extent(WindowAxis& axis, bool ceil_mode) {
  const std::int64_t room = axis.in + axis.pad_begin + axis.pad_end - axis.reach();
  if (room < 0)
    bad_data(fmt::format("a kernel of extent {} exceeds the padded input of extent {}",
                         axis.reach(), axis.in + axis.pad_begin + axis.pad_end));
  axis.out = (ceil_mode ? room + axis.stride - 1 : room) / axis.stride + 1;
  // ONNX AveragePool-19, MaxPool-22: no window starts in the padding behind the input.
  if (ceil_mode && (axis.out - 1) * axis.stride >= axis.in + axis.pad_begin) --axis.out;
}

}  // namespace

std::vector<std::int64_t> spatial_attribute(const Attributes& attributes, std::string_view name,
                                            std::size_t count, std::int64_t otherwise,
                                            std::int64_t least) {
  std::vector<std::int64_t> values = attributes.get_ints(name);
  if (values.empty()) values.assign(count, otherwise);
  if (values.size() != count)
    malformed(
        fmt::format("attribute '{}' has {} entries, expected {}", name, values.size(), count));
  for (std::int64_t v : values)
    if (v < least || v > kMaxAttribute)
      malformed(fmt::format("attribute '{}' holds {}, expected at least {}", name, v, least));
  return values;
}

AutoPad auto_pad_of(const Attributes& attributes) {
  const std::string name = attributes.get_string("auto_pad", "NOTSET");
  if (name == "NOTSET" || name.empty()) return AutoPad::NotSet;
  if (name == "VALID") return AutoPad::Valid;
  if (name == "SAME_UPPER") return AutoPad::SameUpper;
  if (name == "SAME_LOWER") return AutoPad::SameLower;
  malformed(
      fmt::format("auto_pad is '{}', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", name));
}

Window make_window(const Attributes& attributes, const Shape& input,
                   const std::vector<std::int64_t>& kernel, bool ceil_mode) {
  const std::size_t spatial = kernel.size();
  ESPQUANT_ASSERT(spatial >= 1 && spatial <= kMaxSpatialAxes && input.size() == spatial + 2,
                  "window of a wrong rank");
  const AutoPad auto_pad = auto_pad_of(attributes);
  const auto strides = spatial_attribute(attributes, "strides", spatial, 1, 1);
  const auto dilations = spatial_attribute(attributes, "dilations", spatial, 1, 1);
  const auto pads = spatial_attribute(attributes, "pads", 2 * spatial, 0, 0);
  Window window;
  for (std::size_t i = 0; i < spatial; ++i) {
    WindowAxis& axis = window[kMaxSpatialAxes - spatial + i];
    axis.in = input[2 + i];
    axis.kernel = kernel[i];
    if (axis.kernel < 1 || axis.kernel > kMaxAttribute)
      malformed(fmt::format("a kernel of extent {}", axis.kernel));
    axis.stride = strides[i];
    axis.dilation = dilations[i];
    if (auto_pad == AutoPad::SameUpper || auto_pad == AutoPad::SameLower) {
      set_same_padding(axis, auto_pad == AutoPad::SameUpper);
      continue;
    }
    if (auto_pad == AutoPad::NotSet) {
      axis.pad_begin = pads[i];
      axis.pad_end = pads[spatial + i];
    }
    set_output_extent(axis, ceil_mode && auto_pad == AutoPad::NotSet);
  }
  return window;
}

Shape window_output(const Window& window, std::int64_t batch, std::int64_t channels,
                    std::size_t spatial_axes) {
  Shape shape{batch, channels};
  for (std::size_t i = kMaxSpatialAxes - spatial_axes; i < window.size(); ++i)
    shape.push_back(window[i].out);
  return shape;
}

}  // namespace espquant::ops
