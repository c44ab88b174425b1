#include "deploy/chip_facts.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace espquant::deploy {
namespace {

using std::string_view_literals::operator""sv;

constexpr auto kUsb = "/dev/ttyACM0"sv, kUart = "/dev/ttyUSB0"sv;

constexpr std::array kChips = {
    ChipFacts{"esp32s3", 8, 380, "5.3", "ESP32S3_EYE", true, {39, 38, 40, 41}, kUsb},
    ChipFacts{"esp32p4", 16, 560, "5.3", "", true, {43, 44, 39, 42}, kUsb},
    ChipFacts{"esp32s31", 16, 400, "6.0", "", true, {43, 44, 39, 42}, kUsb},
    ChipFacts{"esp32", 4, 280, "5.3", "AI_THINKER", true, {14, 15, 2, 13}, kUart},
    ChipFacts{"esp32s2", 4, 230, "5.3", "ESP32S2_KALUGA", false, {14, 15, 2, 13}, kUart},
    ChipFacts{"esp32c2", 4, 190, "5.3", "", false, {5, 6, 4, 1}, kUart},
    ChipFacts{"esp32c3", 4, 320, "5.3", "", false, {5, 6, 4, 1}, kUsb},
    ChipFacts{"esp32c5", 4, 280, "5.5", "", false, {5, 6, 4, 1}, kUsb},
    ChipFacts{"esp32c6", 4, 420, "5.3", "", false, {5, 6, 4, 1}, kUsb},
};

}  // namespace

const ChipFacts& chip_facts(const Target& target) {
  const auto found = std::find_if(kChips.begin(), kChips.end(),
                                  [&](const ChipFacts& c) { return c.name == target.name; });
  if (found == kChips.end())
    throw Error(ErrorCode::Usage, "a project is for one chip, the file is for a family of them")
        .remedy("Name the chip: --target esp32c3, for instance");
  return *found;
}

}  // namespace espquant::deploy
