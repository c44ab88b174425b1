#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "espdl/reader.h"
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

TEST(GoldenFiles, EveryOneIsRead) {
  ESPQUANT_NEEDS_SHARED("golden");
  const auto files = golden_files();
  EXPECT_GE(files.size(), 777U);
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    Model model;
    ASSERT_NO_THROW(model = read_model_file(file));
    EXPECT_FALSE(model.nodes.empty());
    EXPECT_FALSE(model.inputs.empty());
    EXPECT_FALSE(model.outputs.empty());
    for (const auto& name : model.inputs) EXPECT_NE(model.find_value(name), nullptr) << name;
    for (const auto& name : model.outputs) EXPECT_NE(model.find_value(name), nullptr) << name;
  }
}

}  // namespace
}  // namespace espquant::espdl
