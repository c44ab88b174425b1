#include <algorithm>
#include <array>
#include <cmath>

#include "target/target.h"
#include "tests/fuzz/instruction_sets.h"
#include "tests/fuzz/kernel_problem.h"

/// Where random problems lie: mostly small, around the edges at which kernels change (blocks of
/// channels, tails, limits of lanes), some as large as real layers.
namespace espquant::test {
namespace {

template <std::size_t N>
std::string_view pick(Random& random, const std::array<std::string_view, N>& names) {
  return names[random.below(N)];
}

bool one_in(Random& random, std::uint64_t n) { return random.below(n) == 0; }

std::int64_t largest(const KernelProblem& p) { return p.bits == 8 ? 127 : 32767; }

bool is_one_dimensional(const KernelProblem& p) {
  return p.op == "conv1d" || p.op == "depthwise1d";
}
bool is_product(const KernelProblem& p) { return p.op == "gemm" || p.op == "matmul"; }
bool is_depthwise(const KernelProblem& p) { return p.op.starts_with("depthwise"); }

/// Products of a problem that the reference computes in about 0.1, 1 or 15 ms.
std::int64_t draw_budget(Random& random) {
  const std::uint64_t kind = random.below(20);
  return kind == 0 ? 5'000'000 : kind < 6 ? 300'000 : 30'000;
}

/// Mostly few, or near a multiple of a block of 8 to 32.
std::int64_t draw_channels(Random& random, std::int64_t most) {
  const std::uint64_t kind = random.below(4);
  std::int64_t channels = random.between(1, 9);
  if (kind == 1) channels = 8 * random.between(1, 9) + random.between(-1, 1);
  if (kind == 2) channels = random.between(1, 80);
  if (kind == 3) channels = random.between(1, 1500);
  return std::clamp<std::int64_t>(channels, 1, std::max<std::int64_t>(most, 1));
}

/// Extents of one axis whose windows all touch the input.
void draw_axis(Random& random, KernelProblem& p, std::size_t axis, std::int64_t most_outputs) {
  p.kernel[axis] = one_in(random, 12) ? random.between(1, 17) : random.between(1, 4);
  p.stride[axis] = one_in(random, 8) ? random.between(1, 7) : random.between(1, 2);
  p.dilation[axis] = one_in(random, 4) ? random.between(1, 3) : 1;
  const std::int64_t window = p.dilation[axis] * (p.kernel[axis] - 1) + 1;
  p.pads[axis] = one_in(random, 2) ? random.between(0, window - 1) : 0;
  p.pads[axis + 2] = one_in(random, 2) ? random.between(0, window - 1) : p.pads[axis];
  const std::int64_t least = std::max<std::int64_t>(window - p.pads[axis] - p.pads[axis + 2], 1);
  p.in[axis] = least + random.between(0, p.stride[axis] * most_outputs);
}

void draw_window(Random& random, KernelProblem& p, std::int64_t budget) {
  draw_axis(random, p, 0, 1);
  draw_axis(random, p, 1, 1);
  if (is_one_dimensional(p)) {
    p.in[0] = p.kernel[0] = p.stride[0] = p.dilation[0] = 1;
    p.pads[0] = p.pads[2] = 0;
  }
  const std::int64_t taps = p.kernel[0] * p.kernel[1];
  const bool per_channel = is_depthwise(p) || p.op.ends_with("pool");
  p.in_c = draw_channels(random, budget / taps);
  p.out_c = per_channel ? p.in_c : draw_channels(random, budget / taps / p.in_c);
  const std::int64_t per_pixel = taps * p.in_c * (per_channel ? 1 : p.out_c);
  const std::int64_t pixels = std::max<std::int64_t>(budget / per_pixel, 1);
  const auto side = static_cast<std::int64_t>(std::sqrt(static_cast<double>(pixels)));
  if (!is_one_dimensional(p)) p.in[0] += random.between(0, p.stride[0] * std::min(side, 40L));
  p.in[1] += random.between(0, p.stride[1] * std::min(is_one_dimensional(p) ? pixels : side, 90L));
}

void draw_product(Random& random, KernelProblem& p, std::int64_t budget) {
  p.in_c = draw_channels(random, budget);
  p.out_c = draw_channels(random, budget / p.in_c);
  p.in[1] = random.between(1, std::clamp<std::int64_t>(budget / p.in_c / p.out_c, 1, 70));
  if (p.op == "gemm") return;
  p.w_constant = random.between(0, 1);
  const std::int64_t matrices = random.between(1, 3);
  p.x_batch = one_in(random, 3) ? 1 : matrices;
  p.w_batch = one_in(random, 3) ? 1 : matrices;
  p.native = random.between(0, 1);
}

/// Values of one operand: all there are, small ones, of one sign, extremes only.
void draw_values(Random& random, std::int64_t limit, std::int64_t& low, std::int64_t& high,
                 std::int64_t& ends, std::int64_t& zeros) {
  low = -limit - 1;
  high = limit;
  switch (random.below(6)) {
    case 0:
      low = -limit / 8;
      high = limit / 8;
      break;
    case 1:
      low = 0;
      break;
    case 2:
      low = random.between(-limit - 1, limit);
      high = random.between(low, limit);
      break;
    case 3:
      ends = 1;
      break;
    default:
      break;
  }
  if (one_in(random, 6)) zeros = random.between(1, 99);
}

/// Weights with which the sums come near the limit of the lanes, on either side of it.
void aim_at_limit(Random& random, KernelProblem& p) {
  const Target& target = find_target(p.target);
  const int limit_bits = target.accumulator_bits(static_cast<int>(p.bits)) - 1;
  const std::int64_t taps = p.kernel[0] * p.kernel[1] * (is_depthwise(p) ? 1 : p.in_c);
  const double mean = static_cast<double>(std::max(std::abs(p.x_low), std::abs(p.x_high))) / 2 + 1;
  const double aimed = std::ldexp(1.0, limit_bits) * std::exp2(random.uniform(-2, 3)) /
                       (mean * static_cast<double>(taps));
  const auto amplitude =
      static_cast<std::int64_t>(std::clamp(aimed, 1.0, static_cast<double>(largest(p))));
  p.w_low = one_in(random, 2) ? -amplitude : -amplitude / 4;
  p.w_high = amplitude;
  p.w_ends = random.between(0, 1);
}

/// Equal products whose sum ends within two of the limit of the lanes.
void step_to_the_brink(Random& random, KernelProblem& p) {
  const int limit_bits = find_target(p.target).accumulator_bits(static_cast<int>(p.bits)) - 1;
  p.x_low = p.x_high = random.between(-largest(p) - 1, largest(p));
  p.w_low = p.w_high = random.between(-largest(p) - 1, largest(p));
  p.x_zeros = p.w_zeros = 0;
  const std::int64_t terms = p.kernel[0] * p.kernel[1] * (is_depthwise(p) ? 1 : p.in_c);
  const std::int64_t limit = limit_bits < 63 ? (std::int64_t{1} << limit_bits) - 1 : 0;
  const std::int64_t products = p.x_low * p.w_low * terms;
  const std::int64_t aimed = (one_in(random, 2) ? limit : -limit - 1) - products;
  const std::int64_t widest = p.bits == 8 ? INT32_MAX - 2 : INT64_MAX / 4;
  if (std::abs(aimed) > widest) return;
  p.bias_low = aimed - 2;
  p.bias_high = aimed + 2;
}

/// Mostly a shift after which the outputs are spread over their range.
std::int64_t draw_shift(Random& random, const KernelProblem& p, std::int64_t terms) {
  const auto size = [](std::int64_t low, std::int64_t high) {
    return std::log2(static_cast<double>(std::max(std::abs(low), std::abs(high))) + 1);
  };
  const double sum_bits = size(p.x_low, p.x_high) + size(p.w_low, p.w_high) +
                          std::log2(static_cast<double>(terms)) * random.uniform(0.3F, 1.0F);
  const auto usual = static_cast<std::int64_t>(sum_bits) - p.bits + random.between(-1, 2);
  switch (random.below(8)) {
    case 0:
      return random.between(0, 8);
    case 1:
      return random.between(0, p.bits == 8 ? 40 : 70);
    default:
      return std::max<std::int64_t>(usual, 0);
  }
}

/// W8A16, where there is such a kernel: the weights drawn for 16 bits, brought into 8.
void narrow_weights(Random& random, KernelProblem& p) {
  const bool constant = p.op != "matmul" || p.w_constant != 0;
  if (p.bits != 16 || is_depthwise(p) || !constant || !one_in(random, 2)) return;
  p.w_bits = 8;
  const bool fits = p.w_low >= -128 && p.w_high <= 127;
  if (fits) return;
  p.w_low = p.w_low < 0 ? -128 : 0;
  p.w_high = p.w_high > 0 ? 127 : 0;
}

void draw_arithmetic(Random& random, KernelProblem& p) {
  draw_values(random, largest(p), p.x_low, p.x_high, p.x_ends, p.x_zeros);
  draw_values(random, largest(p), p.w_low, p.w_high, p.w_ends, p.w_zeros);
  if (one_in(random, 3)) aim_at_limit(random, p);
  p.x_e = random.between(-12, 2);
  p.w_e = random.between(-12, 2);
  const std::int64_t terms = p.kernel[0] * p.kernel[1] * (is_depthwise(p) ? 1 : p.in_c);
  const std::int64_t shift = draw_shift(random, p, terms);
  p.y_e = p.x_e + p.w_e + shift;
  if (p.op != "matmul") {
    if (p.target == "esp32p4" && one_in(random, 2))
      p.w_spread = random.between(0, std::min<std::int64_t>(shift, 9));
    if (!one_in(random, 3)) {
      p.bias_high = (std::int64_t{1} << random.between(0, p.bits == 8 ? 31 : 44)) - 1;
      p.bias_low = -p.bias_high - 1;
    }
    if (one_in(random, 12)) step_to_the_brink(random, p);
  }
  if ((p.target == "c" || p.native != 0) && one_in(random, 20))
    p.y_e -= shift + random.between(1, 5);
  p.relu = one_in(random, 3) ? 1 : 0;
  p.saturation = one_in(random, 5) ? 0 : 1;
  p.traced = one_in(random, 3) ? 1 : 0;
}

/// Shapes of up to four axes that broadcast; sometimes rows of many elements.
void draw_broadcast(Random& random, KernelProblem& p) {
  p.a.clear();
  p.b.clear();
  for (std::int64_t axes = random.between(1, 4); axes > 0; --axes) {
    const std::int64_t extent =
        axes == 1 && one_in(random, 3) ? random.between(1, 300) : random.between(1, 12);
    const std::uint64_t kind = random.below(4);
    p.a.push_back(kind == 0 ? 1 : extent);
    p.b.push_back(kind == 1 ? 1 : extent);
  }
  if (one_in(random, 4)) p.b.erase(p.b.begin(), p.b.begin() + random.between(0, std::ssize(p.b)));
}

void draw_transpose(Random& random, KernelProblem& p) {
  p.a.clear();
  p.perm.clear();
  const std::int64_t axes = random.between(1, 6);
  for (std::int64_t axis = 0; axis < axes; ++axis) {
    p.a.push_back(axes < 4 && one_in(random, 3) ? random.between(1, 90) : random.between(1, 7));
    p.perm.insert(p.perm.begin() + random.between(0, axis), axis);
  }
}

void draw_element_wise(Random& random, KernelProblem& p) {
  draw_values(random, largest(p), p.x_low, p.x_high, p.x_ends, p.x_zeros);
  draw_values(random, largest(p), p.w_low, p.w_high, p.w_ends, p.w_zeros);
  p.x_e = random.between(-12, 2);
  p.w_e = p.op == "mul" ? random.between(-12, 2) : p.x_e;
  p.y_e = p.x_e;
  if (p.op == "mul") p.y_e += p.w_e + draw_shift(random, p, 1);
  if (p.op == "average_pool") p.y_e += random.between(-6, 6);
  p.p4_vector = random.between(0, 1);
}

}  // namespace

KernelProblem draw_problem(Random& random) {
  static constexpr std::array<std::string_view, 20> kOps = {
      "conv",   "conv", "conv",      "conv",        "conv",     "conv",        "conv1d",
      "conv1d", "gemm", "gemm",      "matmul",      "matmul",   "depthwise",   "depthwise",
      "mul",    "add",  "depthwise", "depthwise1d", "max_pool", "average_pool"};
  static constexpr std::array<std::string_view, 5> kTargets = {"esp32s3", "esp32s3", "esp32s3",
                                                               "esp32p4", "c"};
  KernelProblem p;
  p.op = one_in(random, 25) ? "transpose" : pick(random, kOps);
  p.target = pick(random, kTargets);
  p.bits = one_in(random, 3) ? 16 : 8;
  const std::int64_t budget = draw_budget(random) / (p.bits == 16 ? 2 : 1);
  if (p.op == "transpose") {
    draw_transpose(random, p);
    draw_element_wise(random, p);
  } else if (p.op == "mul" || p.op == "add") {
    draw_broadcast(random, p);
    draw_element_wise(random, p);
  } else if (p.op.ends_with("pool")) {
    draw_window(random, p, budget / 4);
    p.dilation = {1, 1};
    draw_element_wise(random, p);
  } else {
    is_product(p) ? draw_product(random, p, budget) : draw_window(random, p, budget);
    draw_arithmetic(random, p);
    narrow_weights(random, p);
    if (one_in(random, 2)) p.isa = vector_sets()[random.below(vector_sets().size())];
  }
  p.seed = static_cast<std::int64_t>(random.next() >> 40);
  return p;
}

}  // namespace espquant::test
