#pragma once

#include <cstdint>
#include <vector>

#include "sim/conv_plan.h"

/// The vector kernels, compiled per instruction set and chosen at run time. Exact; conv_reference.h
/// says what they must equal.
namespace espquant::sim {

/// The least and the largest of zero and the elements of an image.
struct ValueRange {
  std::int32_t lo = 0, hi = 0;
};

/// How the sums of a block of channels are computed.
enum class BlockMode : std::uint8_t {
  Plain,    ///< no partial sum can reach the limit
  Checked,  ///< partial sums are watched, and computed again, clipped, where one might have reached
            ///< it
  Clipped,  ///< clipped after every product
  Traced,   ///< how near the limit every partial sum comes, and clipped where one passes it
};

/// Whether this machine has vectors that the kernels below can use; the others must not be called
/// without.
bool vector_kernels_available();

/// int8 [H][W][C] to the padded int16 image. Returns the range of the elements.
ValueRange widen_image(const ConvPlan& plan, const std::int8_t* x, std::int16_t* image);

/// int16 [H][W][C] to two padded images, x = 256 * high + low with 0 <= low <= 255.
void split_image(const ConvPlan& plan, const std::int16_t* x, std::int16_t* high,
                 std::int16_t* low);

/// `modes` has an entry per block. `books`, when not null, receives the outputs that a lane's limit
/// touched; from Traced blocks everything, which must not be null then. `check_limit`, per
/// position, is what |partial sum| may be at a check (Checked).
void dense_int8(const ConvPlan& plan, const std::int16_t* image,
                const std::vector<BlockMode>& modes, const std::int32_t* check_limit,
                std::int8_t* y, Workspace::Saturation* books);
void depthwise_int8(const ConvPlan& plan, const std::int16_t* image,
                    const std::vector<BlockMode>& modes, std::int8_t* y,
                    Workspace::Saturation* books);

/// An output whose 40-bit register might have clipped.
struct Suspect {
  std::int64_t pixel, channel;
};

/// Outputs of which a register might have clipped are listed, for the reference to compute.
void dense_int16(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                 std::int16_t* y, std::vector<Suspect>& suspects);
void depthwise_int16(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                     std::int16_t* y);

}  // namespace espquant::sim
