#include "deploy/templates/main/banks.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "base/error.h"
#include "espdl/banks.h"
#include "espdl/bytes.h"
#include "espdl/writer.h"
#include "tests/deploy/standin/seen_model.h"
#include "tests/fuzz/targets/banked_model.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {
namespace {

/// Where ESP-DL wants a file.
struct alignas(16) Block {
  std::byte bytes[16];
};

std::vector<Block> aligned(const std::vector<std::byte>& bytes) {
  std::vector<Block> blocks((bytes.size() + 15) / 16);
  std::memcpy(blocks.data(), bytes.data(), bytes.size());
  return blocks;
}

}  // namespace

/// What the program reads the device takes, and both make the same models of it.
void fuzz_banks(FuzzInput input) {
  static const espdl::Model model = banked_model();
  static const std::vector<std::byte> file = espdl::write_model(model);
  static const std::vector<Block> flash = aligned(file);
  static const auto head = espdl::write_banks({}, model, file, find_target("esp32s3"));
  // What comes before the contents is made right: nothing else would ever get behind it.
  std::vector<std::byte> bytes(kBanksHead + input.size());
  std::copy_n(head.begin(), kBanksHead, bytes.begin());
  std::copy(input.begin(), input.end(), bytes.begin() + kBanksHead);
  espdl::store_u32(bytes, 8, static_cast<std::uint32_t>(bytes.size()));
  espdl::store_u32(bytes, 12, firmware::bank_checksum(bytes.data() + 16, bytes.size() - 16));

  std::optional<espdl::Banks> read;
  accepted([&] { read = espdl::read_banks(bytes, model, file); });
  dl::Model on_chip(reinterpret_cast<const char*>(flash.data()));
  firmware::Banks banks(&on_chip, bytes.data(), bytes.size());
  if (!read) {
    for (std::size_t b = 0; b < banks.count(); ++b) banks.use(b);
    return;
  }
  promised(banks.error() == nullptr, "the device refuses what the program reads");
  for (std::size_t b = 0; b <= read->banks.size(); ++b) {
    banks.use(b);
    const espdl::Model stands = dl::seen_model(on_chip).as_it_stands();
    const espdl::Model expected = espdl::with_bank(model, *read, b);
    promised(stands.values == expected.values, "exponents differ on the device");
    for (std::size_t c = 0; c < expected.initializers.size(); ++c)
      promised(stands.initializers[c].data.equals(expected.initializers[c].data),
               "a constant differs on the device");
  }
}

}  // namespace espquant::test
