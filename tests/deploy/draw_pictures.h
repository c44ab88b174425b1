#pragma once

#include <cstdint>
#include <string>

namespace espquant::test {

/// Draws a frame of random size, format and pixels and random settings, and prepares it twice: as
/// generated applications do, and as the program does. Returns the first difference; empty where
/// there is none.
std::string prepare_drawn_picture(std::uint64_t seed);

}  // namespace espquant::test
