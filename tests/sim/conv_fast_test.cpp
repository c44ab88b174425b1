#include <fmt/format.h>
#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include "base/random.h"
#include "sim/conv_reference.h"
#include "sim/mac_engine.h"

namespace espquant::sim {
namespace {

struct Problem {
  ConvGeometry geometry;
  MacArithmetic arithmetic;
  Tensor x, w;
};

/// How large the numbers of a problem are.
enum class Scale { Small, Wide, Extreme };

std::int64_t draw(Random& random, Scale scale, int bits) {
  const std::int64_t hi = (std::int64_t{1} << (bits - 1)) - 1;
  if (scale == Scale::Small) return random.between(-hi / 8, hi / 8);
  if (scale == Scale::Wide) return random.between(-hi - 1, hi);
  return random.below(2) == 0 ? -hi - 1 : hi;
}

Tensor draw_tensor(Random& random, Shape shape, Scale scale, int bits, bool positive) {
  Tensor t(bits == 8 ? DType::Int8 : DType::Int16, std::move(shape));
  for (std::int64_t i = 0; i < t.size(); ++i) {
    std::int64_t q = draw(random, scale, bits);
    if (positive) q = std::max<std::int64_t>(q, 0);
    if (bits == 8) {
      t.mutable_data<std::int8_t>()[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(q);
    } else {
      t.mutable_data<std::int16_t>()[static_cast<std::size_t>(i)] = static_cast<std::int16_t>(q);
    }
  }
  return t;
}

ConvGeometry draw_geometry(Random& random) {
  ConvGeometry g;
  g.depthwise = random.below(3) == 0;
  g.kernel_h = random.between(1, 4);
  g.kernel_w = random.between(1, 4);
  g.stride_h = random.between(1, 3);
  g.stride_w = random.between(1, 3);
  g.dilation_h = random.between(1, 2);
  g.dilation_w = random.between(1, 2);
  const std::int64_t window_h = g.dilation_h * (g.kernel_h - 1) + 1,
                     window_w = g.dilation_w * (g.kernel_w - 1) + 1;
  g.pad_top = random.between(0, window_h - 1);
  g.pad_left = random.between(0, window_w - 1);
  const std::int64_t bottom = random.between(0, window_h - 1),
                     right = random.between(0, window_w - 1);
  g.in_h = random.between(window_h, window_h + 4);
  g.in_w = random.between(window_w, window_w + 9);
  g.out_h = (g.in_h + g.pad_top + bottom - window_h) / g.stride_h + 1;
  g.out_w = (g.in_w + g.pad_left + right - window_w) / g.stride_w + 1;
  g.in_c = random.between(1, random.below(2) == 0 ? 7 : 80);
  g.out_c = g.depthwise ? g.in_c : random.between(1, 70);
  return g;
}

Problem draw_problem(Random& random, const Target& target, int bits, bool saturation) {
  Problem p;
  p.geometry = draw_geometry(random);
  ConvGeometry& g = p.geometry;
  const auto scale = static_cast<Scale>(random.below(3));
  p.x = draw_tensor(random, {1, g.in_h, g.in_w, g.in_c}, scale, bits, random.below(2) == 0);
  p.w = draw_tensor(random, {g.out_c, g.kernel_h, g.kernel_w, g.filter_c()},
                    static_cast<Scale>(random.below(3)), bits, false);
  MacArithmetic& a = p.arithmetic;
  a.bits = bits;
  a.family = target.family;
  a.relu = random.below(3) == 0;
  set_accumulators(a, target, g.out_c, g.depthwise, saturation);
  const bool per_channel = target.per_channel_weights && random.below(2) == 0;
  const auto shift = static_cast<int>(random.between(0, bits == 8 ? 40 : 70));
  // Where real shifts lie, mostly.
  const int usual = static_cast<int>(random.between(4, bits == 8 ? 14 : 30));
  const int base = random.below(4) == 0 ? shift : usual;
  const int bias_bits = static_cast<int>(random.between(1, bits == 8 ? 32 : 45));
  for (std::int64_t n = 0; n < g.out_c; ++n) {
    a.shifts.push_back(per_channel ? static_cast<int>(random.between(0, base)) : base);
    const std::int64_t stored = wrap_bits(static_cast<std::int64_t>(random.next()), bias_bits);
    a.bias.push_back(initial_sum(a, target, n, stored, saturation));
  }
  return p;
}

Tensor run(const Problem& p, KernelChoice kernels, Workspace::Saturation& saturation) {
  const MacEngine engine(p.geometry, p.arithmetic, {.kernels = kernels});
  const MacEngine::Filter filter = engine.load(p.w);
  Tensor y(p.x.dtype(), {1, p.geometry.out_h, p.geometry.out_w, p.geometry.out_c});
  Workspace workspace;
  workspace.saturation = &saturation;
  engine.run(p.x.bytes().data(), filter, y.mutable_bytes().data(), workspace);
  return y;
}

std::string describe(const Problem& p) {
  const ConvGeometry& g = p.geometry;
  return fmt::format(
      "{} in {}x{}x{} out {}x{}x{} kernel {}x{} stride {}x{} dilation {}x{} shift {}",
      g.depthwise ? "depthwise" : "dense", g.in_h, g.in_w, g.in_c, g.out_h, g.out_w, g.out_c,
      g.kernel_h, g.kernel_w, g.stride_h, g.stride_w, g.dilation_h, g.dilation_w,
      p.arithmetic.shifts[0]);
}

/// Limits Highway to one instruction set while it lives.
class OnlyTarget {
 public:
  explicit OnlyTarget(std::int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
  }
  ~OnlyTarget() {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().DeInit();
  }
  OnlyTarget(const OnlyTarget&) = delete;
  OnlyTarget& operator=(const OnlyTarget&) = delete;
};

void expect_equal_kernels(std::uint64_t seed, int problems) {
  Random random(seed);
  for (int i = 0; i < problems; ++i) {
    const Target& target = representative(static_cast<Family>(random.below(3)));
    const int bits = random.below(2) == 0 ? 8 : 16;
    const bool saturation = random.below(4) != 0;
    const Problem p = draw_problem(random, target, bits, saturation);
    Workspace::Saturation fast, reference;
    const Tensor y = run(p, KernelChoice::Fast, fast);
    ASSERT_TRUE(y.equals(run(p, KernelChoice::Reference, reference)))
        << "problem " << i << " of seed " << seed << ": " << target.name << " int" << bits << " "
        << describe(p);
    ASSERT_EQ(fast.saturated, reference.saturated) << describe(p);
  }
}

TEST(FastConv, EqualsTheReference) { expect_equal_kernels(1, 1500); }

TEST(FastConv, EqualsTheReferenceOnEveryInstructionSet) {
  for (const std::int64_t target : {HWY_AVX3_DL, HWY_AVX3, HWY_AVX2, HWY_SSE4, HWY_SSSE3}) {
    if ((hwy::SupportedTargets() & target) == 0) continue;
    const OnlyTarget only(target);
    SCOPED_TRACE(hwy::TargetName(target));
    expect_equal_kernels(2, 200);
  }
}

/// Long sums, so that partial sums come near the limits and stay on either side of them.
TEST(FastConv, EqualsTheReferenceNearTheLimitOfTheLanes) {
  Random random(3);
  int saturated = 0, clean = 0;
  for (int i = 0; i < 60; ++i) {
    Problem p;
    ConvGeometry& g = p.geometry;
    g.in_w = g.out_w = 11;
    g.in_c = random.between(200, 500);
    g.out_c = 32;
    p.x = draw_tensor(random, {1, 1, g.in_w, g.in_c}, Scale::Wide, 8, true);
    p.w = draw_tensor(random, {g.out_c, 1, 1, g.in_c}, Scale::Wide, 8, false);
    MacArithmetic& a = p.arithmetic;
    set_accumulators(a, representative(Family::S3), g.out_c, false, true);
    a.shifts.assign(32, 12);
    a.bias.assign(32, random.between(-500000, 500000));
    Workspace::Saturation fast, reference;
    const Tensor y = run(p, KernelChoice::Fast, fast);
    ASSERT_TRUE(y.equals(run(p, KernelChoice::Reference, reference))) << i;
    ASSERT_EQ(fast.saturated, reference.saturated) << i;
    ASSERT_EQ(fast.outputs, reference.outputs) << i;
    saturated += reference.saturated > 0 ? 1 : 0;
    clean += reference.saturated < reference.outputs ? 1 : 0;
  }
  EXPECT_GT(saturated, 0);
  EXPECT_GT(clean, 0);
}

}  // namespace
}  // namespace espquant::sim
