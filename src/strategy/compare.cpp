#include "strategy/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>

#include "base/seconds.h"
#include "cost/latency.h"
#include "cost/memory_plan.h"
#include "espdl/writer.h"
#include "measure/bank_programs.h"
#include "strategy/fit_schedule.h"

namespace espquant::strategy {
namespace {

bool beats(const Merits& a, const Merits& b) {
  const bool as_good = a.file_bytes <= b.file_bytes && a.activation_bytes <= b.activation_bytes &&
                       a.milliseconds <= b.milliseconds && a.noise_to_signal <= b.noise_to_signal;
  const bool better = a.file_bytes < b.file_bytes || a.activation_bytes < b.activation_bytes ||
                      a.milliseconds < b.milliseconds || a.noise_to_signal < b.noise_to_signal;
  return as_good && better;
}

bool changes_format(const espdl::Node& n) {
  return n.op == "RequantizeLinear" || n.op == "QuantizeLinear" || n.op == "DequantizeLinear";
}

std::size_t bytes_without_metadata(espdl::Model model) {
  model.metadata.clear();
  return espdl::write_model(model).size();
}

void count_layers(const espdl::Model& model, Compared& result) {
  for (const espdl::Node& n : model.nodes) {
    if (changes_format(n)) continue;
    ++result.nodes;
    const std::string quant_type = n.get_string("quant_type", "");
    if (quant_type == espdl::kW8A16) ++result.narrow_weights;
    if (quant_type == espdl::kW8A16 || quant_type == "S16") ++result.wide_nodes;
  }
}

QuantizedModel quantize(const Contender& contender, const StageProgress& progress,
                        Compared& result) {
  const Target& target = *contender.options.target;
  QuantizeOptions options = contender.options;
  if (options.fit) require_no_banks(options.recipe);
  options.report_samples = 0;
  QuantizedModel quantized = quantize_model(*contender.shared, options, progress);
  if (quantized.recipe.dynamic.enabled)
    result.banks = find_banks(quantized, target, contender.shared->source(),
                              bank_options_of(quantized.recipe.dynamic), progress);
  count_layers(quantized.model, result);
  if (options.fit) fit_schedule(quantized.model, target, options.latency, *options.fit);
  result.file = pass_last_gate(quantized, target);
  if (result.banks && !result.banks->banks.is_empty())
    result.banks_bytes =
        espdl::write_banks(result.banks->banks, quantized.model, result.file->bytes(), target)
            .size();
  result.merits.file_bytes = bytes_without_metadata(quantized.model) + result.banks_bytes;
  result.merits.activation_bytes = cost::plan_memory(quantized.model, target).activation_bytes();
  result.merits.milliseconds =
      cost::estimate_latency(quantized.model, target, contender.options.latency).milliseconds;
  return quantized;
}

void keep(QuantizedModel made, Compared& result) {
  result.recipe = std::move(made.recipe);
  result.model = std::move(made.model);
  result.faults = std::move(made.faults);
  result.unread_inputs = std::move(made.unread_inputs);
  result.notes = std::move(made.notes);
  result.warnings = std::move(made.warnings);
}

/// Those that are not refused, all at once.
void measure(std::span<const Contender> contenders, const calib::SampleSource& test,
             std::span<const std::int64_t> labels, const StageProgress& progress,
             std::vector<Compared>& results) {
  std::vector<Compared*> left;
  std::deque<sim::Program> made;
  std::vector<const sim::Program*> programs;
  for (Compared& result : results) {
    if (!result.refusal.empty()) continue;
    left.push_back(&result);
    programs.push_back(&made.emplace_back(result.model, *contenders.front().options.target));
  }
  if (left.empty()) return;
  const Graph& network = contenders.front().shared->simplified({}).network;
  const ops::Executor reference(network, {.observe_all = false});
  const std::vector<measure::Evaluation> evaluations = measure::evaluate_all(
      programs, network, &reference, test, labels, [&](std::int64_t done, std::int64_t total) {
        if (progress) progress("evaluate", done, total);
      });
  std::vector<Merits> merits;
  for (std::size_t i = 0; i < left.size(); ++i) {
    left[i]->evaluation = evaluations[i];
    if (left[i]->banks && !left[i]->banks->banks.banks.empty()) {
      const measure::BankPrograms banked(*programs[i], left[i]->banks->banks);
      left[i]->evaluation = measure::evaluate_chosen(
          banked.all(), [&](std::span<const Tensor> inputs) { return banked.choose(inputs); },
          network, &reference, test, labels);
    }
    left[i]->merits.noise_to_signal = left[i]->evaluation.noise->ratio();
    merits.push_back(left[i]->merits);
  }
  const std::vector<bool> best = unbeaten(merits);
  for (std::size_t i = 0; i < left.size(); ++i) left[i]->unbeaten = best[i];
}

}  // namespace

std::vector<bool> unbeaten(std::span<const Merits> all) {
  std::vector<bool> result;
  for (const Merits& mine : all)
    result.push_back(std::none_of(all.begin(), all.end(),
                                  [&](const Merits& other) { return beats(other, mine); }));
  return result;
}

std::vector<Compared> compare_recipes(std::span<const Contender> contenders,
                                      const calib::SampleSource& test,
                                      std::span<const std::int64_t> labels,
                                      const StageProgress& progress, const CompareVisitor& visit) {
  std::vector<Compared> results;
  for (const Contender& contender : contenders) {
    Compared& result = results.emplace_back();
    result.recipe = contender.options.recipe;
    const std::string& name = contender.options.recipe.name;
    const StageProgress named = [&](std::string_view stage, std::int64_t done, std::int64_t total) {
      if (progress) progress(fmt::format("{}: {}", name, stage), done, total);
    };
    const auto begin = std::chrono::steady_clock::now();
    std::optional<QuantizedModel> made;
    try {
      made = quantize(contender, named, result);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Internal || error.code() == ErrorCode::Cancelled) throw;
      result.refusal = error.what();
    }
    result.seconds = seconds_since(begin);
    if (!made) continue;
    if (visit) visit(results.size() - 1, *made);
    keep(std::move(*made), result);
  }

  measure(contenders, test, labels, progress, results);
  return results;
}

}  // namespace espquant::strategy
