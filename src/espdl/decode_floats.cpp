#include <algorithm>
#include <cmath>

#include "espdl/wire.h"

namespace espquant::espdl {
namespace {

bool is_plausible_setting(double v) {
  const double magnitude = std::fabs(v);
  return v == 0 ||
         (magnitude > 1e-30 && magnitude < 1e30 && static_cast<double>(static_cast<float>(v)) == v);
}

}  // namespace

/// ESP-PPQ stores n float64 in a list declared as n float32 (reference espppq 6.11). It places them
/// on multiples of 8 bytes and they are float32 values widened, so that their low halves are nearly
/// all zero bits: n such numbers in a row are no float32 list. Our own writer keeps its lists off
/// the multiples of 8 and is never in doubt.
std::vector<float> decode_floats(const flatbuffers::Vector<float>* floats, Wire& wire) {
  if (!floats || floats->size() == 0) return {};
  const std::size_t count = floats->size();
  const auto* data = reinterpret_cast<const std::byte*>(floats->Data());
  const auto offset = static_cast<std::size_t>(data - wire.buffer().data());
  if (offset % sizeof(double) == 0 && (wire.buffer().size() - offset) / sizeof(double) >= count) {
    wire.charge(count * sizeof(double));
    std::vector<double> wide(count);
    std::memcpy(wide.data(), data, count * sizeof(double));
    if (std::all_of(wide.begin(), wide.end(), is_plausible_setting))
      return {wide.begin(), wide.end()};
  }
  return wire.numbers(floats);
}

}  // namespace espquant::espdl
