#include "data/npz_frames.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "data/npz.h"
#include "data/zip_writer.h"
#include "tests/support/temporary_folder.h"

namespace espquant::data {
namespace {

namespace fs = std::filesystem;

class NpzFramesTest : public testing::Test {
 protected:
  std::size_t files_in_folder() const {
    const fs::recursive_directory_iterator all(folder_);
    return static_cast<std::size_t>(std::count_if(begin(all), end(all), [](const auto& entry) {
      return entry.is_regular_file() && entry.path().filename() != "lock";
    }));
  }

  const test::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.root();
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
