#include "page/answers_part.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "job/port_metadata.h"
#include "page/model_part.h"
#include "page/sample_look.h"

namespace espquant::page {
namespace {

using Json = nlohmann::ordered_json;
using measure::ClassAnswer;
using measure::SampleAnswer;

// Of one model; and pictures of a page.
constexpr std::size_t kDiffering = 24, kUncertain = 12, kWorst = 12, kPictures = 72;
// Pairs of classes: of a thousand classes, those that are confused most.
constexpr std::size_t kPairs = 2000;

using Pairs = std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t>;

/// [row, column, count]; of too many, the rarest confusions are left out. `left_out` becomes the
/// number of samples of these, if it was less.
Json pairs_json(const Pairs& pairs, std::int64_t& left_out) {
  std::vector<std::pair<std::pair<std::int64_t, std::int64_t>, std::int64_t>> kept(pairs.begin(),
                                                                                   pairs.end());
  if (kept.size() > kPairs) {
    const auto weight = [](const auto& pair) {
      return std::pair(pair.first.first == pair.first.second, pair.second);
    };
    std::stable_sort(kept.begin(), kept.end(),
                     [&](const auto& a, const auto& b) { return weight(a) > weight(b); });
    std::int64_t samples = 0;
    for (std::size_t i = kPairs; i < kept.size(); ++i) samples += kept[i].second;
    left_out = std::max(left_out, samples);
    kept.resize(kPairs);
    std::sort(kept.begin(), kept.end());
  }
  Json json = Json::array();
  for (const auto& [pair, count] : kept) json.push_back({pair.first, pair.second, count});
  return json;
}

Json confusion_json(const std::vector<SampleAnswer>& answers, bool labels, bool referenced) {
  Pairs by_float, by_chip, change;
  for (const SampleAnswer& a : answers) {
    if (labels && referenced) ++by_float[{a.label, a.reference.best}];
    if (labels) ++by_chip[{a.label, a.chip.best}];
    if (referenced) ++change[{a.reference.best, a.chip.best}];
  }
  std::int64_t left_out = 0;
  Json json = Json::object();
  if (labels && referenced) json["float"] = pairs_json(by_float, left_out);
  if (labels) json["chip"] = pairs_json(by_chip, left_out);
  if (referenced) json["change"] = pairs_json(change, left_out);
  if (left_out > 0) json["left_out"] = left_out;
  return json;
}

Json answer_json(const ClassAnswer& answer) {
  Json json{{"class", answer.best}, {"score", rounded(static_cast<double>(answer.best_score))}};
  if (answer.second >= 0) {
    json["second"] = answer.second;
    json["second_score"] = rounded(static_cast<double>(answer.second_score));
  }
  return json;
}

struct Shown {
  std::size_t sample = 0;
  const char* why = "";
};

/// The first `most` of `candidates` by `key`, smallest first, without those that are shown already.
template <typename Key>
void show(std::vector<std::size_t> candidates, std::size_t most, const char* why, const Key& key,
          std::vector<Shown>& shown) {
  std::erase_if(candidates, [&](std::size_t i) {
    return std::any_of(shown.begin(), shown.end(), [&](const Shown& s) { return s.sample == i; });
  });
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  for (std::size_t i = 0; i < std::min(most, candidates.size()); ++i)
    shown.push_back({candidates[i], why});
}

/// Samples that are lost come first, then those where the float network was most sure.
void show_classes(const std::vector<SampleAnswer>& answers, bool labels, bool referenced,
                  std::vector<Shown>& shown) {
  std::vector<std::size_t> all, differing;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    all.push_back(i);
    const SampleAnswer& a = answers[i];
    if (a.chip.best != (referenced ? a.reference.best : a.label)) differing.push_back(i);
  }
  show(
      differing, kDiffering, referenced ? "differs" : "wrong",
      [&](std::size_t i) {
        const SampleAnswer& a = answers[i];
        const int order = !labels || !referenced        ? 0
                          : a.reference.best == a.label ? 0
                          : a.chip.best == a.label      ? 2
                                                        : 1;
        return std::pair(order, -(referenced ? a.reference : a.chip).margin());
      },
      shown);
  show(
      all, kUncertain, "uncertain", [&](std::size_t i) { return answers[i].chip.margin(); }, shown);
}

void show_values(const std::vector<SampleAnswer>& answers, std::vector<Shown>& shown) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < answers.size(); ++i) all.push_back(i);
  show(
      all, kWorst, "worst", [&](std::size_t i) { return -answers[i].noise; }, shown);
}

/// A row of numbers may be class scores, or anything: labels, names of classes or a Softmax tell.
bool are_surely_classes(const measure::Evaluation& evaluation,
                        const std::vector<std::string>& names) {
  return evaluation.accuracy || !names.empty() ||
         (evaluation.noise && evaluation.noise->parts().front().probabilities);
}

Json errors_json(const measure::Evaluation& evaluation) {
  Json json = Json::array();
  for (std::size_t p = 0; p < evaluation.errors.size(); ++p) {
    const measure::OutputErrors& errors = evaluation.errors[p];
    const measure::OutputNoise::Part& part = evaluation.noise->parts()[p];
    const measure::Noise& noise = part.probabilities ? *part.probabilities : part.noise;
    const double count = std::max(part.elements, 1.0);
    Json& one = json.emplace_back(Json{{"output", errors.output}});
    if (!errors.part.empty()) one["part"] = errors.part;
    one["range"] = errors.histogram.range();
    one["counts"] = errors.histogram.bins();
    one["rms_error"] = rounded(std::sqrt(noise.noise / count));
    one["rms_value"] = rounded(std::sqrt(noise.signal / count));
    one["largest"] = rounded(errors.histogram.largest());
    if (errors.histogram.not_finite() > 0) one["not_finite"] = errors.histogram.not_finite();
  }
  return json;
}

/// Once for a page, whichever model shows it.
void add_sample(Json& page, const AnsweredData& data, std::size_t i, std::int64_t label) {
  Json& samples = page["samples"];
  const std::size_t index = data.samples[i];
  for (const Json& known : samples)
    if (known["sample"] == index) return;
  Json sample{{"sample", index}, {"name", data.dataset.sample_name(index)}};
  if (label >= 0) sample["label"] = label;
  if (samples.size() < kPictures) sample.update(look_of(data.dataset, index));
  samples.push_back(std::move(sample));
}

}  // namespace

void add_answers(Json& page, Json& model, const measure::Evaluation& evaluation,
                 const AnsweredData& data, const espdl::Model& file) {
  const std::vector<SampleAnswer>& answers = evaluation.answers;
  const bool referenced = evaluation.noise.has_value();
  if (answers.empty() || (!referenced && !evaluation.accuracy)) return;
  const bool classes = answers.front().chip.best >= 0, labels = evaluation.accuracy.has_value();
  Json json{{"on", data.called}, {"samples", answers.size()}};
  std::vector<std::string> names = job::stored_classes(file);
  if (names.empty()) names = data.dataset.classes();
  const bool sure = classes && are_surely_classes(evaluation, names);
  std::vector<Shown> shown;
  if (!sure) show_values(answers, shown);
  if (classes) {
    json["class_count"] = data.class_count;
    if (!sure) json["classes_assumed"] = true;
    if (!names.empty()) json["classes"] = names;
    json["confusion"] = confusion_json(answers, labels, referenced);
    if (referenced)
      json["differing"] = std::count_if(answers.begin(), answers.end(), [](const SampleAnswer& a) {
        return a.chip.best != a.reference.best;
      });
    show_classes(answers, labels, referenced, shown);
  }
  if (referenced) json["errors"] = errors_json(evaluation);
  json["shown"] = Json::array();
  for (const Shown& s : shown) {
    const SampleAnswer& a = answers[s.sample];
    Json& one =
        json["shown"].emplace_back(Json{{"sample", data.samples[s.sample]}, {"why", s.why}});
    if (classes && referenced) one["float"] = answer_json(a.reference);
    if (classes) one["chip"] = answer_json(a.chip);
    if (referenced) one["noise"] = rounded(a.noise);
    add_sample(page, data, s.sample, labels ? a.label : -1);
  }
  model["answers"] = std::move(json);
}

void add_evaluation(Json& page, Json& model, const measure::Evaluation& evaluation,
                    const AnsweredData& data, const espdl::Model& file) {
  if (evaluation.accuracy) model["accuracy"] = *evaluation.accuracy;
  if (evaluation.reference_accuracy) model["float_accuracy"] = *evaluation.reference_accuracy;
  if (evaluation.agreement) model["agreement"] = *evaluation.agreement;
  add_answers(page, model, evaluation, data, file);
}

AnsweredData answered(const job::Data& data, const char* called) {
  return {*data.dataset, data.chosen, data.class_count, called};
}

}  // namespace espquant::page
