#include "sim/resize_linear.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "sim/rounding.h"

namespace espquant::sim {
namespace {

/// The two neighbours of an output position and their weights.
struct Tap {
  std::int64_t first = 0;
  float weight0 = 1, weight1 = 0;
};

std::vector<Tap> taps_of(const ResizeAxis& axis, bool align_corners) {
  if (axis.in < 2 || (align_corners && axis.out < 2))
    refuse(fmt::format("linear Resize from {} to {} elements: ESP-DL reads beyond the input",
                       axis.in, axis.out),
           "Resize in mode nearest, or repeat the element");
  const float scale = align_corners
                          ? static_cast<float>(axis.out - 1) / static_cast<float>(axis.in - 1)
                          : axis.scale;
  const float inverse = 1.0F / scale;
  std::vector<Tap> taps;
  for (std::int64_t o = 0; o < axis.out; ++o) {
    const auto x = static_cast<float>(o);
    const float at = align_corners ? x * inverse : (x + 0.5F) * inverse - 0.5F;
    auto first = static_cast<std::int64_t>(std::floor(at));
    float fraction = at - static_cast<float>(first);
    if (first < 0) {
      first = 0;
      fraction = 0;
    }
    if (first >= axis.in - 1) {
      first = axis.in - 2;
      fraction = 1;
    }
    taps.push_back({first, 1.0F - fraction, fraction});
  }
  return taps;
}

struct LinearResize {
  std::vector<Tap> ys, xs;
  std::int64_t in_width = 1, channels = 1;
  float scale = 1, inv_scale = 1;

  std::int64_t row_size() const { return static_cast<std::int64_t>(xs.size()) * channels; }

  /// One row of the input, interpolated along the width.
  void interpolate_row(const std::int8_t* in, float* out) const {
    for (const Tap& tap : xs) {
      const std::int8_t* left = in + tap.first * channels;
      const std::int8_t* right = left + channels;
      for (std::int64_t c = 0; c < channels; ++c)
        *out++ = static_cast<float>(left[c]) * scale * tap.weight0 +
                 static_cast<float>(right[c]) * scale * tap.weight1;
    }
  }
};

/// The last two interpolated rows: neighbouring outputs share them.
class RowCache {
 public:
  RowCache(const LinearResize& resize, const std::int8_t* in, float* memory)
      : resize_(resize), in_(in), rows_{memory, memory + resize.row_size()} {}

  const float* row(std::int64_t y) {
    const auto slot = static_cast<std::size_t>(y % 2);
    if (held_[slot] != y) {
      resize_.interpolate_row(in_ + y * resize_.in_width * resize_.channels, rows_[slot]);
      held_[slot] = y;
    }
    return rows_[slot];
  }

 private:
  const LinearResize& resize_;
  const std::int8_t* in_;
  std::array<float*, 2> rows_;
  std::array<std::int64_t, 2> held_{-1, -1};
};

template <Rounding kRounding>
void quantize_row(const float* row, std::int64_t count, float inv_scale, std::int8_t* out) {
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = round_saturate<std::int8_t, kRounding>(row[i] * inv_scale);
}

template <Rounding kRounding>
void resize_plane(const LinearResize& r, const std::int8_t* in, float* memory, std::int8_t* out) {
  const std::int64_t count = r.row_size();
  RowCache cache(r, in, memory);
  for (const Tap& tap : r.ys) {
    const float *upper = cache.row(tap.first), *lower = cache.row(tap.first + 1);
    for (std::int64_t i = 0; i < count; ++i)
      out[i] = round_saturate<std::int8_t, kRounding>(
          (upper[i] * tap.weight0 + lower[i] * tap.weight1) * r.inv_scale);
    out += count;
  }
}

}  // namespace

std::unique_ptr<Kernel> linear_resize_kernel(const NodeContext& context, const ResizePlan& plan,
                                             bool align_corners) {
  LinearResize resize;
  resize.xs = taps_of(plan.x, align_corners);
  if (plan.planar) resize.ys = taps_of(plan.y, align_corners);
  resize.in_width = plan.x.in;
  resize.channels = plan.channels;
  resize.scale = chip_scale(context.input(0).exponent());
  resize.inv_scale = chip_scale(-context.declared[0].exponent());

  return visit_rounding(context.target.rounding, [&]<Rounding kRounding>() {
    return make_kernel([resize = std::move(resize)](const KernelArgs& args) {
      const auto row = static_cast<std::size_t>(resize.row_size());
      float* memory = args.workspace.scratch_of<float>(2 * row);
      if (!resize.ys.empty()) {
        resize_plane<kRounding>(resize, args.in<std::int8_t>(0), memory, args.out<std::int8_t>(0));
      } else {
        resize.interpolate_row(args.in<std::int8_t>(0), memory);
        quantize_row<kRounding>(memory, resize.row_size(), resize.inv_scale,
                                args.out<std::int8_t>(0));
      }
    });
  });
}

}  // namespace espquant::sim
