#include <gtest/gtest.h>

#include "base/file.h"
#include "onnx/import.h"
#include "tests/support/errors.h"
#include "tests/support/model_bytes.h"
#include "tests/support/temporary_folder.h"

namespace espquant::onnx {
namespace {

namespace fs = std::filesystem;

/// A folder "model" with weights of 1, 2, 3 at byte 8 of data.bin, and a secret beside the folder.
class ExternalData : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder() / "sub");
    const float values[] = {0, 0, 1, 2, 3};
    write(folder() / "data.bin", std::as_bytes(std::span(values)));
    write(root_ / "secret.bin", std::as_bytes(std::span(values)));
  }

  static void write(const fs::path& path, std::span<const std::byte> bytes) {
    OutputFiles files;
    files.add(path, bytes);
    files.commit();
  }
  fs::path folder() const { return root_ / "model"; }

  Graph import(const std::string& location, const std::string& offset,
               const std::string& length = "") const {
    onnx_schema::Model model = test::add_model();
    auto& w = *model.mutable_graph()->mutable_initializer(0);
    w.set_data_location(1);
    const auto add = [&](const char* key, const std::string& value) {
      if (value.empty()) return;
      auto& entry = *w.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    };
    add("location", location);
    add("offset", offset);
    add("length", length);
    return import_model(test::bytes_of(model), folder());
  }
  ErrorCode refusal(const std::string& location, const std::string& offset,
                    const std::string& length = "") const {
    const Error error = test::error_of([&] { import(location, offset, length); });
    EXPECT_EQ(error.tensor(), "w");
    return error.code();
  }

  const test::TemporaryFolder temporary_;
  const fs::path root_ = temporary_.root();
};

TEST_F(ExternalData, IsReadFromTheModelsFolder) {
  const Graph graph = import("data.bin", "8", "12");
  EXPECT_TRUE(
      graph.value(graph.find_value("w")).constant.equals(Tensor::of<float>({3}, {1, 2, 3})));
}

TEST_F(ExternalData, MayLieInASubfolderOrBehindALinkThatStaysInside) {
  fs::create_symlink("../data.bin", folder() / "sub" / "link.bin");
  EXPECT_NO_THROW(import("sub/link.bin", "8"));
}

TEST_F(ExternalData, MayNotLeaveTheFolder) {
  EXPECT_EQ(refusal("../secret.bin", "0"), ErrorCode::BadData);
  EXPECT_EQ(refusal("sub/../../secret.bin", "0"), ErrorCode::BadData);
  EXPECT_EQ(refusal((root_ / "secret.bin").string(), "0"), ErrorCode::BadData);
  EXPECT_EQ(refusal(std::string("data.bin\0x", 10), "0"), ErrorCode::BadData);
}

TEST_F(ExternalData, MayNotLeaveTheFolderByALink) {
  fs::create_symlink(root_ / "secret.bin", folder() / "link.bin");
  fs::create_directory_symlink(root_, folder() / "up");
  EXPECT_EQ(refusal("link.bin", "0"), ErrorCode::BadData);
  EXPECT_EQ(refusal("up/secret.bin", "0"), ErrorCode::BadData);
}

TEST_F(ExternalData, FolderWithACommonPrefixIsStillOutside) {
  fs::create_directory(root_ / "model2");
  fs::copy(root_ / "secret.bin", root_ / "model2" / "secret.bin");
  fs::create_directory_symlink(root_ / "model2", folder() / "twin");
  EXPECT_EQ(refusal("twin/secret.bin", "0"), ErrorCode::BadData);
}

TEST_F(ExternalData, MustHoldAllBytes) {
  EXPECT_EQ(refusal("data.bin", "12"), ErrorCode::Malformed);
  EXPECT_EQ(refusal("data.bin", "18446744073709551615"), ErrorCode::Malformed);
  EXPECT_EQ(refusal("data.bin", "0", "11"), ErrorCode::Malformed);
  EXPECT_EQ(refusal("data.bin", "-8"), ErrorCode::Malformed);
}

TEST_F(ExternalData, MustBeARegularFileThatExists) {
  EXPECT_EQ(refusal("sub", "0"), ErrorCode::BadData);
  EXPECT_EQ(refusal("missing.bin", "0"), ErrorCode::Io);
  EXPECT_EQ(refusal("", "0"), ErrorCode::BadData);
}

}  // namespace
}  // namespace espquant::onnx
