#include <gtest/gtest.h>

#include <filesystem>

#include "onnx/import.h"
#include "survey/survey.h"
#include "tests/support/shared.h"

/// Whole networks: what quantize takes, the survey takes, on chips of every family.
namespace espquant::survey {
namespace {

namespace fs = std::filesystem;

void expect_supported(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".onnx") continue;
    for (const char* chip : {"esp32s3", "esp32p4", "esp32"}) {
      SCOPED_TRACE(entry.path().filename().string() + " on " + chip);
      const Survey found = survey(onnx::import_model(entry.path()), find_target(chip));
      EXPECT_EQ(found.unsupported(), 0U);
      for (const NodeVerdict& node : found.nodes)
        if (node.verdict == Verdict::Unsupported)
          ADD_FAILURE() << node.node << ": " << node.message;
      EXPECT_EQ(found.costs.size(), 2U);
    }
  }
}

TEST(SurveyOfModels, AllAreSupported) {
  ESPQUANT_NEEDS_SHARED("models");
  expect_supported(test::shared_dir() / "models");
}

TEST(SurveyOfCases, AllAreSupported) {
  ESPQUANT_NEEDS_SHARED("cases");
  expect_supported(test::shared_dir() / "cases");
}

}  // namespace
}  // namespace espquant::survey
