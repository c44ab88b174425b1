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

/// What |partial sum| may be at two checks so that no product between them can leave the lane
/// (largest_excursion).
void fill_check_limits(const ConvPlan& plan, ValueRange range, std::int32_t* limits) {
  const std::int64_t largest = std::max(-range.lo, range.hi);
  for (std::size_t p = 0; p < plan.channel_at.size(); ++p) {
    const std::int32_t limit = plan.clip_limit[p];
    limits[p] = limit == kNoLimit
                    ? limit
                    : static_cast<std::int32_t>(
                          limit - largest_excursion(largest * plan.check_magnitude[p]));
  }
}

/// Plain where the weights prove it. Else checked, unless the check fails at the start already or
/// there is none (null). When traced, every block on the books is.
std::vector<BlockMode> choose_modes(const ConvPlan& plan, ValueRange range,
                                    const std::int32_t* check_limits,
                                    const Workspace::Saturation* books) {
  std::vector<BlockMode> modes(static_cast<std::size_t>(plan.blocks()), BlockMode::Plain);
  const std::size_t block = plan.channel_at.size() / modes.size();
  if (books != nullptr && books->traced) {
    for (std::size_t p = 0; p < plan.channel_at.size(); ++p)
      if (plan.booked_limit[p] != 0) modes[p / block] = BlockMode::Traced;
    return modes;
  }
  if (!plan.clips) return modes;
  for (std::size_t p = 0; p < plan.channel_at.size(); ++p) {
    if (plan.clip_limit[p] == kNoLimit || stays_inside(plan, p, range)) continue;
    const bool checked = check_limits != nullptr && std::abs(plan.bias32[p]) <= check_limits[p];
    modes[p / block] =
        std::max(modes[p / block], checked ? BlockMode::Checked : BlockMode::Clipped);
  }
  return modes;
}

/// Channels of which the vector kernels keep the books.
std::int64_t booked_channels(const ConvPlan& plan) {
  std::int64_t count = 0;
  for (std::size_t p = 0; p < plan.channel_at.size(); ++p) count += plan.booked_limit[p] != 0;
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
  Workspace::Saturation* books = workspace.saturation;
  if (g.depthwise) {
    depthwise_int8(*plan_, image, choose_modes(*plan_, range, nullptr, books), y, books);
  } else {
    auto* limits = workspace.scratch_of<std::int32_t>(plan_->channel_at.size(), kCheckLimit);
    fill_check_limits(*plan_, range, limits);
    dense_int8(*plan_, image, choose_modes(*plan_, range, limits, books), limits, y, books);
  }
  if (books != nullptr && !books->traced)
    books->outputs += g.out_h * g.out_w * booked_channels(*plan_);
  for (std::int64_t channel : plan_->reference_channels)
    conv_reference(g, arithmetic, x, filter_.data<std::int8_t>().data(), y, channel, channel + 1,
                   workspace.saturation);
}

void FastConv::run_int16(const MacArithmetic& arithmetic, const std::int16_t* x, std::int16_t* y,
                         Workspace& workspace) const {
  const ConvGeometry& g = plan_->geometry;
  const std::int16_t* filter = filter_.data<std::int16_t>().data();
  Workspace::Saturation* books = workspace.saturation;
  if (books != nullptr && books->traced)
    return conv_reference(g, arithmetic, x, filter, y, 0, g.out_c, books);
  const auto size = static_cast<std::size_t>(plan_->image.size);
  auto* high = workspace.scratch_of<std::int16_t>(size, kImage);
  auto* low = workspace.scratch_of<std::int16_t>(size, kLowImage);
  split_image(*plan_, x, high, low);
  std::vector<Suspect> suspects;
  if (g.depthwise) {
    depthwise_int16(*plan_, high, low, y);
  } else {
    dense_int16(*plan_, high, low, y, suspects);
  }
  std::int64_t computed_again = 0;
  for (const Suspect& s : suspects) {
    y[s.pixel * g.out_c + s.channel] = conv_reference_element(
        g, arithmetic, x, filter, s.pixel / g.out_w, s.pixel % g.out_w, s.channel, books);
    computed_again += arithmetic.counts(s.channel);
  }
  for (std::int64_t channel : plan_->reference_channels) {
    conv_reference(g, arithmetic, x, filter, y, channel, channel + 1, books);
    if (arithmetic.counts(channel)) computed_again += g.out_h * g.out_w;
  }
  if (books == nullptr) return;
  std::int64_t booked = 0;
  for (std::int64_t channel = 0; channel < g.out_c; ++channel) booked += arithmetic.counts(channel);
  books->outputs += g.out_h * g.out_w * booked - computed_again;
}

}  // namespace espquant::sim
