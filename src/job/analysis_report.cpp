#include "job/analysis_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "job/noise_report.h"
#include "report/json_text.h"
#include "report/table.h"
#include "report/wrap.h"

namespace espquant::job {
namespace {

using analysis::Analysis;
using analysis::AnalyzedLayer;
using analysis::LayerFacts;
using analysis::Reason;

using Json = nlohmann::ordered_json;

constexpr std::size_t kWidth = 100;

// 16 bits have noise of millionths.
std::string analysis_percent(double fraction) {
  const double p = 100 * fraction;
  return p == 0 || p >= 0.001 ? fmt::format("{:.3f} %", p) : fmt::format("{:.0e} %", p);
}

double rank_of(const LayerFacts& f, AnalysisOrder order) {
  switch (order) {
    case AnalysisOrder::Output:
      return f.at_output.ratio();
    case AnalysisOrder::Accumulated:
      return f.accumulated.ratio();
    case AnalysisOrder::Alone:
      return f.alone.ratio();
    case AnalysisOrder::Clipped:
      return f.clipped_share();
    case AnalysisOrder::Spread:
      return f.weights ? f.weights->spread : 0;
    case AnalysisOrder::Network:
      break;
  }
  return 0;
}

std::vector<const AnalyzedLayer*> sorted(const Analysis& analysis, AnalysisOrder order) {
  std::vector<const AnalyzedLayer*> layers;
  for (const AnalyzedLayer& layer : analysis.layers) layers.push_back(&layer);
  std::stable_sort(layers.begin(), layers.end(), [&](const auto* a, const auto* b) {
    return rank_of(a->facts, order) > rank_of(b->facts, order);
  });
  return layers;
}

std::string analysis_table_of(const std::vector<const AnalyzedLayer*>& layers, std::size_t rows) {
  using enum report::Table::Align;
  report::Table table({{"layer", Left},
                       {"type", Left},
                       {"bits", Right},
                       {"accumulated", Right},
                       {"alone", Right},
                       {"at output", Right},
                       {"so far", Right},
                       {"reason", Left}});
  for (std::size_t i = 0; i < rows; ++i) {
    const LayerFacts& f = layers[i]->facts;
    table.add_row({f.node, f.op, f.is_w8a16() ? "w8a16" : fmt::format("{}", f.bits),
                   analysis_percent(f.accumulated.ratio()), analysis_percent(f.alone.ratio()),
                   analysis_percent(f.at_output.ratio()), analysis_percent(f.noise_behind.ratio()),
                   std::string(code_of(layers[i]->diagnosis.reason))});
  }
  return table.to_string();
}

/// The first line behind `lead`, the others as far in.
std::string paragraph(const std::string& lead, std::string_view text) {
  std::string block;
  for (const std::string& line : report::wrapped(text, kWidth - lead.size()))
    block += fmt::format("{:{}}{}\n", block.empty() ? lead : "", lead.size(), line);
  return block;
}

std::string explanations(const std::vector<const AnalyzedLayer*>& layers, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    const AnalyzedLayer& layer = *layers[i];
    std::string item =
        fmt::format("{} ({}). {}", layer.facts.node, layer.facts.op, layer.diagnosis.explanation);
    if (layer.facts.dead_channels > 0)
      item += fmt::format(" {} of its {} channels were always 0.", layer.facts.dead_channels,
                          layer.facts.channels);
    text += paragraph(fmt::format("{}. ", i + 1), item);
    if (!layer.diagnosis.remedy.empty()) text += paragraph("   ", "Try " + layer.diagnosis.remedy);
    text += '\n';
  }
  return text;
}

double sum_at_output(const Analysis& analysis) {
  double sum = 0;
  for (const AnalyzedLayer& layer : analysis.layers) sum += layer.facts.at_output.ratio();
  return sum;
}

/// Every column by its name, for JSON and CSV.
Json columns(const AnalyzedLayer& layer) {
  const LayerFacts& f = layer.facts;
  Json j{
      {"layer", f.node},
      {"type", f.op},
      {"tensor", f.tensor},
      {"bits", f.bits},
      {"weight_bits", nullptr},
      {"exponent", f.exponent},
      {"accumulated", f.accumulated.ratio()},
      {"alone", f.alone.ratio()},
      {"at_output", f.at_output.ratio()},
      {"output_noise_up_to_here", f.noise_behind.ratio()},
      {"min", f.min},
      {"max", f.max},
      {"magnitude_99_9", f.typical},
      {"clipped_share", f.clipped_share()},
      {"clipping_noise", f.clipping.ratio()},
      {"channels", f.channels},
      {"dead_channels", f.dead_channels},
      {"weight_channel_spread", nullptr},
      {"weight_noise", nullptr},
      {"excess_bias_bits", nullptr},
      {"largest_sum", nullptr},
      {"outputs_changed_by_saturation", nullptr},
      {"close_decisions", nullptr},
      {"reason", layer.diagnosis.reason == Reason::Nothing ? "" : code_of(layer.diagnosis.reason)},
      {"explanation", layer.diagnosis.explanation},
      {"remedy", layer.diagnosis.remedy}};
  if (f.weights) {
    j["weight_bits"] = f.weight_bits;
    j["weight_channel_spread"] = f.weights->spread;
    j["weight_noise"] = f.weights->noise;
    j["excess_bias_bits"] = f.weights->excess_bias_bits;
  }
  if (f.saturation) {
    j["largest_sum"] = f.saturation->books.peak;
    j["outputs_changed_by_saturation"] =
        static_cast<double>(f.saturation->changed) / static_cast<double>(f.saturation->elements);
  }
  if (f.decisions > 0)
    j["close_decisions"] =
        static_cast<double>(f.close_decisions) / static_cast<double>(f.decisions);
  return j;
}

std::string csv_field(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_number_float()) return fmt::format("{:g}", value.get<double>());
  if (!value.is_string()) return value.dump();
  std::string field = "\"";
  for (char c : value.get<std::string>()) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + '"';
}

}  // namespace

std::string analysis_text(const Analysis& analysis, const AnalysisView& view) {
  const auto layers = sorted(analysis, view.order);
  const std::size_t shown = view.rows == 0 ? layers.size() : std::min(view.rows, layers.size());
  std::string text = analysis_table_of(layers, shown);
  if (shown < layers.size())
    text += fmt::format("and {} more layers (--top 0 shows all)\n", layers.size() - shown);
  text += fmt::format(
      "\nNoise to signal at the output {}, on {} samples; the layers' own effects add up to {}\n\n",
      noise_text(analysis.output), analysis.samples, analysis_percent(sum_at_output(analysis)));
  return text + explanations(layers, std::min(view.explained, layers.size()));
}

std::string analysis_json(const Analysis& analysis, const recipe::Recipe& recipe,
                          const Target& target, const AnalysisView& view) {
  Json json{{"target", target.name}, {"samples", analysis.samples}, {"layers", Json::array()}};
  add_noise(json, analysis.output);
  for (const AnalyzedLayer* layer : sorted(analysis, view.order))
    json["layers"].push_back(columns(*layer));
  json["recipe"] = Json::parse(recipe::to_json(recipe));
  return report::json_text(json);
}

std::string analysis_csv(const Analysis& analysis, const AnalysisView& view) {
  std::string csv;
  for (const AnalyzedLayer* layer : sorted(analysis, view.order)) {
    const Json row = columns(*layer);
    std::vector<std::string> titles, fields;
    for (const auto& [title, value] : row.items()) {
      titles.push_back(title);
      fields.push_back(csv_field(value));
    }
    if (csv.empty()) csv = fmt::format("{}\n", fmt::join(titles, ","));
    csv += fmt::format("{}\n", fmt::join(fields, ","));
  }
  return csv;
}

}  // namespace espquant::job
