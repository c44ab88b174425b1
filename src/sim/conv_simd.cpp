#include "sim/conv_simd.h"

#include <cstring>
#include <limits>

#define HWY_WANT_AVX3_DL
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/conv_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
#undef ESPQUANT_HAVE_VNNI
#if HWY_TARGET == HWY_AVX3_DL && HWY_COMPILER_GCC && !HWY_COMPILER_CLANG
// Highway asks the machine for VNNI before it chooses this target, but has no operation for it.
// (Clang does not add to the features of a function.)
#define ESPQUANT_HAVE_VNNI
#pragma GCC target("avx512vnni")
#endif
namespace espquant::sim::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR  // a machine without vectors: the reference serves

bool Available() { return false; }
ValueRange WidenImage(const ConvPlan&, const std::int8_t*, std::int16_t*) { return {}; }
void SplitImage(const ConvPlan&, const std::int16_t*, std::int16_t*, std::int16_t*) {}
void DenseInt8(const ConvPlan&, const std::int16_t*, const std::vector<BlockMode>&,
               const std::int32_t*, std::int8_t*, Workspace::Saturation*) {}
void DenseInt16(const ConvPlan&, const std::int16_t*, const std::int16_t*, std::int16_t*,
                std::vector<Suspect>&) {}
void DepthwiseInt8(const ConvPlan&, const std::int16_t*, const std::vector<BlockMode>&,
                   std::int8_t*, Workspace::Saturation*) {}
void DepthwiseInt16(const ConvPlan&, const std::int16_t*, const std::int16_t*, std::int16_t*) {}

#else

bool Available() { return true; }

// Each builds on the one before.
// clang-format off
#include "sim/conv_simd_vectors-inl.h"
#include "sim/conv_simd_dense-inl.h"
#include "sim/conv_simd_depthwise-inl.h"
// clang-format on

/// Calls copy(from, to, elements) for the part of every row that lies on the image, and clears the
/// rest.
template <typename T, class Copy, class Clear>
HWY_INLINE void FillImage(const ConvPlan& plan, const T* x, const Copy& copy, const Clear& clear) {
  const ConvGeometry& g = plan.geometry;
  const std::int64_t row = plan.image.width * g.in_c;
  const std::int64_t left = g.pad_left, right = std::min(plan.image.width, left + g.in_w);
  for (std::int64_t r = 0; r < plan.image.height; ++r) {
    const std::int64_t iy = r - g.pad_top;
    if (iy < 0 || iy >= g.in_h || right <= left) {
      clear(r * row, row);
      continue;
    }
    clear(r * row, left * g.in_c);
    copy(x + iy * g.in_w * g.in_c, r * row + left * g.in_c, (right - left) * g.in_c);
    clear(r * row + right * g.in_c, row - right * g.in_c);
  }
  clear(plan.image.height * row, plan.image.size - plan.image.height * row);
}

ValueRange WidenImage(const ConvPlan& plan, const std::int8_t* x, std::int16_t* image) {
  const hn::Rebind<std::int8_t, D16> d8;
  const D16 d16;
  V16 lo = hn::Zero(d16), hi = hn::Zero(d16);
  const auto copy = [&](const std::int8_t* from, std::int64_t to, std::int64_t count) HWY_ATTR {
    std::int64_t i = 0;
    for (; i + kStep <= count; i += kStep) {
      const V16 v = hn::PromoteTo(d16, hn::LoadU(d8, from + i));
      lo = hn::Min(lo, v);
      hi = hn::Max(hi, v);
      hn::StoreU(v, d16, image + to + i);
    }
    for (; i < count; ++i) {
      image[to + i] = from[i];
      lo = hn::Min(lo, hn::Set(d16, from[i]));
      hi = hn::Max(hi, hn::Set(d16, from[i]));
    }
  };
  const auto clear = [&](std::int64_t at, std::int64_t count) HWY_ATTR {
    std::memset(image + at, 0, static_cast<std::size_t>(count) * sizeof(std::int16_t));
  };
  FillImage(plan, x, copy, clear);
  return {hn::GetLane(hn::MinOfLanes(d16, lo)), hn::GetLane(hn::MaxOfLanes(d16, hi))};
}

void SplitImage(const ConvPlan& plan, const std::int16_t* x, std::int16_t* high,
                std::int16_t* low) {
  const auto copy = [&](const std::int16_t* from, std::int64_t to, std::int64_t count) HWY_ATTR {
    for (std::int64_t i = 0; i < count; ++i) {
      high[to + i] = static_cast<std::int16_t>(from[i] >> 8);
      low[to + i] = static_cast<std::int16_t>(from[i] & 255);
    }
  };
  const auto clear = [&](std::int64_t at, std::int64_t count) HWY_ATTR {
    std::memset(high + at, 0, static_cast<std::size_t>(count) * sizeof(std::int16_t));
    std::memset(low + at, 0, static_cast<std::size_t>(count) * sizeof(std::int16_t));
  };
  FillImage(plan, x, copy, clear);
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace espquant::sim::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espquant::sim {

HWY_EXPORT(Available);
HWY_EXPORT(WidenImage);
HWY_EXPORT(SplitImage);
HWY_EXPORT(DenseInt8);
HWY_EXPORT(DenseInt16);
HWY_EXPORT(DepthwiseInt8);
HWY_EXPORT(DepthwiseInt16);

bool vector_kernels_available() { return HWY_DYNAMIC_DISPATCH(Available)(); }

ValueRange widen_image(const ConvPlan& plan, const std::int8_t* x, std::int16_t* image) {
  return HWY_DYNAMIC_DISPATCH(WidenImage)(plan, x, image);
}

void split_image(const ConvPlan& plan, const std::int16_t* x, std::int16_t* high,
                 std::int16_t* low) {
  HWY_DYNAMIC_DISPATCH(SplitImage)(plan, x, high, low);
}

void dense_int8(const ConvPlan& plan, const std::int16_t* image,
                const std::vector<BlockMode>& modes, const std::int32_t* check_limit,
                std::int8_t* y, Workspace::Saturation* books) {
  HWY_DYNAMIC_DISPATCH(DenseInt8)(plan, image, modes, check_limit, y, books);
}

void dense_int16(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                 std::int16_t* y, std::vector<Suspect>& suspects) {
  HWY_DYNAMIC_DISPATCH(DenseInt16)(plan, high, low, y, suspects);
}

void depthwise_int8(const ConvPlan& plan, const std::int16_t* image,
                    const std::vector<BlockMode>& modes, std::int8_t* y,
                    Workspace::Saturation* books) {
  HWY_DYNAMIC_DISPATCH(DepthwiseInt8)(plan, image, modes, y, books);
}

void depthwise_int16(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                     std::int16_t* y) {
  HWY_DYNAMIC_DISPATCH(DepthwiseInt16)(plan, high, low, y);
}

}  // namespace espquant::sim
#endif
