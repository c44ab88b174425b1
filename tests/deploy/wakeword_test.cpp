#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cost/board.h"
#include "cost/latency.h"
#include "data/npz.h"
#include "deploy/templates/main/banks.hpp"
#include "espdl/writer.h"
#include "measure/bank_programs.h"
#include "measure/evaluate.h"
#include "onnx/import.h"
#include "strategy/find_banks.h"
#include "tests/support/shared.h"

/// A wake-word network on spectrograms at four gains: what its banks gain, and what they cost.
namespace espquant::test {
namespace {

constexpr int kGains = 4;

struct Made {
  strategy::QuantizedModel model;
  std::vector<std::byte> file, banks_file;
  espdl::Banks banks;
};

class WakeWord : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ESPQUANT_NEEDS_SHARED("models/sww_streaming_wakeword.onnx");
    ESPQUANT_NEEDS_SHARED("data/sww45.npz");
    network_ = onnx::import_model(shared_dir() / "models/sww_streaming_wakeword.onnx");
    specs_ = data::read_npz(shared_dir() / "data/sww45.npz").at("specs");
  }

  /// The recordings of even number are calibrated on, at all gains; those of odd number judge.
  std::vector<Tensor> recording(std::int64_t number, int gain) const {
    const Shape shape = *network_.value(network_.inputs()[0]).shape;
    Tensor frame(DType::Float32, shape);
    const auto each = static_cast<std::size_t>(frame.size());
    const auto from = specs_.data<float>().subspan(static_cast<std::size_t>(number) * each, each);
    auto to = frame.mutable_data<float>();
    for (std::size_t i = 0; i < each; ++i)
      to[i] = from[i] * std::exp2(-2.0F * static_cast<float>(gain));
    return {frame};
  }
  std::int64_t recordings() const { return specs_.shape()[0]; }

  Made make(const char* recipe) const {
    const std::int64_t even = (recordings() + 1) / 2;
    const calib::SampleSource source{kGains * even, [=, this](std::int64_t i) {
                                       return recording(2 * (i % even), static_cast<int>(i / even));
                                     }};
    strategy::QuantizeOptions options;
    options.recipe = recipe::find_recipe(recipe);
    options.target = &target_;
    Made made;
    made.model = strategy::quantize_model(network_, source, options);
    if (made.model.recipe.dynamic.enabled)
      made.banks = strategy::find_banks(made.model, target_, source,
                                        strategy::bank_options_of(made.model.recipe.dynamic))
                       .banks;
    made.file = espdl::write_model(made.model.model);
    if (!made.banks.is_empty())
      made.banks_file = espdl::write_banks(made.banks, made.model.model, made.file, target_);
    return made;
  }

  std::vector<double> noise_by_gain(const Made& made) const {
    const sim::Program own(made.model.model, target_);
    const measure::BankPrograms programs(own, made.banks);
    const ops::Executor reference(made.model.network);
    std::vector<double> noise;
    for (int gain = 0; gain < kGains; ++gain) {
      const calib::SampleSource unseen{
          recordings() / 2, [=, this](std::int64_t i) { return recording(2 * i + 1, gain); }};
      noise.push_back(measure::evaluate_chosen(
                          programs.all(),
                          [&](std::span<const Tensor> inputs) { return programs.choose(inputs); },
                          made.model.network, &reference, unseen, {})
                          .noise->ratio());
    }
    return noise;
  }

  const Target& target_ = find_target(GetParam());
  Graph network_;
  Tensor specs_;
};

TEST_P(WakeWord, QuietFramesHaveAQuarterOfTheNoiseForATenthOfTheFlash) {
  const Made one = make("int8"), banked = make("dynamic");
  EXPECT_EQ(banked.model.model.initializers, one.model.model.initializers);
  const auto alone = noise_by_gain(one), followed = noise_by_gain(banked);
  constexpr std::size_t kMinus24 = 2;
  EXPECT_LE(followed[kMinus24], alone[kMinus24] / 4);
  for (std::size_t gain = 0; gain < kGains; ++gain)
    EXPECT_LE(followed[gain], alone[gain]) << -12 * static_cast<int>(gain) << " dB";
  EXPECT_LE(10 * banked.banks_file.size(), banked.file.size());
  const double before = cost::estimate_latency(one.model.model, target_).milliseconds;
  for (std::size_t b = 0; b < banked.banks.banks.size(); ++b)
    EXPECT_LE(cost::estimate_latency(espdl::with_bank(banked.model.model, banked.banks, b), target_)
                  .milliseconds,
              1.01 * before);
}

// What is written lies in objects of some ten bytes, which ESP-IDF puts into internal RAM (less
// than 16 KB); what is read, the exponents of the bank, lies behind the cache, one after the other.
TEST_P(WakeWord, AChangeOfBankCostsLessThanAHundredthOfAFrame) {
  const Made made = make("dynamic");
  struct alignas(16) Block {
    std::byte bytes[16];
  };
  std::vector<Block> flash((made.file.size() + 15) / 16);
  std::memcpy(flash.data(), made.file.data(), made.file.size());
  dl::Model model(reinterpret_cast<const char*>(flash.data()));
  firmware::Banks banks(&model, made.banks_file.data(), made.banks_file.size());
  ASSERT_EQ(banks.error(), nullptr) << banks.error();
  banks.use(0);
  const std::size_t words = banks.bytes_written() / 4;
  constexpr double kInstructionsForAWord = 20;
  const cost::Board board = cost::board_of(target_);
  const double lines =
      1 + std::ceil(4 * static_cast<double>(made.banks.tensors.size()) / board.line_bytes);
  const double cycles =
      static_cast<double>(words) * kInstructionsForAWord * board.cycles.instructions +
      lines * std::max(board.cycles.activation_lines, board.cycles.flash_lines);
  const double change = cycles / board.clock_mhz / 1000;
  const double frame = cost::estimate_latency(made.model.model, target_).milliseconds;
  fmt::print("{}: {} bytes, {:.1f} us of a frame of {:.3f} ms\n", GetParam(), banks.bytes_written(),
             1000 * change, frame);
  EXPECT_GT(words, 0U);
  EXPECT_LT(change, frame / 100);
}

INSTANTIATE_TEST_SUITE_P(Chips, WakeWord, testing::Values("esp32s3", "esp32p4"),
                         [](const auto& parameter) { return std::string(parameter.param); });

}  // namespace
}  // namespace espquant::test
