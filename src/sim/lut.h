#pragma once

#include <array>

#include "sim/prepare.h"

namespace espquant::sim {

/// What an int8 operator of one operand computes for each of the 256 values, from -128 on.
using Int8Table = std::array<std::int8_t, 256>;
inline constexpr int kInt8TableOrigin = 128;

/// Whether the runtime takes the result from the table that the attribute "lut" names: int8 only,
/// for the activations of ESP-DL 3.12.
bool uses_int8_lut(const NodeContext& context);

/// The node as a look-up in the table that its attribute "lut" names, int8 or int16. Throws
/// Error(Illegal) where there is none, or where it does not suit the tensors.
Prepared prepare_table_lookup(const NodeContext& context);

/// out[i] = table[in[i]] for `count` elements.
void look_up(const Int8Table& table, const std::int8_t* in, std::int64_t count, std::int8_t* out);
std::unique_ptr<Kernel> look_up_kernel(const Int8Table& table, std::int64_t count);

}  // namespace espquant::sim
