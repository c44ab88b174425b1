#include "data/npz_frames.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/error.h"
#include "data/npz.h"
#include "data/zip_writer.h"

namespace espquant::data {
namespace {

namespace fs = std::filesystem;

class NpzFramesTest : public testing::Test {
 protected:
  NpzFramesTest() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / (std::string("espquant_npz_frames_") + test->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~NpzFramesTest() override { fs::remove_all(folder_); }

  std::size_t files_in_folder() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
  const std::vector<NpzFrames::Array> arrays_ = {{"y", DType::Int8, {1, 3}},
                                                 {"a", DType::Float32, {2}}};
};

std::vector<Tensor> frame(int i) {
  const auto b = static_cast<std::int8_t>(i);
  return {Tensor::of<std::int8_t>({1, 3}, {b, 1, 2}),
          Tensor::of<float>({2}, {static_cast<float>(i), 0.5F})};
}

TEST_F(NpzFramesTest, WriteWhatWriteNpzDoes) {
  const Tensor exponent = Tensor::scalar<std::int32_t>(-3);
  OutputFiles files;
  NpzFrames npz(files, folder_ / "frames.npz", arrays_);
  for (int i = 0; i < 3; ++i) npz.add(frame(i));
  npz.finish({{"exponent:y", exponent}});
  files.commit();
  const auto whole = write_npz({{"y", Tensor::of<std::int8_t>({3, 3}, {0, 1, 2, 1, 1, 2, 2, 1, 2})},
                                {"a", Tensor::of<float>({3, 2}, {0, .5F, 1, .5F, 2, .5F})},
                                {"exponent:y", exponent}});
  EXPECT_EQ(read_file(folder_ / "frames.npz"), whole);
  EXPECT_EQ(files_in_folder(), 1U);
}

TEST_F(NpzFramesTest, LeaveNothingWithoutTheirEnd) {
  {
    OutputFiles files;
    NpzFrames npz(files, folder_ / "frames.npz", arrays_);
    npz.add(frame(0));
    EXPECT_EQ(files_in_folder(), 0U) << "what waits has no name";
  }
  EXPECT_EQ(files_in_folder(), 0U);
}

TEST(ShapeOfFrames, CountsAlongTheFirstAxisOrOneMore) {
  EXPECT_EQ(shape_of_frames({1, 3}, 1), (Shape{1, 3}));
  EXPECT_EQ(shape_of_frames({1, 3}, 5), (Shape{5, 3}));
  EXPECT_EQ(shape_of_frames({2, 3}, 5), (Shape{5, 2, 3}));
  EXPECT_EQ(shape_of_frames({}, 2), (Shape{2}));
}

}  // namespace
}  // namespace espquant::data
