#include <gtest/gtest.h>

#include "base/random.h"
#include "espdl/bytes.h"
#include "espdl/info.h"
#include "espdl/package.h"
#include "espdl/reader.h"
#include "espdl/writer.h"
#include "tests/espdl/sample_model.h"

namespace espquant::espdl {
namespace {

/// The bytes are read, and then can be written and shown, or an Error says that the input is at
/// fault.
bool is_read(std::span<const std::byte> file) {
  try {
    const Model model = read_model(file);
    write_model(model);
    info_text(model);
    return true;
  } catch (const Error& e) {
    EXPECT_NE(e.code(), ErrorCode::Internal) << e.what();
    return false;
  }
}

TEST(HostileFiles, CutAnywhereAreRefused) {
  const auto file = write_model(sample_model());
  ASSERT_TRUE(is_read(file));
  for (std::size_t length = 0; length < file.size(); ++length)
    EXPECT_FALSE(is_read(std::span(file).first(length))) << length;
}

TEST(HostileFiles, WithAShortenedPayloadNeverCrash) {
  const auto file = write_model(sample_model());
  for (std::size_t length = 16; length < file.size(); ++length) {
    auto cut = std::vector(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(length));
    store_u32(cut, 8, static_cast<std::uint32_t>(length - 16));
    is_read(cut);
  }
}

TEST(HostileFiles, WithAnyBitFlippedNeverCrash) {
  const auto file = write_model(sample_model());
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    auto damaged = file;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    if (!is_read(damaged)) ++refused;
  }
  EXPECT_GT(refused, file.size()) << "the checks see little";
}

TEST(HostileFiles, WithManyBytesChangedNeverCrash) {
  const auto file = write_model(sample_model());
  Random random(1);
  for (int round = 0; round < 4000; ++round) {
    auto damaged = file;
    for (std::uint64_t i = 1 + random.below(8); i > 0; --i)
      damaged[16 + random.below(file.size() - 16)] = static_cast<std::byte>(random.below(256));
    is_read(damaged);
  }
}

TEST(HostileFiles, PackagesWithAnyBitFlippedNeverCrash) {
  const auto model = write_model(sample_model());
  const auto package = pack({PackageEdition::Pdl2, "", {{"a", model}, {"b", model}}});
  for (std::size_t bit = 0; bit < 80 * 8; ++bit) {
    auto damaged = package;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    is_read(damaged);
  }
}

}  // namespace
}  // namespace espquant::espdl
