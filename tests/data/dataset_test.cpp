#include "data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "data/npz.h"
#include "tests/data/image_fixtures.h"
#include "tests/data/patterns.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_folder.h"

namespace espquant::data {
namespace {

namespace fs = std::filesystem;
using Arrays = std::map<std::string, Tensor>;

class DatasetTest : public testing::Test {
 protected:
  fs::path put(const std::string& name, std::span<const std::byte> content) const {
    OutputFiles files;
    files.add(folder_ / name, content);
    files.commit();
    return folder_ / name;
  }
  fs::path put_image(const std::string& name) const {
    return put(name, std::as_bytes(std::span(fixtures::kPngRgb)));
  }

  std::unique_ptr<Dataset> open(const Arrays& arrays, const std::vector<InputSpec>& inputs) const {
    return open_dataset(put("data.npz", write_npz(arrays)), inputs, default_preprocess(inputs[0]));
  }
  std::unique_ptr<Dataset> open(const fs::path& path, const InputSpec& input) const {
    return open_dataset(path, std::vector{input}, default_preprocess(input));
  }
  template <typename... Args>
  Error error_of(const Args&... args) const {
    try {
      open(args...)->sample(0);
    } catch (const Error& error) {
      return error;
    }
    return {ErrorCode::Internal, "no error"};
  }

  const test::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.root();
};

Tensor ramp(DType dtype, const Shape& shape) {
  std::vector<std::int32_t> dataset_values(static_cast<std::size_t>(element_count(shape)));
  std::iota(dataset_values.begin(), dataset_values.end(), 0);
  return Tensor::of<std::int32_t>(shape, std::span<const std::int32_t>(dataset_values)).cast(dtype);
}

std::vector<float> dataset_values(const Tensor& t) {
  return {t.data<float>().begin(), t.data<float>().end()};
}

TEST_F(DatasetTest, FloatArraysAreReadyInputs) {
  const auto data = open({{"x", ramp(DType::Float64, {3, 2, 2})}}, {{"input", {1, 2, 2}}});
  ASSERT_EQ(data->size(), 3U);
  const auto sample = data->sample(2);
  ASSERT_EQ(sample.size(), 1U);
  EXPECT_EQ(sample[0].shape(), (Shape{1, 2, 2}));
  EXPECT_EQ(dataset_values(sample[0]), (std::vector<float>{8, 9, 10, 11}));
}

TEST_F(DatasetTest, AxesOfExtent1MayBeMissing) {
  const InputSpec input = {"x", {1, 1, 2, 3}};
  for (const Shape& shape :
       {Shape{4, 2, 3}, Shape{4, 1, 2, 3}, Shape{4, 2, 3, 1}, Shape{4, 1, 1, 2, 3}}) {
    const auto sample = open({{"x", ramp(DType::Float32, shape)}}, {input})->sample(1);
    EXPECT_EQ(sample[0].shape(), input.shape);
    EXPECT_EQ(dataset_values(sample[0]), (std::vector<float>{6, 7, 8, 9, 10, 11}))
        << to_string(shape);
  }
}

TEST_F(DatasetTest, RefusesOtherShapesAndNamesBoth) {
  const Error error = error_of(Arrays{{"x", ramp(DType::Float32, {4, 2, 2, 3})}},
                               std::vector<InputSpec>{{"in", {1, 3, 2, 2}}});
  EXPECT_EQ(error.code(), ErrorCode::BadData);
  EXPECT_NE(error.message().find("4x2x2x3"), std::string::npos);
  EXPECT_NE(error.message().find("1x3x2x2"), std::string::npos);
  EXPECT_NE(error.remedy().find("transpose"), std::string::npos);
  EXPECT_EQ(error.tensor(), "x");
  EXPECT_EQ(fs::path(error.file()).filename(), "data.npz");
}

TEST_F(DatasetTest, ImageArraysOfEveryLayoutGiveTheSameInput) {
  Tensor nhwc(DType::UInt8, {2, 2, 2, 3});
  for (std::size_t i = 0; i < 24; ++i)
    nhwc.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(10 * i);
  const std::array<std::int64_t, 4> to_nchw = {0, 3, 1, 2};
  for (const InputSpec& input : {InputSpec{"x", {1, 3, 2, 2}}, InputSpec{"x", {1, 2, 2, 3}}}) {
    const Tensor expected = open({{"x", nhwc}}, {input})->sample(1)[0];
    EXPECT_EQ(expected.shape(), input.shape);
    EXPECT_TRUE(open({{"x", nhwc.transposed(to_nchw)}}, {input})->sample(1)[0].equals(expected));
  }
  const InputSpec gray = {"x", {1, 1, 2, 2}};
  const Tensor pixels = ramp(DType::UInt8, {3, 2, 2});
  const Tensor expected = open({{"x", pixels}}, {gray})->sample(2)[0];
  EXPECT_EQ(dataset_values(expected),
            (std::vector<float>{8 / 255.0F, 9 / 255.0F, 10 / 255.0F, 11 / 255.0F}));
  EXPECT_TRUE(open({{"x", pixels.reshaped({3, 2, 2, 1})}}, {gray})->sample(2)[0].equals(expected));
  EXPECT_TRUE(open({{"x", pixels.reshaped({3, 1, 2, 2})}}, {gray})->sample(2)[0].equals(expected));
}

TEST_F(DatasetTest, ImageArraysAreResized) {
  const auto data = open({{"images", ramp(DType::UInt8, {1, 8, 8, 3})}}, {{"x", {1, 1, 4, 4}}});
  EXPECT_EQ(data->sample(0)[0].shape(), (Shape{1, 1, 4, 4}));
}

TEST_F(DatasetTest, RefusesImagesWhereNoneFit) {
  EXPECT_EQ(
      error_of(Arrays{{"x", ramp(DType::UInt8, {2, 42})}}, std::vector<InputSpec>{{"in", {1, 42}}})
          .code(),
      ErrorCode::BadData);
  EXPECT_EQ(error_of(Arrays{{"x", ramp(DType::UInt8, {2, 4, 4, 2})}},
                     std::vector<InputSpec>{{"in", {1, 1, 4, 4}}})
                .code(),
            ErrorCode::BadData);
}

TEST_F(DatasetTest, WholeNumbersThatTheNetworkTakesAreLeftAsTheyAre) {
  const Tensor bytes = ramp(DType::UInt8, {2, 4, 4, 3}), row = ramp(DType::UInt8, {2, 42});
  const InputSpec picture{"in", {1, 4, 4, 3}, true}, vector{"in", {1, 42}, true};
  EXPECT_EQ(open({{"in", bytes}}, {picture})->sample(1)[0].data<float>()[0],
            static_cast<float>(bytes.data<std::uint8_t>()[48]));
  EXPECT_EQ(open({{"in", row}}, {vector})->sample(0)[0].data<float>()[41],
            static_cast<float>(row.data<std::uint8_t>()[41]));
  // Pictures of another size still are pictures, of bytes.
  EXPECT_EQ(default_preprocess(picture).scale, 1);
  EXPECT_EQ(open({{"in", ramp(DType::UInt8, {2, 8, 8, 3})}}, {picture})->sample(0)[0].shape(),
            (Shape{1, 4, 4, 3}));
}

TEST_F(DatasetTest, FeedsSeveralInputsByName) {
  const std::vector<InputSpec> inputs = {{"b", {1, 2}}, {"a", {1, 3}}};
  const Arrays arrays = {{"a", ramp(DType::Float32, {2, 3})}, {"b", ramp(DType::Float32, {2, 2})}};
  const auto sample = open(arrays, inputs)->sample(1);
  ASSERT_EQ(sample.size(), 2U);
  EXPECT_EQ(dataset_values(sample[0]), (std::vector<float>{2, 3}));
  EXPECT_EQ(dataset_values(sample[1]), (std::vector<float>{3, 4, 5}));

  const Error missing = error_of(Arrays{{"a", arrays.at("a")}, {"c", arrays.at("b")}}, inputs);
  EXPECT_EQ(missing.tensor(), "b");
  EXPECT_NE(missing.message().find("a, c"), std::string::npos);
  const Error uneven =
      error_of(Arrays{{"a", ramp(DType::Float32, {3, 3})}, {"b", arrays.at("b")}}, inputs);
  EXPECT_EQ(uneven.code(), ErrorCode::BadData);
}

TEST_F(DatasetTest, StatesWhoseFirstAxisCountsLayersAreSamplesOfTheirOwnShape) {
  const InputSpec state = {"h", {2, 1, 3}};
  const Tensor by_sample = ramp(DType::Float32, {4, 2, 1, 3});
  const std::vector<float> second = {6, 7, 8, 9, 10, 11};
  for (const Shape& shape : {Shape{4, 2, 1, 3}, Shape{4, 2, 3}}) {
    const auto data = open({{"h", by_sample.reshaped(shape)}}, {state});
    ASSERT_EQ(data->size(), 4U) << to_string(shape);
    EXPECT_EQ(data->sample(1)[0].shape(), state.shape);
    EXPECT_EQ(dataset_values(data->sample(1)[0]), second) << to_string(shape);
  }
  const std::vector<std::int64_t> samples_second = {1, 0, 2};
  const auto as_a_batch =
      open({{"h", by_sample.reshaped({4, 2, 3}).transposed(samples_second)}}, {state});
  ASSERT_EQ(as_a_batch->size(), 4U);
  EXPECT_EQ(dataset_values(as_a_batch->sample(1)[0]), second);

  const Error error = error_of(Arrays{{"h", ramp(DType::Float32, {4, 3, 3})}}, std::vector{state});
  EXPECT_NE(error.remedy().find("4x2x1x3"), std::string::npos);
}

TEST_F(DatasetTest, FindsTheDataOfASingleInput) {
  const std::vector<InputSpec> inputs = {{"serving_default:0", {1, 2}}};
  const Tensor data = ramp(DType::Float32, {2, 2}), labels = ramp(DType::Int64, {2}),
               other = ramp(DType::Float32, {9});
  EXPECT_EQ(open({{"anything", data}}, inputs)->size(), 2U);
  EXPECT_EQ(open({{"anything", data}, {"y", labels}}, inputs)->labels(),
            (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(open({{"features", data}, {"weights", other}}, inputs)->size(), 2U);
  EXPECT_EQ(error_of(Arrays{{"p", data}, {"q", data}}, inputs).code(), ErrorCode::BadData);
}

TEST_F(DatasetTest, ReadsLabelsAsNumbersOrOneHot) {
  const std::vector<InputSpec> inputs = {{"x", {1, 2}}};
  const auto labels_of = [&](const Tensor& labels) {
    return open({{"x", ramp(DType::Float32, {3, 2})}, {"labels", labels}}, inputs)->labels();
  };
  const std::vector<std::int64_t> expected = {2, 0, 1};
  EXPECT_EQ(labels_of(Tensor::of<std::uint8_t>({3}, {2, 0, 1})), expected);
  EXPECT_EQ(labels_of(Tensor::of<std::int32_t>({3, 1}, {2, 0, 1})), expected);
  EXPECT_EQ(labels_of(Tensor::of<float>({3, 3}, {0, 0, 1, 1, 0, 0, 0, 1, 0})), expected);
  EXPECT_THROW(labels_of(Tensor::of<float>({3}, {0.5F, 0, 1})), Error);
  EXPECT_THROW(labels_of(Tensor::of<std::int32_t>({3}, {-1, 0, 1})), Error);
  EXPECT_THROW(labels_of(Tensor::of<float>({3, 2}, {1, 1, 0, 0, 1, 0})), Error);
  EXPECT_THROW(labels_of(Tensor::of<std::int32_t>({2}, {0, 1})), Error);
}

TEST_F(DatasetTest, NamesTheSampleThatIsNotFinite) {
  Tensor data = ramp(DType::Float32, {3, 2});
  data.mutable_data<float>()[3] = NAN;
  const auto dataset = open({{"x", data}}, {{"x", {1, 2}}});
  EXPECT_NO_THROW(dataset->sample(0));
  try {
    dataset->sample(1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadData);
    EXPECT_NE(error.message().find("sample 1"), std::string::npos);
  }
}

TEST_F(DatasetTest, OpensNpyFiles) {
  const fs::path path = put("a.npy", write_npy(ramp(DType::Float32, {2, 3})));
  EXPECT_EQ(open(path, InputSpec{"x", {1, 3}})->size(), 2U);
  EXPECT_EQ(error_of(put("b.npy", write_npy(Tensor::scalar(1.0F))), InputSpec{"x", {1}}).code(),
            ErrorCode::BadData);
}

TEST_F(DatasetTest, FoldersAreClassesInSortedOrder) {
  put_image("cat/2.png");
  put_image("cat/10.png");
  put_image("ant/deep/1.PNG");
  put_image(".hidden/1.png");
  put("cat/notes.txt", {});
  const auto data = open(folder_, InputSpec{"x", {1, 3, 2, 3}});
  ASSERT_EQ(data->size(), 3U);
  EXPECT_EQ(data->sample_name(0), "ant/deep/1.PNG");
  EXPECT_EQ(data->sample_name(1), "cat/10.png");
  EXPECT_EQ(data->labels(), (std::vector<std::int64_t>{0, 1, 1}));
  EXPECT_EQ(data->warnings().size(), 1U);
  EXPECT_EQ(data->sample(0)[0].shape(), (Shape{1, 3, 2, 3}));
}

TEST_F(DatasetTest, FoldersNamedByNumbersAreThoseClasses) {
  put_image("0010/a.png");
  put_image("0007/a.png");
  EXPECT_EQ(open(folder_, InputSpec{"x", {1, 3, 2, 3}})->labels(),
            (std::vector<std::int64_t>{7, 10}));
  put_image("7/a.png");
  EXPECT_EQ(error_of(folder_, InputSpec{"x", {1, 3, 2, 3}}).code(), ErrorCode::BadData);
}

TEST_F(DatasetTest, LooseImagesHaveNoLabels) {
  const fs::path image = put_image("a.png");
  put_image("b/c.png");
  EXPECT_EQ(open(folder_, InputSpec{"x", {1, 3, 2, 3}})->labels(), std::nullopt);
  EXPECT_EQ(open(image, InputSpec{"x", {1, 3, 2, 3}})->size(), 1U);
}

TEST_F(DatasetTest, NamesTheBrokenImage) {
  put("a/bad.png", std::as_bytes(std::span(fixtures::kPngRgb)).first(30));
  const Error error = error_of(folder_, InputSpec{"x", {1, 3, 2, 3}});
  EXPECT_EQ(error.code(), ErrorCode::Malformed);
  EXPECT_EQ(fs::path(error.file()).filename(), "bad.png");
}

TEST_F(DatasetTest, RefusesWhatItCannotOpen) {
  const InputSpec input = {"x", {1, 3, 2, 3}};
  EXPECT_EQ(error_of(folder_, input).code(), ErrorCode::BadData);
  EXPECT_EQ(error_of(folder_ / "missing.npz", input).code(), ErrorCode::Io);
  EXPECT_EQ(error_of(put("a.csv", {}), input).code(), ErrorCode::Unsupported);
  const std::vector<InputSpec> two = {input, input};
  EXPECT_THROW(open_dataset(put_image("a.png"), two, default_preprocess(input)), Error);
}

TEST(Pick, SpreadsEvenlyOrDrawsBySeed) {
  EXPECT_EQ(pick(10, 4), (std::vector<std::size_t>{0, 2, 5, 7}));
  EXPECT_EQ(pick(3, 9), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_TRUE(pick(0, 5).empty());
  const auto drawn = pick(1000, 50, 7);
  EXPECT_EQ(drawn, pick(1000, 50, 7));
  EXPECT_NE(drawn, pick(1000, 50, 8));
  EXPECT_EQ(std::ranges::adjacent_find(drawn, std::greater_equal<>()), drawn.end());
}

TEST_F(DatasetTest, SuspectsConstantUnscaledAndFarValues) {
  const std::vector<InputSpec> inputs = {{"x", {1, 200}}};
  const auto suspicion = [&](const Tensor& array) {
    const auto data = open({{"x", array}}, inputs);
    return suspicious_values(*data, inputs, pick(data->size(), data->size()));
  };
  Tensor dataset_values(DType::Float32, {2, 200});
  EXPECT_EQ(suspicion(dataset_values).size(), 1U);
  EXPECT_EQ(suspicion(ramp(DType::Float32, {1, 200})).size(), 1U);
  for (std::size_t i = 0; i < 400; ++i)
    dataset_values.mutable_data<float>()[i] = static_cast<float>(i % 7) * 0.1F;
  EXPECT_TRUE(suspicion(dataset_values).empty());
  dataset_values.mutable_data<float>()[5] = 1000;
  EXPECT_EQ(suspicion(dataset_values).size(), 1U);
}

TEST_F(DatasetTest, SuspectsSamplesThatHardlyVaryOrRepeat) {
  const std::vector<InputSpec> inputs = {{"x", {1, 4}}};
  const auto suspicion = [&](const std::vector<float>& values) {
    const auto data = open({{"x", Tensor::of<float>({2, 4}, values)}}, inputs);
    const auto found = suspicious_values(*data, inputs, pick(data->size(), data->size()));
    return found.empty() ? "" : found.front();
  };
  EXPECT_NE(
      suspicion({-2.12F, -2.11F, -2.1F, -2.1F, -2.12F, -2.12F, -2.11F, -2.1F}).find("hardly vary"),
      std::string::npos);
  EXPECT_NE(suspicion({.1F, .2F, .3F, .4F, .1F, .2F, .3F, .4F}).find("the same"),
            std::string::npos);
  EXPECT_EQ(suspicion({.1F, .2F, .3F, .4F, .4F, .3F, .2F, .1F}), "");
}

TEST_F(DatasetTest, ValuesThatAreNotFiniteAreLocated) {
  Tensor array(DType::Float32, {3, 4});
  array.mutable_data<float>()[1] = std::nanf("");
  const Error error = error_of(Arrays{{"specs", array}}, std::vector<InputSpec>{{"in", {1, 4}}});
  EXPECT_EQ(fs::path(error.file()).filename(), "data.npz");
  EXPECT_EQ(error.tensor(), "specs");
  EXPECT_NE(error.message().find("sample 0"), std::string::npos);
}

TEST_F(DatasetTest, ClassFoldersAreNumberedByTheNetworksNames) {
  for (const char* name : {"palm/a.png", "fist/b.png"}) put_image(name);
  const std::vector<InputSpec> input = {{"x", {1, 3, 2, 2}}};
  const auto labels = [&](const std::vector<std::string>& classes) {
    return *open_dataset(folder_, input, default_preprocess(input[0]), classes)->labels();
  };
  EXPECT_EQ(labels({}), (std::vector<std::int64_t>{0, 1})) << "by the alphabet: fist, palm";
  EXPECT_EQ(labels({"palm", "ok", "fist"}), (std::vector<std::int64_t>{2, 0}));
  try {
    labels({"plam", "fist"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("'palm' is none of the classes. Did you mean 'plam'"),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(open(folder_, input[0])->classes(), (std::vector<std::string>{"fist", "palm"}));
}

TEST_F(DatasetTest, PartsOfADataSetAreNoClasses) {
  for (const char* name : {"Train/a.png", "val/b.png"}) put_image(name);
  const auto data = open(folder_, InputSpec{"x", {1, 3, 2, 2}});
  EXPECT_FALSE(data->labels());
  ASSERT_EQ(data->warnings().size(), 1U);
  EXPECT_NE(data->warnings().front().find("Train, val"), std::string::npos);
}

TEST_F(DatasetTest, FoldersOfOtherPicturesAreToldByKind) {
  for (const char* name : {"a.bmp", "b.BMP", "c.webp"}) put_image(name);
  const Error error = error_of(folder_, InputSpec{"x", {1, 3, 2, 2}});
  EXPECT_NE(error.message().find("2 .bmp, 1 .webp"), std::string::npos) << error.message();
}

TEST_F(DatasetTest, ClassNamesAreReadLineByLine) {
  const auto put_text = [&](std::string_view text) {
    return put("classes.txt", std::as_bytes(std::span(text.data(), text.size())));
  };
  EXPECT_EQ(read_class_names(put_text("palm \r\n\n  the fist\n")),
            (std::vector<std::string>{"palm", "the fist"}));
  EXPECT_THROW(read_class_names(put_text("a\na\n")), Error);
  EXPECT_THROW(read_class_names(put_text("\n")), Error);
}

TEST_F(DatasetTest, OpensTheSharedArrays) {
  ESPQUANT_NEEDS_SHARED("data");
  const fs::path data = test::shared_dir() / "data";
  const auto gestures = open(data / "leapgest19.npz", InputSpec{"input", {1, 1, 96, 96}});
  EXPECT_EQ(gestures->size(), 19U);
  EXPECT_EQ(gestures->labels()->size(), 19U);
  EXPECT_EQ(
      open(data / "sign_digits_test.npz", InputSpec{"input", {1, 1, 96, 96}})->sample(0)[0].shape(),
      (Shape{1, 1, 96, 96}));
  EXPECT_EQ(open(data / "cifar10_calib500.npz", InputSpec{"input", {1, 32, 32, 3}})
                ->sample(499)[0]
                .shape(),
            (Shape{1, 32, 32, 3}));
  const auto words = open(data / "sww45.npz", InputSpec{"input", {1, 30, 1, 40}});
  EXPECT_EQ(words->labels()->size(), 45U);
  EXPECT_EQ(words->sample(44)[0].shape(), (Shape{1, 30, 1, 40}));
  EXPECT_EQ(open(data / "hand_keypoint.npz", InputSpec{"input", {1, 42}})->size(), 1500U);
}

TEST_F(DatasetTest, OpensTheSharedPictures) {
  ESPQUANT_NEEDS_SHARED("data/imagenet500");
  const auto pictures =
      open(test::shared_dir() / "data/imagenet500/calib", InputSpec{"input", {1, 3, 224, 224}});
  EXPECT_EQ(pictures->size(), 200U);
  EXPECT_EQ(pictures->labels()->front(), 2);
  EXPECT_TRUE(pictures->warnings().empty());
  for (std::size_t i = 0; i < pictures->size(); ++i)
    EXPECT_EQ(pictures->sample(i)[0].shape(), (Shape{1, 3, 224, 224}));
}

}  // namespace
}  // namespace espquant::data
