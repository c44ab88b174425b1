#include "job/shrink.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "job/data_doubts.h"
#include "job/noise_report.h"
#include "measure/evaluate.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "passes/pass_manager.h"
#include "survey/nominal.h"

namespace espquant::job {
namespace {

constexpr double kKibi = 1024;

compress::PriceOf price_on(const Target& target, int bits, cost::LatencyOptions latency) {
  return [&target, bits, latency = std::move(latency)](const Graph& graph) {
    // Where a block is gone, one Relu may follow another.
    const survey::Draft draft = survey::draft(passes::simplify(graph), target, bits);
    if (!draft.refused.empty()) throw Error(draft.refused.front().error);
    return compress::Price{cost::estimate_latency(draft.model, target, latency).milliseconds,
                           static_cast<double>(espdl::size_by_kind(draft.model).total()),
                           static_cast<double>(cost::plan_memory(draft.model, target).ram_bytes())};
  };
}

compress::Budget budget_of(const ShrinkBudget& asked, const compress::Price& now) {
  compress::Budget budget;
  if (asked.latency_share) budget.milliseconds = *asked.latency_share * now.milliseconds;
  if (asked.milliseconds)
    budget.milliseconds =
        std::min(budget.milliseconds.value_or(*asked.milliseconds), *asked.milliseconds);
  if (asked.file_kb) budget.file_bytes = kKibi * *asked.file_kb;
  if (asked.ram_kb) budget.ram_bytes = kKibi * *asked.ram_kb;
  return budget;
}

ShrinkAccuracy accuracy_of(const ShrinkJob& job, const Graph& network, const Graph& smaller,
                           const Quantized& quantized, const Data& calibration, const Tell& tell) {
  std::optional<Data> test;
  if (job.quantize.test) test = open_data(*job.quantize.test, network, tell);
  const Data& data = test ? *test : calibration;
  const std::vector<std::int64_t> labels = data.labels();
  const sim::Program program(quantized.made.model, *quantized.target);
  const ops::Executor float_network(network, {.observe_all = false});
  const ops::Executor float_smaller(smaller, {.observe_all = false});
  const measure::Evaluation chip =
      measure::evaluate(program, smaller, &float_network, data.source(), labels);
  ShrinkAccuracy accuracy{chip.samples,  chip.reference_accuracy, {},
                          chip.accuracy, chip.agreement,          chip.noise};
  if (!labels.empty())
    accuracy.smaller = measure::evaluate(program, smaller, &float_smaller, data.source(), labels)
                           .reference_accuracy;
  return accuracy;
}

}  // namespace

double ShrinkBudget::share_of(const std::string& text) {
  char* end = nullptr;
  const double percent = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || std::string_view(end) != "%" || !(percent < 0) || !(percent > -100))
    throw Error(ErrorCode::Usage, fmt::format("'{}' does not say by how much less", text))
        .remedy("Write --latency -40% for 40 % less than now, or --budget-ms for milliseconds");
  return 1 + percent / 100;
}

ShrunkJob shrink(const ShrinkJob& job, const Tell& tell, strategy::StageProgress progress) {
  const auto begin = std::chrono::steady_clock::now();
  const ShrinkBudget& asked = job.budget;
  if (!asked.latency_share && !asked.milliseconds && !asked.file_kb && !asked.ram_kb)
    throw Error(ErrorCode::Usage, "nothing says how small the network is to become")
        .remedy("Give --latency -40%, --budget-ms, --budget-kb or --ram-kb");
  const QuantizeJob& how = job.quantize;
  Prepared prepared = prepare(how.model, how.network, how.calib, how.target, how.recipe, tell);
  const Target& target = *prepared.target;
  const Graph network = passes::simplify(prepared.imported);
  const int bits = prepared.recipe.quantization.bits;
  const auto price_of = price_on(target, bits, how.board.latency_for(target, tell));
  const compress::Price now = price_of(network);

  strategy::ShrinkSettings settings;
  settings.compress.choice = {budget_of(asked, now), target.lanes(bits)};
  settings.compress.importance = job.importance;
  settings.steps = job.steps;
  settings.blocks = job.blocks;
  settings.training = prepared.recipe.finetune;
  settings.training.rate = 0.01;
  // What makes another picture of a picture makes nonsense of other data.
  if (!prepared.calibration.dataset->holds_pictures()) settings.training.flip = false;
  strategy::Shrunk shrunk =
      strategy::shrink(network, prepared.calibration.source(), price_of, settings, progress);
  if (shrunk.compressed.is_as_it_was() && settings.compress.choice.budget.excess(now) > 0)
    throw Error(ErrorCode::Unsupported, "nothing can be taken away from this network")
        .file(how.model.string())
        .remedy("Only channels between weighted layers go that nothing else holds in place");
  std::vector<std::byte> onnx = onnx::export_model(shrunk.network);
  prepared.imported = onnx::import_model(onnx, {});
  ops::infer_shapes(prepared.imported);
  Quantized quantized = quantize(how, std::move(prepared), tell, progress);
  ShrinkAccuracy accuracy =
      accuracy_of(job, network, shrunk.network, quantized, quantized.calibration, tell);
  return {std::move(shrunk),
          std::move(onnx),
          std::move(quantized),
          std::move(accuracy),
          settings.compress.choice.budget,
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
}

namespace {

nlohmann::ordered_json price_json(const compress::Price& price) {
  return {
      {"milliseconds", price.milliseconds}, {"file", price.file_bytes}, {"ram", price.ram_bytes}};
}

}  // namespace

nlohmann::ordered_json json_of(const ShrunkJob& made,
                               const std::vector<std::filesystem::path>& files) {
  const compress::Compressed& compressed = made.shrunk.compressed;
  nlohmann::ordered_json j;
  for (const auto& f : files) j["files"].push_back(f.string());
  j["target"] = made.quantized.target->name;
  j["espdl"] = made.quantized.target->release.version;
  j["strategy"] = made.quantized.made.recipe.name;
  j["met"] = compressed.met;
  j["before"] = price_json(compressed.before);
  j["after"] = price_json(compressed.after);
  j["blocks"] = nlohmann::ordered_json::array();
  for (const auto& b : compressed.blocks)
    j["blocks"].push_back(
        {{"layers", b.layers}, {"saved", price_json(b.saved)}, {"noise_to_signal", b.loss}});
  j["removed"] = nlohmann::ordered_json::array();
  for (const auto& r : compressed.removed)
    j["removed"].push_back({{"layers", r.layers},
                            {"channels_before", r.before},
                            {"channels_after", r.after},
                            {"saved", price_json(r.saved)},
                            {"noise_to_signal", r.loss}});
  j["trials"] = nlohmann::ordered_json::array();
  for (const auto& t : made.shrunk.trials) {
    j["trials"].push_back({{"blocks", t.blocks},
                           {"channels", t.channels},
                           {"noise_to_signal_refitted", t.refitted},
                           {"chosen", t.chosen}});
    if (t.trained) j["trials"].back()["noise_to_signal"] = *t.trained;
  }
  j["noise_to_signal_refitted"] = made.shrunk.refitted.ratio();
  j["training"] = {{"steps", made.shrunk.steps}, {"kept", made.shrunk.training_kept}};
  if (made.shrunk.steps > 0) j["training"]["noise_to_signal"] = made.shrunk.trained.ratio();
  if (!made.shrunk.reason.empty()) j["training"]["reason"] = made.shrunk.reason;
  j["samples"] = made.accuracy.samples;
  if (made.accuracy.noise) j["noise_to_signal"] = made.accuracy.noise->ratio();
  if (made.accuracy.agreement) j["agreement"] = *made.accuracy.agreement;
  if (made.accuracy.network)
    j["accuracy"] = {{"network", *made.accuracy.network},
                     {"smaller", *made.accuracy.smaller},
                     {"chip", *made.accuracy.chip}};
  j["milliseconds"] = made.quantized.cost.latency.milliseconds;
  j["ram"] = made.quantized.cost.memory.ram_bytes();
  j["size"] = made.quantized.size.total();
  j["seconds"] = made.seconds;
  return j;
}

}  // namespace espquant::job
