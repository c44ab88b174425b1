#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "data/npz.h"
#include "espquant/analyze.h"
#include "espquant/compare.h"
#include "espquant/errors.h"
#include "espquant/quantize.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

/// The public C++ API on the bundled network.
namespace espquant::test {
namespace {

namespace fs = std::filesystem;

const fs::path kExample = source_dir() / "examples/gesture";

Network gesture() { return {kExample / "gesture.onnx", {}, {}, {}, false}; }

Data file(const char* name) {
  Data data;
  data.path = kExample / name;
  return data;
}

/// The first `count` samples of the example's data, in memory.
Data in_memory(const char* name, std::int64_t count) {
  Data data;
  const auto npz = data::Npz::open(kExample / name);
  for (const std::string array : {"images", "labels"}) {
    const Tensor whole = npz.read(array);
    Shape shape = whole.shape();
    shape.front() = count;
    data.arrays[array] = Array::copy_of(array == "images" ? ElementType::UInt8 : ElementType::Int64,
                                        shape, whole.bytes().data());
  }
  return data;
}

std::vector<std::byte> content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

const Quantized& quantized() {
  static const Quantized made = quantize(gesture(), file("calib.npz"));
  return made;
}

TEST(Library, MakesTheSameOfArraysAsOfTheirFile) {
  const Quantized made = quantize(gesture(), in_memory("calib.npz", 256));
  EXPECT_EQ(made.bytes(), quantized().bytes());
}

TEST(Library, MakesTheSameByTheRecipeThatWasUsed) {
  QuantizeOptions options;
  options.recipe = quantized().recipe();
  EXPECT_EQ(quantize(gesture(), file("calib.npz"), options).bytes(), quantized().bytes());
}

TEST(Library, SavesWhatItHolds) {
  const TemporaryFolder folder;
  const auto files = quantized().save(folder.root(), "hand");
  EXPECT_EQ(files.front(), folder.root() / "hand_int8/hand_int8.espdl");
  EXPECT_EQ(content(files.front()), quantized().bytes());
  for (const fs::path& one : files) EXPECT_TRUE(fs::exists(one)) << one;
}

TEST(Library, MeasuresOnTestData) {
  QuantizeOptions options;
  options.test = in_memory("test.npz", 50);
  const Quantized made = quantize(gesture(), file("calib.npz"), options);
  ASSERT_TRUE(made.accuracy());
  EXPECT_GT(*made.accuracy(), 0.8);
  EXPECT_EQ(made.model().evaluate(in_memory("test.npz", 50)).accuracy, made.accuracy());
}

TEST(Library, SimulatesFramesOneByOneAsTogether) {
  const Model model = quantized().model();
  const Array images = in_memory("test.npz", 3).arrays.at("images");
  const Array together = model.run({{"", images}}).at("logits");
  EXPECT_EQ(together.shape, (std::vector<std::int64_t>{3, 8}));
  for (std::int64_t i = 0; i < 3; ++i) {
    const Array one =
        Array::copy_of(ElementType::UInt8, {1, 96, 96}, images.data<std::uint8_t>() + i * 96 * 96);
    const Array alone = model.run({{"input", one}}).at("logits");
    for (std::int64_t c = 0; c < 8; ++c)
      EXPECT_EQ(alone.data<float>()[c], together.data<float>()[i * 8 + c]);
  }
}

TEST(Library, GivesEveryTensorAndConstant) {
  const Model model = quantized().model();
  const auto all = model.run({{"", in_memory("test.npz", 1).arrays.at("images")}}, {true, true});
  for (const TensorInfo& tensor : model.tensors()) {
    ASSERT_TRUE(all.contains(tensor.name)) << tensor.name;
    EXPECT_EQ(all.at(tensor.name).shape, tensor.shape) << tensor.name;
    EXPECT_EQ(to_string(all.at(tensor.name).type), tensor.type) << tensor.name;
  }
  for (const TensorInfo& constant : model.constants())
    EXPECT_EQ(model.constant(constant.name).element_count(),
              model.weights(constant.name).element_count());
  for (const Verdict& verdict : model.verify(true)) EXPECT_TRUE(verdict.passed) << verdict.name;
}

TEST(Library, StopsWhenItIsCancelled) {
  Observer observer;
  observer.stage = [&](std::string_view, std::int64_t, std::int64_t) { observer.cancel.cancel(); };
  try {
    quantize(gesture(), file("calib.npz"), {}, observer);
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Cancelled);
  }
}

TEST(Library, RefusesWithCodePlaceAndRemedy) {
  try {
    Data wrong;
    const std::vector<float> zeros(10);
    wrong.arrays["x"] = Array::copy_of(ElementType::Float32, {2, 5}, zeros.data());
    quantize(gesture(), wrong);
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadData);
    EXPECT_EQ(error.file(), "calibration data");
    EXPECT_FALSE(error.remedy().empty());
  }
  EXPECT_THROW(Recipe("balenced"), Error);
  EXPECT_THROW(Recipe().set("calibration.metod=kl"), Error);
  // Goals that are possible only beside the switch that the second key sets.
  EXPECT_THROW(Recipe().set("mixed.max_16bit=3"), Error);
  EXPECT_NO_THROW(Recipe().set_all({"mixed.max_16bit=3", "mixed.enabled=true"}));
  EXPECT_THROW(quantized().model().constant("nothing"), Error);
}

TEST(Library, ComparesRecipes) {
  CompareOptions options;
  options.recipes = {Recipe("int8"), Recipe("int16")};
  const Comparison comparison = compare(gesture(), in_memory("calib.npz", 64), options);
  EXPECT_NE(comparison.json().find("\"recipe\": \"int16\""), std::string::npos);
  EXPECT_EQ(comparison.model("int16").outputs().front().type, "int16");
  EXPECT_THROW(comparison.model("mixed"), Error);
}

TEST(Library, SaysWhatEachLayerLoses) {
  AnalyzeOptions options;
  options.samples = 4;
  const Analysis analysis = analyze(gesture(), in_memory("calib.npz", 32), options);
  EXPECT_NE(analysis.json.find("\"reason\""), std::string::npos);
  EXPECT_NE(analysis.text.find("Noise to signal at the output"), std::string::npos);
}

TEST(Library, ChecksNetworksAndFiles) {
  EXPECT_TRUE(check(gesture()).passed);
  const TemporaryFolder folder;
  EXPECT_TRUE(check(quantized().save(folder.root()).front()).passed);
}

}  // namespace
}  // namespace espquant::test
