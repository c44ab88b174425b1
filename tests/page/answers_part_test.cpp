#include "page/answers_part.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace espquant::page {
namespace {

using Json = nlohmann::ordered_json;
using measure::ClassAnswer;

constexpr std::int64_t kSamples = 6;

/// Six pictures of 8x8 for three classes; float and chip differ on samples 1, 2 and 4.
class AnswersPart : public ::testing::Test {
 protected:
  AnswersPart() {
    data::NamedArrays arrays;
    arrays.emplace("x", Tensor(DType::UInt8, {kSamples, 8, 8}));
    const data::InputSpec input{"x", {1, 1, 8, 8}};
    dataset_ = data::open_arrays(arrays, "pictures", {&input, 1}, data::default_preprocess(input));
    for (std::size_t i = 0; i < kSamples; ++i) chosen_.push_back(i);
    evaluation_.samples = kSamples;
    evaluation_.noise.emplace(std::vector<measure::OutputNoise::Part>(1));
    evaluation_.noise->parts()[0].elements = 18;
    evaluation_.noise->parts()[0].noise = {18 * 0.25, 18 * 4.0};
    evaluation_.errors.resize(1);
    evaluation_.errors[0].output = "scores";
    evaluation_.errors[0].histogram.add(0.5);
    evaluation_.accuracy = 0.5;
    // Chip, float, label.
    add(0, 0, 0, 5, 5);
    add(1, 2, 2, 1, 0.2F);  // lost, float hardly sure
    add(0, 1, 1, 1, 3);     // lost, float sure
    add(2, 2, 2, 0.01F, 4);
    add(1, 0, 1, 2, 9);  // gained
    add(0, 0, 0, 7, 7);
  }

  void add(std::int64_t chip, std::int64_t reference, std::int64_t label, float chip_margin,
           float reference_margin) {
    evaluation_.answers.push_back({ClassAnswer{chip, (chip + 1) % 3, chip_margin, 0},
                                   ClassAnswer{reference, (reference + 1) % 3, reference_margin, 0},
                                   0.125, label});
  }

  Json page_of_answers() {
    Json page = Json::object(), model = Json::object();
    add_answers(page, model, evaluation_, {*dataset_, chosen_, 3, "test"}, {});
    page["answers"] = model["answers"];
    return page;
  }

  static std::vector<std::size_t> shown(const Json& page, const std::string& why) {
    std::vector<std::size_t> samples;
    for (const Json& one : page["answers"]["shown"])
      if (one["why"] == why) samples.push_back(one["sample"].get<std::size_t>());
    return samples;
  }

  std::unique_ptr<data::Dataset> dataset_;
  std::vector<std::size_t> chosen_;
  measure::Evaluation evaluation_;
};

TEST_F(AnswersPart, CountsWhichClassIsTakenForWhich) {
  const Json page = page_of_answers();
  const Json& confusion = page["answers"]["confusion"];
  EXPECT_EQ(confusion["float"], Json::parse("[[0,0,2],[1,0,1],[1,1,1],[2,2,2]]"));
  EXPECT_EQ(confusion["chip"], Json::parse("[[0,0,2],[1,0,1],[1,1,1],[2,1,1],[2,2,1]]"));
  EXPECT_EQ(confusion["change"], Json::parse("[[0,0,2],[0,1,1],[1,0,1],[2,1,1],[2,2,1]]"));
  EXPECT_FALSE(confusion.contains("left_out"));
  EXPECT_EQ(page["answers"]["differing"], 3);
}

TEST_F(AnswersPart, ShowsFirstWhatIsLostThoughTheFloatNetworkWasSure) {
  const Json page = page_of_answers();
  EXPECT_EQ(shown(page, "differs"), (std::vector<std::size_t>{2, 1, 4}));
  EXPECT_EQ(shown(page, "uncertain"), (std::vector<std::size_t>{3, 0, 5}));
  ASSERT_EQ(page["samples"].size(), 6U);
  EXPECT_TRUE(page["samples"][0].contains("picture"));
  EXPECT_EQ(page["samples"][0]["label"], 1);
}

TEST_F(AnswersPart, OfAnotherModelAddsNoSampleTwice) {
  Json page = Json::object(), one = Json::object(), other = Json::object();
  add_answers(page, one, evaluation_, {*dataset_, chosen_, 3, "test"}, {});
  add_answers(page, other, evaluation_, {*dataset_, chosen_, 3, "test"}, {});
  EXPECT_EQ(page["samples"].size(), 6U);
  EXPECT_EQ(one, other);
}

TEST_F(AnswersPart, WithoutLabelsStandsBesideTheFloatNetworkAlone) {
  evaluation_.accuracy.reset();
  for (auto& answer : evaluation_.answers) answer.label = -1;
  evaluation_.noise->parts()[0].probabilities.emplace();
  const Json page = page_of_answers();
  EXPECT_FALSE(page["answers"]["confusion"].contains("chip"));
  EXPECT_EQ(shown(page, "differs"), (std::vector<std::size_t>{4, 2, 1}));
  EXPECT_FALSE(page["samples"][0].contains("label"));
}

TEST_F(AnswersPart, OfNumbersThatMayBeAnythingShowsErrorsFirst) {
  evaluation_.accuracy.reset();
  for (std::size_t i = 0; i < evaluation_.answers.size(); ++i) {
    evaluation_.answers[i].label = -1;
    evaluation_.answers[i].noise = static_cast<double>(i);
  }
  const Json page = page_of_answers();
  EXPECT_EQ(page["answers"]["classes_assumed"], true);
  EXPECT_EQ(shown(page, "worst"), (std::vector<std::size_t>{5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(page["answers"]["differing"], 3);
}

TEST_F(AnswersPart, WithoutAFloatNetworkStandsBesideLabels) {
  evaluation_.noise.reset();
  evaluation_.errors.clear();
  for (auto& answer : evaluation_.answers) answer.reference = {};
  const Json page = page_of_answers();
  EXPECT_FALSE(page["answers"]["confusion"].contains("float"));
  EXPECT_FALSE(page["answers"].contains("errors"));
  EXPECT_EQ(shown(page, "wrong"), (std::vector<std::size_t>{1, 2}));
  evaluation_.accuracy.reset();
  EXPECT_TRUE(page_of_answers()["answers"].is_null()) << "nothing to stand beside";
}

TEST_F(AnswersPart, OfValuesShowsTheLargestErrors) {
  for (std::size_t i = 0; i < evaluation_.answers.size(); ++i)
    evaluation_.answers[i] = {{}, {}, i == 3 ? 0.5 : 0.01 * static_cast<double>(i), -1};
  evaluation_.accuracy.reset();
  const Json page = page_of_answers();
  EXPECT_FALSE(page["answers"].contains("confusion"));
  EXPECT_EQ(shown(page, "worst"), (std::vector<std::size_t>{3, 5, 4, 2, 1, 0}));
  const Json& errors = page["answers"]["errors"][0];
  EXPECT_EQ(errors["range"], 1);
  EXPECT_EQ(errors["rms_error"], 0.5);
  EXPECT_EQ(errors["rms_value"], 2);
  EXPECT_EQ(errors["counts"][96], 1);
}

TEST_F(AnswersPart, OfManyClassesKeepsWhatIsConfusedMost) {
  evaluation_.answers.clear();
  for (std::int64_t i = 0; i < 3000; ++i) add(i, i, i + 1, 1, 1);
  for (std::int64_t i = 0; i < 10; ++i) add(5000, 5000, 5000, 1, 1);
  chosen_.assign(evaluation_.answers.size(), 0);
  const Json page = page_of_answers();
  const Json& chip = page["answers"]["confusion"]["chip"];
  EXPECT_EQ(chip.size(), 2000U);
  EXPECT_EQ(chip.back(), Json::parse("[5000,5000,10]"));
  EXPECT_EQ(page["answers"]["confusion"]["left_out"], 1001);
}

}  // namespace
}  // namespace espquant::page
