#include "sim/conv_fast.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "sim/conv_reference.h"
#include "sim/conv_simd.h"

namespace espquant::sim {
namespace {

constexpr std::int32_t kNoLimit = std::numeric_limits<std::int32_t>::max();

/// Scratch slots of a Workspace.
enum Slot : std::size_t { kImage, kLowImage, kCheckLimit };

/// Whether no partial sum of the channel at position p can leave its lane, whatever the pixels in
/// `range` are.
bool stays_inside(const ConvPlan& plan, std::size_t p, ValueRange range) {
  const std::int64_t bias = plan.bias32[p], limit = plan.clip_limit[p];
  const std::int64_t up = range.hi * plan.positive[p] - range.lo * plan.negative[p];
  const std::int64_t down = range.hi * plan.negative[p] - range.lo * plan.positive[p];
  return bias + up <= limit && bias - down >= -limit - 1;
}

/// What |partial sum| may be at a check so that no product before the next one can leave the lane.
void fill_check_limits(const ConvPlan& plan, ValueRange range, std::int32_t* limits) {
  const std::int64_t largest = std::max(-range.lo, range.hi);
  for (std::size_t p = 0; p < plan.channel_at.size(); ++p) {
    const std::int32_t limit = plan.clip_limit[p];
    limits[p] = limit == kNoLimit
                    ? limit
                    : static_cast<std::int32_t>(limit - largest * plan.check_magnitude[p]);
  }
}

/// Plain where the weights prove it. Else checked, unless the check fails at the start already or
/// there is none (null).
std::vector<BlockMode> choose_modes(const ConvPlan& plan, ValueRange range,
                                    const std::int32_t* check_limits) {
  std::vector<BlockMode> modes(static_cast<std::size_t>(plan.blocks()), BlockMode::Plain);
  if (!plan.clips) return modes;
  const std::size_t block = plan.channel_at.size() / modes.size();
  for (std::size_t p = 0; p < plan.channel_at.size(); ++p) {
    if (plan.clip_limit[p] == kNoLimit || stays_inside(plan, p, range)) continue;
    const bool checked = check_limits != nullptr && std::abs(plan.bias32[p]) <= check_limits[p];
    modes[p / block] =
        std::max(modes[p / block], checked ? BlockMode::Checked : BlockMode::Clipped);
  }
  return modes;
}

/// Channels of which the vector kernels keep the books.
std::int64_t clipping_channels(const ConvPlan& plan) {
  std::int64_t count = 0;
  for (std::size_t p = 0; p < plan.channel_at.size(); ++p)
    count += plan.clip_limit[p] != kNoLimit ? 1 : 0;
  return count;
}

}  // namespace

std::shared_ptr<const FastConv> FastConv::prepare(const ConvGeometry& geometry,
                                                  const MacArithmetic& arithmetic,
                                                  const Tensor& filter) {
  if (!vector_kernels_available()) return nullptr;
  auto fast = std::make_shared<FastConv>();
  fast->plan_ = make_plan(geometry, arithmetic, filter);
  if (fast->plan_ == nullptr) return nullptr;
  fast->filter_ = filter;
  return fast;
}

void FastConv::run(const MacArithmetic& arithmetic, const std::byte* x, std::byte* y,
                   Workspace& workspace) const {
  if (arithmetic.bits == 8) {
    run_int8(arithmetic, reinterpret_cast<const std::int8_t*>(x), reinterpret_cast<std::int8_t*>(y),
             workspace);
  } else {
    run_int16(arithmetic, reinterpret_cast<const std::int16_t*>(x),
              reinterpret_cast<std::int16_t*>(y), workspace);
  }
}

void FastConv::run_int8(const MacArithmetic& arithmetic, const std::int8_t* x, std::int8_t* y,
                        Workspace& workspace) const {
  const ConvGeometry& g = plan_->geometry;
  auto* image =
      workspace.scratch_of<std::int16_t>(static_cast<std::size_t>(plan_->image.size), kImage);
  const ValueRange range = widen_image(*plan_, x, image);
  std::int64_t count = 0;
  std::int64_t* saturated = workspace.saturation != nullptr ? &count : nullptr;
  if (g.depthwise) {
    depthwise_int8(*plan_, image, choose_modes(*plan_, range, nullptr), y, saturated);
  } else {
    auto* limits = workspace.scratch_of<std::int32_t>(plan_->channel_at.size(), kCheckLimit);
    fill_check_limits(*plan_, range, limits);
    dense_int8(*plan_, image, choose_modes(*plan_, range, limits), limits, y, saturated);
  }
  if (workspace.saturation != nullptr) {
    workspace.saturation->outputs += g.out_h * g.out_w * clipping_channels(*plan_);
    workspace.saturation->saturated += count;
  }
  for (std::int64_t channel : plan_->reference_channels)
    conv_reference(g, arithmetic, x, filter_.data<std::int8_t>().data(), y, channel, channel + 1,
                   workspace.saturation);
}

void FastConv::run_int16(const MacArithmetic& arithmetic, const std::int16_t* x, std::int16_t* y,
                         Workspace& workspace) const {
  const ConvGeometry& g = plan_->geometry;
  const auto size = static_cast<std::size_t>(plan_->image.size);
  auto* high = workspace.scratch_of<std::int16_t>(size, kImage);
  auto* low = workspace.scratch_of<std::int16_t>(size, kLowImage);
  split_image(*plan_, x, high, low);
  const std::int16_t* filter = filter_.data<std::int16_t>().data();
  std::int64_t vector_outputs = g.out_size();
  if (g.depthwise) {
    depthwise_int16(*plan_, high, low, y);
    vector_outputs -=
        g.out_h * g.out_w * static_cast<std::int64_t>(plan_->reference_channels.size());
  } else {
    std::vector<Suspect> suspects;
    dense_int16(*plan_, high, low, y, suspects);
    for (const Suspect& s : suspects)
      y[s.pixel * g.out_c + s.channel] =
          conv_reference_element(g, arithmetic, x, filter, s.pixel / g.out_w, s.pixel % g.out_w,
                                 s.channel, workspace.saturation);
    vector_outputs -= static_cast<std::int64_t>(suspects.size());
  }
  if (workspace.saturation != nullptr && arithmetic.lanes.clips())
    workspace.saturation->outputs += vector_outputs;
  for (std::int64_t channel : plan_->reference_channels)
    conv_reference(g, arithmetic, x, filter, y, channel, channel + 1, workspace.saturation);
}

}  // namespace espquant::sim
