#pragma once

#include "sim/conv_problem.h"

namespace espquant::sim {

/// The rules, one by one: every product in the chip's order, every clip where the chip clips. x is
/// [H][W][C], w is [N][KH][KW][C] (logical order), y is [OH][OW][N]. Only output channels in
/// [first_channel, last_channel) are computed. T is int8_t or int16_t; W is the same, or int8_t
/// below int16_t. Adds to `saturation` when it is not null.
template <typename T, typename W>
void conv_reference(const ConvGeometry& geometry, const MacArithmetic& arithmetic, const T* x,
                    const W* w, T* y, std::int64_t first_channel, std::int64_t last_channel,
                    Workspace::Saturation* saturation);

/// One output element of the same, at row oy, column ox.
template <typename T, typename W>
T conv_reference_element(const ConvGeometry& geometry, const MacArithmetic& arithmetic, const T* x,
                         const W* w, std::int64_t oy, std::int64_t ox, std::int64_t channel,
                         Workspace::Saturation* saturation);

}  // namespace espquant::sim
