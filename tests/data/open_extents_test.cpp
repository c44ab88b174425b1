#include "data/open_extents.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "data/npz.h"
#include "tests/data/image_fixtures.h"
#include "tests/support/temporary_folder.h"

namespace espquant::data {
namespace {

namespace fs = std::filesystem;

class OpenExtents : public testing::Test {
 protected:
  void put(const std::string& name, std::span<const std::byte> content) const {
    OutputFiles files;
    files.add(folder_ / name, content);
    files.commit();
  }

  std::optional<Shape> of_array(const Shape& array, const Shape& open,
                                DType dtype = DType::Float32) const {
    put("x.npz", write_npz({{"x", Tensor(dtype, array)}}));
    return extents_of_data(folder_ / "x.npz", std::vector<InputSpec>{{"x", open}}, {}).at(0);
  }

  std::optional<Shape> of_pictures(const Shape& open, const Settings& settings = {}) const {
    return extents_of_data(folder_, std::vector<InputSpec>{{"x", open}}, settings).at(0);
  }

  const test::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.root();
};

TEST_F(OpenExtents, SamplesStandInFrontOfTheInputsAxesOrInPlaceOfItsBatch) {
  EXPECT_EQ(of_array({9, 1, 40, 8}, {1, -1, 8}), (Shape{1, 40, 8}));
  EXPECT_EQ(of_array({9, 40, 8}, {-1, -1, 8}), (Shape{1, 40, 8}));
  EXPECT_EQ(of_array({9, 40, 1, 8}, {-1, 1, 8}), (Shape{40, 1, 8})) << "steps, not samples";
}

TEST_F(OpenExtents, DataThatContradictSayNothing) {
  EXPECT_EQ(of_array({9, 40, 7}, {1, -1, 8}), std::nullopt);
  EXPECT_EQ(of_array({9}, {-1, -1, 8}), std::nullopt);
}

TEST_F(OpenExtents, BytesArePicturesWhoseChannelsMayStandElsewhere) {
  EXPECT_EQ(of_array({9, 20, 30, 3}, {1, 3, -1, -1}, DType::UInt8), (Shape{1, 3, 20, 30}));
  EXPECT_EQ(of_array({9, 20, 30}, {-1, -1, -1, 1}, DType::UInt8), (Shape{1, 20, 30, 1}));
}

TEST_F(OpenExtents, PicturesHaveTheSizeThatIsAskedForElseTheirOwn) {
  put("a.png", std::as_bytes(std::span(fixtures::kPngRgb)));
  const Shape own = of_pictures({1, 3, -1, -1}).value();
  EXPECT_EQ(own[1], 3);
  EXPECT_GT(own[2], 0);
  EXPECT_EQ(of_pictures({1, 3, -1, -1}, {{"width", "64"}, {"height", "48"}}),
            (Shape{1, 3, 48, 64}));
  EXPECT_EQ(of_pictures({1, 16, -1, -1}), std::nullopt) << "no picture's channels";
}

}  // namespace
}  // namespace espquant::data
