#include "job/shrink.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/quantities.h"
#include "base/seconds.h"
#include "espdl/compressed_size.h"
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
// By how much of its usual size a weight moves in a step at most.
constexpr double kRate = 0.02;
// As many weights as may become zero where only the loss says how many.
constexpr double kMostZeros = 0.95;

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

/// Bytes of the compressed file of `network`, quantized as the pruned one was, but with all
/// weights.
std::size_t compressed_without_pruning(const QuantizeJob& how, recipe::Recipe recipe,
                                       const Graph& network,
                                       const strategy::StageProgress& progress) {
  Prepared unpruned = prepare(how.model, how.network, how.calib, how.target, how.recipe, ignored);
  unpruned.recipe = std::move(recipe);
  unpruned.recipe.quantization.keep_zeros = false;
  unpruned.imported = network;
  QuantizeJob job = how;
  job.test.reset();
  return espdl::compressed_size(quantize(job, std::move(unpruned), ignored, progress).file.bytes());
}

/// FNV-1a, of all that decides the result.
std::string fingerprint_of(const ShrinkJob& job, const Graph& network, const Prepared& prepared) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  const auto add = [&](std::span<const std::byte> bytes) {
    for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001B3U;
  };
  const auto add_text = [&](const std::string& text) { add(std::as_bytes(std::span(text))); };
  add(onnx::export_model(network));
  const auto number = [](const std::optional<double>& x) {
    return x ? fmt::format("{:a}", *x) : std::string("-");
  };
  add_text(recipe::to_json(prepared.recipe));
  add_text(fmt::format("{} {} {} {} {} {} {} {} {} {} {}", number(job.budget.latency_share),
                       number(job.budget.milliseconds), number(job.budget.file_kb),
                       number(job.budget.ram_kb), number(job.prune_share), number(job.prune_loss),
                       job.prune_block, job.blocks, static_cast<int>(job.importance),
                       job.steps.value_or(-1), prepared.calibration.chosen.size()));
  const calib::SampleSource source = prepared.calibration.source();
  for (const std::int64_t i : {std::int64_t{0}, source.count - 1})
    for (const Tensor& t : source.sample(i)) add(t.bytes());
  return fmt::format("{:016x}", hash);
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
  const auto share = parse_percent(text);
  if (!share || !(*share < 0) || !(*share > -1))
    throw Error(ErrorCode::Usage, fmt::format("'{}' does not say by how much less", text))
        .remedy("Write --latency -40% for 40 % less than now, or --budget-ms for milliseconds");
  return 1 + *share;
}

std::pair<std::optional<double>, std::optional<double>> prune_goal(const std::string& text) {
  constexpr std::string_view kNoise = "noise=";
  constexpr double kMostNoise = 1e4;
  const bool by_noise = text.starts_with(kNoise);
  const auto share = parse_percent(std::string_view(text).substr(by_noise ? kNoise.size() : 0));
  if (!share || !(*share > 0) || !(*share < (by_noise ? kMostNoise : 1)))
    throw Error(ErrorCode::Usage, fmt::format("'{}' does not say how many weights are to go", text))
        .remedy(
            "Write --prune 60% for that share of them, or --prune noise=1% for what they may cost");
  if (by_noise) return {std::nullopt, share};
  return {share, std::nullopt};
}

ShrunkJob shrink(const ShrinkJob& job, const Tell& tell, strategy::StageProgress progress) {
  const auto begin = std::chrono::steady_clock::now();
  const ShrinkBudget& asked = job.budget;
  const bool prunes = job.prune_share || job.prune_loss;
  if (!asked.latency_share && !asked.milliseconds && !asked.file_kb && !asked.ram_kb && !prunes)
    throw Error(ErrorCode::Usage, "nothing says how small the network is to become")
        .remedy("Give --latency -40%, --budget-ms, --budget-kb or --ram-kb, or --prune 60%");
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
  settings.training.rate = kRate;
  // What makes another picture of a picture makes nonsense of other data.
  if (!prepared.calibration.dataset->holds_pictures()) settings.training.flip = false;
  if (prunes) {
    settings.sparsity = {job.prune_share.value_or(kMostZeros), job.prune_loss, job.prune_block};
    prepared.recipe.quantization.keep_zeros = true;
  }
  const recipe::Recipe recipe = prepared.recipe;
  settings.seconds = job.seconds;
  const std::string fingerprint = fingerprint_of(job, network, prepared);
  if (job.keep)
    settings.keep = [&](const Graph& smaller, const strategy::Shrunk& so_far,
                        const strategy::ShrinkProgress& done) {
      ShrinkCheckpoint checkpoint{onnx::export_model(smaller),
                                  done,
                                  so_far.compressed,
                                  so_far.trials,
                                  so_far.sparse,
                                  fingerprint};
      checkpoint.compressed.graph = {};
      job.keep(checkpoint);
      return passes::simplify(onnx::import_model(checkpoint.onnx, {}));
    };
  strategy::Shrunk shrunk;
  if (!job.resumed) {
    shrunk = strategy::shrink(network, prepared.calibration.source(), price_of, settings, progress);
  } else {
    if (job.resumed->fingerprint != fingerprint)
      throw Error(ErrorCode::Usage, "the run to go on from had another network, data or options")
          .remedy("Repeat its command with --resume");
    shrunk.network = passes::simplify(onnx::import_model(job.resumed->onnx, {}));
    shrunk.compressed = job.resumed->compressed;
    shrunk.compressed.graph = shrunk.network;
    shrunk.trials = job.resumed->trials;
    shrunk.sparse = job.resumed->sparse;
    shrunk = strategy::go_on_shrinking(network, prepared.calibration.source(), std::move(shrunk),
                                       job.resumed->progress, settings, progress);
  }
  if (shrunk.compressed.is_as_it_was() && !prunes &&
      settings.compress.choice.budget.excess(now) > 0)
    throw Error(ErrorCode::Unsupported, "nothing can be taken away from this network")
        .file(how.model.string())
        .remedy("Only channels between weighted layers go that nothing else holds in place");
  std::vector<std::byte> onnx = onnx::export_model(shrunk.network);
  prepared.imported = onnx::import_model(onnx, {});
  ops::infer_shapes(prepared.imported);
  Quantized quantized = quantize(how, std::move(prepared), tell, progress);
  std::optional<std::size_t> compressed_before, compressed_after;
  if (prunes) {
    compressed_before = compressed_without_pruning(how, recipe, shrunk.compressed.graph, progress);
    compressed_after = espdl::compressed_size(quantized.file.bytes());
  }
  ShrinkAccuracy accuracy =
      accuracy_of(job, network, shrunk.network, quantized, quantized.calibration, tell);
  return {std::move(shrunk),
          std::move(onnx),
          std::move(quantized),
          std::move(accuracy),
          compressed_before,
          compressed_after,
          settings.compress.choice.budget,
          seconds_since(begin)};
}

nlohmann::ordered_json json_of(const ShrunkJob& made,
                               const std::vector<std::filesystem::path>& files) {
  nlohmann::ordered_json j;
  for (const auto& f : files) j["files"].push_back(f.string());
  j["target"] = made.quantized.target->name;
  j["espdl"] = made.quantized.target->release.version;
  j["strategy"] = made.quantized.made.recipe.name;
  j.update(json_of(made.shrunk.compressed));
  j["trials"] = json_of(made.shrunk.trials);
  j["noise_to_signal_refitted"] = made.shrunk.refitted.ratio();
  j["training"] = {{"steps", made.shrunk.steps}, {"kept", made.shrunk.training_kept}};
  if (made.shrunk.steps > 0) j["training"]["noise_to_signal"] = made.shrunk.trained.ratio();
  if (!made.shrunk.reason.empty()) j["training"]["reason"] = made.shrunk.reason;
  if (made.shrunk.sparse) {
    j["pruned"] = json_of(*made.shrunk.sparse);
    j["pruned"]["compressed_before"] = *made.compressed_before;
    j["pruned"]["compressed_after"] = *made.compressed_after;
  }
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
