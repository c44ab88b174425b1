#include "espdl/package.h"

#include <gtest/gtest.h>

#include "espdl/bytes.h"
#include "espdl/container.h"
#include "espdl/reader.h"
#include "espdl/writer.h"
#include "tests/espdl/expect_error.h"
#include "tests/espdl/sample_model.h"

namespace espquant::espdl {
namespace {

std::vector<std::byte> named_model(const char* name) {
  Model model = sample_model();
  model.name = name;
  return write_model(model);
}

class Packages : public testing::Test {
 protected:
  const std::vector<std::byte> cat_ = named_model("cat"), dog_ = named_model("a dog");
  const Package two_{PackageEdition::Pdl3, "v1.0", {{"cat.espdl", cat_}, {"dog.espdl", dog_}}};
};

TEST_F(Packages, ListWhatWasPacked) {
  for (const auto edition : {PackageEdition::Pdl2, PackageEdition::Pdl3}) {
    Package package = two_;
    package.edition = edition;
    const auto bytes = pack(package);
    ASSERT_TRUE(is_package(bytes));
    const Package opened = open_package(bytes);
    EXPECT_EQ(opened.edition, edition);
    EXPECT_EQ(opened.version, edition == PackageEdition::Pdl3 ? "v1.0" : "");
    ASSERT_EQ(opened.entries.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto& entry = opened.entries[i];
      EXPECT_EQ(entry.name, two_.entries[i].name);
      EXPECT_TRUE(std::equal(entry.file.begin(), entry.file.end(), two_.entries[i].file.begin(),
                             two_.entries[i].file.end()));
      EXPECT_EQ((entry.file.data() - bytes.data()) % 16, 0);
    }
  }
}

TEST_F(Packages, OfTheFirstEditionHaveNoPadding) {
  const std::vector<std::byte> payload(5, std::byte{7});
  const auto file = seal(payload, Edition::Edl1);
  const auto bytes = pack({PackageEdition::Pdl1, "", {{"a", file}, {"b", file}}});
  EXPECT_EQ(bytes.size(), 8 + 2 * 12 + 2 + 2 * file.size());
  EXPECT_EQ(open_package(bytes).find("b").file.size(), file.size());
}

TEST_F(Packages, ModelsAreReadByNameAndByIndex) {
  const auto bytes = pack(two_);
  EXPECT_EQ(read_model(bytes).name, "cat");
  ReadOptions options;
  options.index = 1;
  EXPECT_EQ(read_model(bytes, options).name, "a dog");
  options.name = "cat.espdl";
  EXPECT_EQ(read_model(bytes, options).name, "cat");
  options.name = "cat.espd";
  expect_error(ErrorCode::Usage, "cat.espdl", [&] { read_model(bytes, options); });
  options = {};
  options.index = 2;
  expect_error(ErrorCode::Usage, "no model 2", [&] { read_model(bytes, options); });
  options = {};
  options.name = "cat";
  expect_error(ErrorCode::Usage, "holds one model", [&] { read_model(cat_, options); });
}

TEST_F(Packages, DamageIsFoundByTheDigest) {
  auto bytes = pack(two_);
  bytes[bytes.size() - 1] ^= std::byte{1};
  expect_error(ErrorCode::Malformed, "SHA-256", [&] { open_package(bytes); });
}

TEST_F(Packages, EntriesOutsideTheFileAreRefused) {
  Package package = two_;
  package.edition = PackageEdition::Pdl2;
  const auto good = pack(package);
  for (const std::size_t field :
       {4, 8, 12, 16}) {  // model_num, data offset, name offset, name length
    auto bytes = good;
    store_u32(bytes, field, 0xFFFFFFF0);
    EXPECT_THROW(open_package(bytes), Error) << field;
  }
  for (std::size_t length = 0; length < good.size(); length += 7)
    EXPECT_THROW(open_package(std::span(good).first(length)), Error) << length;
}

TEST_F(Packages, EntriesThatShareBytesAreRefused) {
  Model large = sample_model();
  large.initializers.push_back({"large", Tensor(DType::Int8, {100'000}), {0}, ""});
  const auto file = write_model(large);
  auto bytes = pack({PackageEdition::Pdl2, "", {{"large", file}, {"small", cat_}}});
  ASSERT_EQ(open_package(bytes).entries.size(), 2U);
  store_u32(bytes, 8 + 12, load_u32(bytes, 8));
  expect_error(ErrorCode::Malformed, "overlap", [&] { open_package(bytes); });
}

TEST_F(Packages, WhatCannotBePackedIsRefused) {
  const auto refused = [](const char* why, Package package) {
    expect_error(ErrorCode::Usage, why, [&] { pack(package); });
  };
  refused("no model", {PackageEdition::Pdl3, "", {}});
  refused("15 characters", {PackageEdition::Pdl3, "1234567890123456", {{"a", cat_}}});
  refused("same name", {PackageEdition::Pdl3, "", {{"a", cat_}, {"a", dog_}}});
  refused("no name", {PackageEdition::Pdl3, "", {{"", cat_}}});
  refused("edition", {PackageEdition::Pdl1, "", {{"a", cat_}}});
}

}  // namespace
}  // namespace espquant::espdl
