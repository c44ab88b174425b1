#include "espdl/package.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "espdl/bytes.h"
#include "tests/e2e/program.h"

namespace espquant::test {
namespace {

class Package : public testing::Test {
 protected:
  void SetUp() override {
    write_relu_model(cat);
    write_untested_model(dog);
  }

  Outcome pack(std::vector<std::string> options = {}) {
    std::vector<std::string> words{"package", "pack", cat, dog, "--out", packed};
    words.insert(words.end(), options.begin(), options.end());
    return run_program(words);
  }
  void write(const std::string& path, std::span<const std::byte> bytes) {
    OutputFiles files;
    files.add(path, bytes);
    files.commit();
  }
  /// A package whose models have these names.
  void write_named(const std::vector<std::string>& names) {
    const auto model = read_file(cat);
    espdl::Package package;
    for (const auto& name : names) package.entries.push_back({name, model});
    write(packed, espdl::pack(package));
  }

  TemporaryFolder folder;
  const std::string cat = folder.path("cat.espdl"), dog = folder.path("dog.espdl"),
                    packed = folder.path("both.pdl"), out = folder.path("out");
};

TEST_F(Package, ComesApartAsItWentTogether) {
  for (const char* format : {"pdl2", "PDL3"}) {
    ASSERT_EQ(pack({"--format", format}).exit_code, 0);
    const std::string into = folder.path(format);
    const auto outcome = run_program({"package", "extract", packed, "--out", into});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(read_file(into + "/cat.espdl"), read_file(cat));
    EXPECT_EQ(read_file(into + "/dog.espdl"), read_file(dog));
  }
}

TEST_F(Package, ComesWithWhatItsModelsNeedOfTheRuntime) {
  const std::string request = folder.path("both.compile_req.yml");
  ASSERT_EQ(pack({"--no-compile-req"}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(request));
  ASSERT_EQ(pack().exit_code, 0);
  const auto bytes = read_file(request);
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_EQ(text,
            "# for cat.espdl (esp32s3), dog.espdl (esp32s3)\n"
            "ops:\n  - Relu\n  - RequantizeLinear\nkernels: []\n");
}

TEST_F(Package, OfTheFirstEditionTakesEdl1) {
  EXPECT_EQ(pack({"--format", "pdl1"}).exit_code, 2);  // these are EDL2
  EXPECT_FALSE(std::filesystem::exists(packed));
  auto model = read_file(cat);
  // EDL1: no padding behind the header. Its tensors count in bytes, which is not looked at here.
  model[3] = std::byte{'1'};
  model[4] = std::byte{1};  // encrypted, so that it is taken as it is
  model.erase(model.begin() + 12, model.begin() + 16);
  write(folder.path("old.espdl"), model);
  ASSERT_EQ(run_program(
                {"package", "pack", folder.path("old.espdl"), "--format", "pdl1", "--out", packed})
                .exit_code,
            0);
  const auto json = nlohmann::json::parse(run_program({"package", "list", packed, "--json"}).out);
  EXPECT_EQ(json["format"], "PDL1");
  EXPECT_EQ(json["models"][0]["container"], "EDL1");
}

TEST_F(Package, IsListed) {
  ASSERT_EQ(pack({"--package-version", "v1.2"}).exit_code, 0);
  const auto text = run_program({"package", "list", packed});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  for (const char* part : {"PDL3", "v1.2", "cat.espdl", "dog.espdl", "esp32s3"})
    EXPECT_NE(text.out.find(part), std::string::npos) << part << " in\n" << text.out;
  const auto json = nlohmann::json::parse(run_program({"package", "list", packed, "--json"}).out);
  EXPECT_EQ(json["version"], "v1.2");
  EXPECT_EQ(json["models"][1]["name"], "dog.espdl");
  EXPECT_EQ(json["models"][0]["bytes"], std::filesystem::file_size(cat));
  EXPECT_EQ(json["models"][0]["nodes"], 1);
}

TEST_F(Package, JsonSaysWhatWasWritten) {
  const auto packing = nlohmann::json::parse(pack({"--json"}).out);
  EXPECT_EQ(packing["files"][0], packed);
  const auto extracting = nlohmann::json::parse(
      run_program({"package", "extract", packed, "--out", out, "--json"}).out);
  EXPECT_EQ(extracting["files"],
            (std::vector<std::string>{out + "/cat.espdl", out + "/dog.espdl"}));
}

TEST_F(Package, GivesOneModelByName) {
  ASSERT_EQ(pack().exit_code, 0);
  ASSERT_EQ(
      run_program({"package", "extract", packed, "--model", "dog.espdl", "--out", out}).exit_code,
      0);
  EXPECT_FALSE(std::filesystem::exists(out + "/cat.espdl"));
  EXPECT_EQ(read_file(out + "/dog.espdl"), read_file(dog));
  expect_one_error(run_program({"package", "extract", packed, "--model", "dog", "--out", out}), 2,
                   "dog.espdl");
  EXPECT_EQ(run_program({"verify", packed, "--model", "cat.espdl"}).exit_code, 0);
}

TEST_F(Package, NamesCannotLeaveTheFolder) {
  write_named({"../../escaped", "/etc/passwd", ".hidden.espdl", std::string("a\0b\n", 4)});
  const auto outcome = run_program({"package", "extract", packed, "--out", out});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* name :
       {"_.._.._escaped.espdl", "_etc_passwd.espdl", "_.hidden.espdl", "a_b_.espdl"})
    EXPECT_TRUE(std::filesystem::exists(out + "/" + name)) << name << '\n' << outcome.out;
  EXPECT_EQ(folder.entries(),
            (std::vector<std::string>{"both.pdl", "cat.espdl", "dog.espdl", "out"}));
}

TEST_F(Package, NothingIsWrittenOverOrHalf) {
  write_named({"a/b", "a:b"});
  expect_one_error(run_program({"package", "extract", packed, "--out", out}), 1, "a_b.espdl");
  EXPECT_FALSE(std::filesystem::exists(out));
  write_named({"new.espdl", "cat.espdl"});
  expect_one_error(run_program({"package", "extract", packed, "--out", folder.path("")}), 1,
                   "exists already");
  EXPECT_FALSE(std::filesystem::exists(folder.path("new.espdl")));
}

TEST_F(Package, DamageIsRefusedByEveryCommand) {
  ASSERT_EQ(pack({"--format", "pdl2"}).exit_code, 0);
  const auto good = read_file(packed);
  auto outside = good;
  espdl::store_u32(outside, 8, 0xFFFFFFF0);
  auto many = good;
  espdl::store_u32(many, 4, 0x10000000);
  const std::vector<std::byte> cut(good.begin(), good.begin() + 40);
  for (const auto& damaged : {outside, many, cut}) {
    write(packed, damaged);
    expect_one_error(run_program({"package", "list", packed}), 1, "both.pdl");
    expect_one_error(run_program({"package", "extract", packed, "--out", out}), 1, "both.pdl");
    EXPECT_FALSE(std::filesystem::exists(out));
  }
  write_named({"cat.espdl"});
  auto changed = read_file(packed);
  changed.back() ^= std::byte{1};
  write(packed, changed);
  expect_one_error(run_program({"package", "list", packed}), 1, "SHA-256");
}

TEST_F(Package, WhatIsNoModelIsNotPacked) {
  write_text(folder.path("text.espdl"), "a text");
  expect_one_error(
      run_program({"package", "pack", cat, folder.path("text.espdl"), "--out", packed}), 1,
      "text.espdl");
  expect_one_error(run_program({"package", "pack", cat, cat, "--out", packed}), 2, "same name");
  expect_one_error(run_program({"package", "pack", cat, "--out", cat}), 2, "replace");
  EXPECT_FALSE(std::filesystem::exists(packed));
}

TEST_F(Package, IsCheckedAndEncryptedModelByModel) {
  ASSERT_EQ(pack().exit_code, 0);
  const auto json = nlohmann::json::parse(run_program({"check", packed, "--json"}).out);
  ASSERT_EQ(json["models"].size(), 2U);
  EXPECT_EQ(json["models"][1]["model"], "dog.espdl");
  const std::string key = "000102030405060708090a0b0c0d0e0f";
  ASSERT_EQ(run_program({"encrypt", packed, "--key", key, "--out", folder.path("e.pdl")}).exit_code,
            0);
  EXPECT_EQ(run_program({"check", folder.path("e.pdl"), "--key", key}).exit_code, 0);
  ASSERT_EQ(
      run_program({"decrypt", folder.path("e.pdl"), "--key", key, "--out", folder.path("d.pdl")})
          .exit_code,
      0);
  EXPECT_EQ(read_file(folder.path("d.pdl")), read_file(packed));
}

}  // namespace
}  // namespace espquant::test
