#include "sim/conv_plan.h"

#include <cstdlib>
#include <limits>

namespace espquant::sim {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
/// Elements that the widest vector may read behind an image.
constexpr std::int64_t kSlack = 64;

/// Padded images beyond this are no real network's.
constexpr std::int64_t kLargestImage = std::int64_t{1} << 27;

std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

/// Two vectors of 32-bit sums come out of interleaving 16-bit ones in blocks of 128 bits: the first
/// holds channels 0-3, 8-11, ... of a block of 32, the second 4-7, 12-15, ...
std::int64_t depthwise_channel(std::int64_t position) {
  const std::int64_t block = position / kDepthwiseBlock, within = position % kDepthwiseBlock;
  const std::int64_t upper = within / 16, lane = within % 16;
  return block * kDepthwiseBlock + lane / 4 * 8 + upper * 4 + lane % 4;
}

std::vector<std::int64_t> channel_order(const ConvGeometry& g) {
  const std::int64_t positions = round_up(g.out_c, g.depthwise ? kDepthwiseBlock : kBlockChannels);
  std::vector<std::int64_t> order;
  for (std::int64_t p = 0; p < positions; ++p) {
    const std::int64_t channel = g.depthwise ? depthwise_channel(p) : p;
    order.push_back(channel < g.out_c ? channel : -1);
  }
  return order;
}

template <typename T>
RoundingTable<T> rounding_table(const MacArithmetic& arithmetic,
                                const std::vector<std::int64_t>& channel_at) {
  RoundingTable<T> table;
  table.half_even = arithmetic.family == Family::P4;
  table.relu = arithmetic.relu;
  const std::size_t count = channel_at.size();
  table.first_shift = AlignedArray<T>(count);
  table.last_shift = AlignedArray<T>(count);
  table.rest_mask = AlignedArray<T>(count);
  // A longer shift leaves nothing more. S3 takes shifts modulo 32 (int8 lanes) or 64 (ESP-DL 3.1).
  constexpr int kLongest = static_cast<int>(8 * sizeof(T)) - 1;
  for (std::size_t p = 0; p < count; ++p) {
    if (channel_at[p] < 0) continue;
    const int shift = arithmetic.shifts[static_cast<std::size_t>(channel_at[p])];
    if (shift == 0) continue;
    int first = shift - 1;
    if (arithmetic.family == Family::S3)
      first &= arithmetic.bits == 8 && channel_at[p] < arithmetic.scalar_from ? 31 : 63;
    first = std::min(first, kLongest);
    table.first_shift[p] = first;
    table.last_shift[p] = 1;
    table.rest_mask[p] = static_cast<T>((std::uint64_t{1} << first) - 1);
  }
  return table;
}

/// The filter in logical order, as int16.
std::vector<std::int16_t> widen(const Tensor& filter) {
  if (filter.dtype() == DType::Int8) {
    const auto elements = filter.data<std::int8_t>();
    return {elements.begin(), elements.end()};
  }
  const auto elements = filter.data<std::int16_t>();
  return {elements.begin(), elements.end()};
}

std::int64_t tap_offset(const ConvPlan& plan, std::int64_t ky, std::int64_t kx) {
  const ConvGeometry& g = plan.geometry;
  return (ky * g.dilation_h * plan.image.width + kx * g.dilation_w) * g.in_c;
}

/// Contiguous elements of a window in the order of the products; the filter's elements are
/// contiguous, too.
struct Run {
  std::int64_t offset, length;
};

std::vector<Run> window_runs(const ConvPlan& plan) {
  const ConvGeometry& g = plan.geometry;
  std::vector<Run> runs;
  const std::int64_t taps_per_run = g.dilation_w == 1 ? g.kernel_w : 1;
  for (std::int64_t ky = 0; ky < g.kernel_h; ++ky)
    for (std::int64_t kx = 0; kx < g.kernel_w; kx += taps_per_run)
      runs.push_back({tap_offset(plan, ky, kx), taps_per_run * g.in_c});
  return runs;
}

void pack_dense(ConvPlan& plan, const MacArithmetic& arithmetic, const std::int16_t* filter) {
  const ConvGeometry& g = plan.geometry;
  const std::vector<Run> runs = window_runs(plan);
  const std::int64_t piece = arithmetic.bits == 8 ? kCheckPairs : kInt16Pairs;
  std::int64_t pairs = 0;
  for (const Run& run : runs) {
    const std::int64_t run_pairs = (run.length + 1) / 2;
    plan.runs.push_back({run.offset, run_pairs});
    for (std::int64_t p = 0; p < run_pairs; p += piece)
      plan.checks.push_back({run.offset + 2 * p, std::min(piece, run_pairs - p)});
    pairs += run_pairs;
  }
  constexpr std::int64_t kPairStride = kBlockChannels * 2;
  plan.block_stride = pairs * kPairStride;
  plan.weights =
      AlignedArray<std::int16_t>(static_cast<std::size_t>(plan.block_stride * plan.blocks()));
  for (std::int64_t n = 0; n < g.out_c; ++n) {
    std::int16_t* to =
        plan.weights.data() + n / kBlockChannels * plan.block_stride + n % kBlockChannels * 2;
    for (const Run& run : runs) {
      for (std::int64_t e = 0; e < run.length; ++e) to[e / 2 * kPairStride + e % 2] = *filter++;
      to += (run.length + 1) / 2 * kPairStride;
    }
  }
}

void pack_depthwise(ConvPlan& plan, const std::int16_t* filter) {
  const ConvGeometry& g = plan.geometry;
  for (std::int64_t ky = 0; ky < g.kernel_h; ++ky)
    for (std::int64_t kx = 0; kx < g.kernel_w; ++kx) plan.taps.push_back(tap_offset(plan, ky, kx));
  const auto taps = static_cast<std::int64_t>(plan.taps.size());
  // The partner of an odd last tap: read again, times zero.
  if (taps % 2 != 0) plan.taps.push_back(plan.taps.back());
  plan.block_stride = static_cast<std::int64_t>(plan.taps.size()) * kDepthwiseBlock;
  plan.weights =
      AlignedArray<std::int16_t>(static_cast<std::size_t>(plan.block_stride * plan.blocks()));
  for (std::size_t p = 0; p < plan.channel_at.size(); ++p) {
    if (plan.channel_at[p] < 0) continue;
    const auto position = static_cast<std::int64_t>(p);
    std::int16_t* to = plan.weights.data() + position / kDepthwiseBlock * plan.block_stride +
                       position % kDepthwiseBlock * 2;
    for (std::int64_t t = 0; t < taps; ++t)
      to[t / 2 * kDepthwiseBlock * 2 + t % 2] = filter[plan.channel_at[p] * taps + t];
  }
}

/// Sums of weights that bound every partial sum of a channel.
void measure_weights(ConvPlan& plan, const MacArithmetic& arithmetic, const std::int16_t* filter) {
  const ConvGeometry& g = plan.geometry;
  const std::size_t count = plan.channel_at.size();
  plan.positive.assign(count, 0);
  plan.negative.assign(count, 0);
  plan.check_magnitude.assign(count, 0);
  const std::int64_t piece = 2 * (arithmetic.bits == 8 ? kCheckPairs : kInt16Pairs);
  const std::vector<Run> runs = window_runs(plan);
  const std::int64_t window = g.kernel_h * g.kernel_w * g.filter_c();
  for (std::size_t p = 0; p < count; ++p) {
    if (plan.channel_at[p] < 0) continue;
    const std::int16_t* w = filter + plan.channel_at[p] * window;
    std::int64_t sum = 0, total = 0, largest = 0;
    for (const Run& run : runs) {
      const std::int64_t length = run.length / g.in_c * g.filter_c();
      for (std::int64_t begin = 0; begin < length; begin += piece) {
        std::int64_t magnitudes = 0;
        for (std::int64_t e = begin; e < std::min(begin + piece, length); ++e) {
          sum += w[e];
          magnitudes += std::abs(w[e]);
        }
        total += magnitudes;
        largest = std::max(largest, magnitudes);
      }
      w += length;
    }
    plan.positive[p] = (total + sum) / 2;
    plan.negative[p] = (total - sum) / 2;
    plan.check_magnitude[p] = largest;
  }
}

std::int64_t magnitude(std::int64_t v) {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  return v == kLeast ? std::numeric_limits<std::int64_t>::max() : v < 0 ? -v : v;
}

/// Whether int32 holds every partial sum of the channel at position p, or may lose the same bits as
/// the chip.
bool fits_32_bits(const ConvPlan& plan, const MacArithmetic& arithmetic, std::size_t p,
                  std::int64_t bias) {
  if (arithmetic.accumulator(plan.channel_at[p]).wraps) return true;
  return magnitude(bias) <=
         kInt32Max - std::min(kInt32Max, 128 * (plan.positive[p] + plan.negative[p]));
}

/// Whether no partial sum of an int16 channel reaches the limit of its register, whatever the
/// input.
bool never_clips(const ConvPlan& plan, const Accumulator& accumulator, std::size_t p,
                 std::int64_t bias) {
  if (!accumulator.clips()) return true;
  const std::int64_t limit = accumulator.limit();
  const std::int64_t products = 32768 * (plan.positive[p] + plan.negative[p]);
  return products <= limit && magnitude(bias) <= limit - products;
}

/// Whether the int16 channel at position p has short sums, whatever the input.
bool has_short_sums(const ConvPlan& plan, std::size_t p) {
  const std::int64_t magnitudes = plan.positive[p] + plan.negative[p];
  const std::int64_t low = 255 * magnitudes + 255;
  const std::int64_t high = 128 * magnitudes + magnitude(plan.bias64[p] >> 8) + (low >> 8);
  if (low > kInt32Max || high > kInt32Max) return false;
  // One bit more than the byte is dropped before the one that rounds: it can stand for the byte.
  const std::int64_t first = plan.rounding64.first_shift[p];
  return plan.rounding64.last_shift[p] == 1 && first > 8 && first < 8 + 31;
}

/// Rounding and biases of short sums.
void shorten(ConvPlan& plan) {
  const std::size_t count = plan.channel_at.size(), blocks = plan.watched.size();
  RoundingTable<std::int32_t>& table = plan.rounding32;
  table.half_even = plan.rounding64.half_even;
  table.relu = plan.rounding64.relu;
  table.first_shift = AlignedArray<std::int32_t>(count);
  table.last_shift = AlignedArray<std::int32_t>(count);
  table.rest_mask = AlignedArray<std::int32_t>(count);
  plan.low_bias = AlignedArray<std::int32_t>(count);
  plan.is_short.assign(blocks, true);
  for (std::size_t p = 0; p < count; ++p) {
    const std::size_t block = p / (count / blocks);
    if (plan.channel_at[p] < 0 || !plan.is_short[block]) continue;
    if (plan.watched[block] || !has_short_sums(plan, p)) {
      plan.is_short[block] = false;
      continue;
    }
    const auto first = static_cast<std::int32_t>(plan.rounding64.first_shift[p] - 8);
    table.first_shift[p] = first;
    table.last_shift[p] = 1;
    table.rest_mask[p] = static_cast<std::int32_t>((std::uint32_t{1} << first) - 1);
    plan.bias32[p] = static_cast<std::int32_t>(plan.bias64[p] >> 8);
    plan.low_bias[p] = static_cast<std::int32_t>(plan.bias64[p] & 255);
  }
}

void set_sums(ConvPlan& plan, const MacArithmetic& arithmetic) {
  const std::size_t count = plan.channel_at.size();
  plan.bias32 = AlignedArray<std::int32_t>(count);
  plan.bias64 = AlignedArray<std::int64_t>(count);
  plan.clip_limit = AlignedArray<std::int32_t>(count);
  plan.booked_limit = AlignedArray<std::int32_t>(count);
  plan.check_limit64 = AlignedArray<std::int64_t>(count);
  plan.watched.assign(static_cast<std::size_t>(plan.blocks()), false);
  for (std::size_t p = 0; p < count; ++p) {
    plan.clip_limit[p] = static_cast<std::int32_t>(kInt32Max);
    const std::int64_t channel = plan.channel_at[p];
    if (channel < 0) continue;
    const std::int64_t bias = arithmetic.bias[static_cast<std::size_t>(channel)];
    const Accumulator& accumulator = arithmetic.accumulator(channel);
    plan.bias64[p] = bias;
    if (arithmetic.bits == 16) {
      const std::int64_t largest =
          accumulator.clips() ? accumulator.limit() : std::numeric_limits<std::int64_t>::max();
      plan.check_limit64[p] = accumulator.clips()
                                  ? largest - largest_excursion(32768 * plan.check_magnitude[p])
                                  : largest;
      if (never_clips(plan, accumulator, p, bias)) continue;
      plan.watched[p / (count / plan.watched.size())] = true;
      if (plan.geometry.depthwise) plan.reference_channels.push_back(channel);
      continue;
    }
    if (!fits_32_bits(plan, arithmetic, p, bias)) {
      plan.reference_channels.push_back(channel);
      continue;
    }
    plan.bias32[p] = static_cast<std::int32_t>(bias);
    if (arithmetic.counts(channel))
      plan.booked_limit[p] = static_cast<std::int32_t>(accumulator.limit());
    if (accumulator.clips() && accumulator.bits < 32) {
      plan.clip_limit[p] = static_cast<std::int32_t>(accumulator.limit());
      plan.clips = true;
    }
  }
}

/// Whether the padded image can be allocated: dilations and pads of a broken file may ask for
/// anything.
bool is_reasonable(const ConvGeometry& g) {
  const std::int64_t height = (g.out_h - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1;
  const std::int64_t width = (g.out_w - 1) * g.stride_w + (g.kernel_w - 1) * g.dilation_w + 1;
  return height <= kLargestImage && width <= kLargestImage / std::max<std::int64_t>(height, 1) &&
         g.in_c <= kLargestImage / std::max<std::int64_t>(height * width, 1);
}

}  // namespace

PaddedImage padded_image(const ConvGeometry& g) {
  PaddedImage image;
  image.height = (g.out_h - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1;
  image.width = (g.out_w - 1) * g.stride_w + (g.kernel_w - 1) * g.dilation_w + 1;
  image.size = image.height * image.width * g.in_c + kSlack;
  return image;
}

std::unique_ptr<ConvPlan> make_plan(const ConvGeometry& geometry, const MacArithmetic& arithmetic,
                                    const Tensor& filter) {
  if (*std::min_element(arithmetic.shifts.begin(), arithmetic.shifts.end()) < 0) return nullptr;
  if (geometry.depthwise && arithmetic.bits == 16 &&
      geometry.kernel_h * geometry.kernel_w > 2 * kInt16Pairs)
    return nullptr;
  if (!is_reasonable(geometry)) return nullptr;
  auto plan = std::make_unique<ConvPlan>();
  plan->geometry = geometry;
  plan->image = padded_image(geometry);
  plan->channel_at = channel_order(geometry);
  if (arithmetic.bits == 8) {
    plan->rounding32 = rounding_table<std::int32_t>(arithmetic, plan->channel_at);
  } else {
    plan->rounding64 = rounding_table<std::int64_t>(arithmetic, plan->channel_at);
  }
  const std::vector<std::int16_t> wide = widen(filter);
  measure_weights(*plan, arithmetic, wide.data());
  set_sums(*plan, arithmetic);
  if (arithmetic.bits == 16) shorten(*plan);
  if (geometry.depthwise) {
    pack_depthwise(*plan, wide.data());
  } else {
    pack_dense(*plan, arithmetic, wide.data());
  }
  return plan;
}

}  // namespace espquant::sim
