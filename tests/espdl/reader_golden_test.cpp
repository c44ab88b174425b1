#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "espdl/info.h"
#include "espdl/reader.h"
#include "espdl/writer.h"
#include "tests/espdl/expect_equal.h"
#include "tests/support/shared.h"

namespace espquant::espdl {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> golden_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(test::shared_dir() / "golden"))
    if (entry.path().extension() == ".espdl") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(GoldenFiles, EveryOneIsReadAndSurvivesWriting) {
  ESPQUANT_NEEDS_SHARED("golden");
  std::size_t first_edition = 0, second_edition = 0;
  for (const auto& file : golden_files()) {
    SCOPED_TRACE(file.string());
    const auto bytes = read_file(file);
    ++(parse_header(bytes).edition == Edition::Edl1 ? first_edition : second_edition);
    Model model;
    ASSERT_NO_THROW(model = read_model(bytes));
    EXPECT_FALSE(model.nodes.empty());
    for (const auto* ends : {&model.inputs, &model.outputs}) {
      EXPECT_FALSE(ends->empty());
      for (const auto& name : *ends) EXPECT_NE(model.find_value(name), nullptr) << name;
    }
    const auto written = write_model(model);
    const Model again = read_model(written);
    expect_equal(model, again);
    EXPECT_EQ(written, write_model(again));
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_GT(first_edition, 0U);
  EXPECT_GT(second_edition, 0U);
}

TEST(GoldenFiles, InfoTextIsEspPpqs) {
  ESPQUANT_NEEDS_SHARED("golden/esp_ppq_gesture");
  for (const char* run : {"gesture_esp32s3_int8", "gesture_esp32s3_mixed"}) {
    const fs::path folder = test::shared_dir() / "golden/esp_ppq_gesture" / run;
    const auto expected = read_file(folder / "gesture.info");
    const std::string text = info_text(read_model_file(folder / "gesture.espdl"));
    const auto difference =
        std::mismatch(text.begin(), text.end(), expected.begin(), expected.end(),
                      [](char a, std::byte b) { return static_cast<std::byte>(a) == b; });
    EXPECT_TRUE(difference.first == text.end() && difference.second == expected.end())
        << run << " differs at byte " << difference.first - text.begin();
  }
}

}  // namespace
}  // namespace espquant::espdl
