#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/program.h"
#include "tests/support/shared.h"

namespace espquant::test {
namespace {

TEST(Verify, EqualTestValuesPass) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  const auto outcome = run_program({"verify", folder.path("m.espdl")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("1 of 1 outputs exact"), std::string::npos) << outcome.out;
}

TEST(Verify, ADifferenceIsCountedAndFails) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"), true);
  const auto outcome = run_program({"verify", folder.path("m.espdl"), "--json"});
  EXPECT_EQ(outcome.exit_code, 1);
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["passed"], false);
  EXPECT_EQ(json["target"], "esp32s3");
  EXPECT_EQ(json["outputs"][0]["mismatches"], 1);
  EXPECT_EQ(json["outputs"][0]["first"], 3);
  EXPECT_EQ(json["outputs"][0]["largest"], 1);
}

TEST(Verify, WithoutTestValuesSaysWhatToDo) {
  const TemporaryFolder folder;
  write_untested_model(folder.path("m.espdl"));
  const auto outcome = run_program({"verify", folder.path("m.espdl")});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("no test values"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find(".npz"), std::string::npos) << outcome.err;
}

TEST(Verify, AgainstRecordedResults) {
  const TemporaryFolder folder;
  write_untested_model(folder.path("m.espdl"));
  Tensor x(DType::Int8, {1, 2, 2, 3}), y(DType::Int8, {1, 2, 2, 3});
  x.mutable_data<std::int8_t>()[0] = -3;
  x.mutable_data<std::int8_t>()[1] = y.mutable_data<std::int8_t>()[1] = 9;
  write_arrays(folder.path("r.npz"), {{"input:x", x}, {"output:y", y}});
  for (const char* kernels : {"fast", "reference"})
    EXPECT_EQ(run_program({"verify", folder.path("m.espdl"), "--against", folder.path("r.npz"),
                           "--tolerance", "exact", "--kernels", kernels})
                  .exit_code,
              0);
  y.mutable_data<std::int8_t>()[5] = 1;
  write_arrays(folder.path("r.npz"), {{"input:x", x}, {"output:y", y}});
  EXPECT_EQ(
      run_program({"verify", folder.path("m.espdl"), "--against", folder.path("r.npz")}).exit_code,
      1);
}

TEST(Verify, ArchiveWithoutExpectedResultsIsRefused) {
  const TemporaryFolder folder;
  write_untested_model(folder.path("m.espdl"));
  write_arrays(folder.path("r.npz"), {{"x", Tensor(DType::Int8, {1, 2, 2, 3})}});
  const auto outcome =
      run_program({"verify", folder.path("m.espdl"), "--against", folder.path("r.npz")});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("output:<tensor>"), std::string::npos) << outcome.err;
}

TEST(Verify, KernelsOfAPcAreAskedFor) {
  const TemporaryFolder folder;
  write_untested_model(folder.path("m.espdl"));
  write_arrays(folder.path("r.npz"), {{"input:x", Tensor(DType::Int8, {1, 2, 2, 3})},
                                      {"output:y", Tensor(DType::Int8, {1, 2, 2, 3})}});
  EXPECT_EQ(run_program({"verify", folder.path("m.espdl"), "--against", folder.path("r.npz"),
                         "--kernels", "portable"})
                .exit_code,
            0);
}

TEST(Verify, AndItsLikeRefuseFiltersPackedForAnotherChip) {
  ESPQUANT_NEEDS_SHARED("golden/zoo/espdet_pico_224_224_cat_s3.espdl");
  const TemporaryFolder folder;
  const auto file = (shared_dir() / "golden/zoo/espdet_pico_224_224_cat_s3.espdl").string();
  const auto data = (shared_dir() / "golden/zoo/espdet_pico_224_224_cat_s3.npz").string();
  for (const auto& command : {std::vector<std::string>{"verify", file, "--against", data},
                              {"run", file, "-i", data, "-o", folder.path("y.npz")},
                              {"evaluate", file, "--data", data},
                              {"analyze", file, "--data", data}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--target", "esp32c3"});
    const auto outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 1) << outcome.out;
    EXPECT_NE(outcome.err.find("was made for the ESP32-S3"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("Quantize the network for esp32c3"), std::string::npos);
  }
}

TEST(Verify, ShippedModelOnRecordedResults) {
  ESPQUANT_NEEDS_SHARED("golden/zoo/espdet_pico_224_224_cat_s3.npz");
  const auto stem = (shared_dir() / "golden/zoo/espdet_pico_224_224_cat_s3").string();
  const auto outcome = run_program({"verify", stem + ".espdl", "--target", "esp32s3", "--against",
                                    stem + ".npz", "--tolerance", "exact"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
}

}  // namespace
}  // namespace espquant::test
