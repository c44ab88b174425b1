#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/tensor.h"

/// The order in which ESP-DL's kernels read filters (reference 4.1). With L lanes (16 for int8, 8
/// for int16, 1 on the C family) and N output channels:
///
///   dense      [N/L][H][W][C][L], then the N%L channels that fill no vector, each as [H][W][C]
///   depthwise  [N/L][H][W][L], then [H][W][N%L]; on the C family [H][W][N]
///
/// A file declares such a filter with dims that name the extents, not the order: see pack_filter().
namespace espquant::espdl {

/// A filter of logical order [N][H][W][C] (depthwise: [N][H][W][1]) in the order of the chip. The
/// result has the dims that files declare: {H,W,C,N}, depthwise {H,W,N,1}; drop the leading 1 for a
/// 1D convolution, and give MatMul's second operand its own {K,N}. int8 and int16 only. Throws
/// Error(BadData) on another rank, type, or C != 1 in a depthwise one.
Tensor pack_filter(const Tensor& logical, bool depthwise, int lanes);

/// The inverse: from the order of the chip, declared as {H,W,C,N} (2D, Gemm), {W,C,N} (1D) or {C,N}
/// (MatMul), depthwise {H,W,N,1} or {W,N,1}, to [N][H][W][C]. Throws Error(Malformed) on other
/// ranks and types.
Tensor unpack_filter(const Tensor& declared, bool depthwise, int lanes);

/// What files write into a filter's doc string: "layout ==> (N/16)HWC16" with "_UNALIGNED" where N
/// % lanes != 0, (N/16)WC16 for `spatial_dims` 1, and NHWC, HWCN, NWC, WCN on the C family.
std::string filter_layout_doc(int spatial_dims, bool depthwise, int lanes,
                              std::int64_t out_channels);

/// What such a doc string says. Blocked layouts do not tell depthwise filters from dense ones.
struct FilterLayout {
  enum class Kind : std::uint8_t { Blocked, Dense, Depthwise };
  int lanes;
  Kind kind;
};

/// Of filter_layout_doc(), or of ESP-PPQ's older spelling "layout ==> N16HWC16"; nothing for other
/// texts.
std::optional<FilterLayout> parse_filter_layout(std::string_view doc);

}  // namespace espquant::espdl
