#include "job/saturation_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "report/json_text.h"
#include "report/table.h"

namespace espquant::job {
namespace {

using measure::LayerSaturation;
using measure::SaturationReport;

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

/// "12.3 %"; three digits, and never 0 for what is not.
std::string saturation_percent(double fraction) {
  if (fraction == 0) return "0 %";
  if (fraction < 1e-6) return "<0.0001 %";
  const double p = 100 * fraction;
  return fmt::format("{:.{}f} %", p, p >= 100 ? 0 : p >= 10 ? 1 : p >= 0.1 ? 2 : 4);
}

std::vector<const LayerSaturation*> worst_first(const SaturationReport& report) {
  std::vector<const LayerSaturation*> order;
  for (const LayerSaturation& layer : report.layers) order.push_back(&layer);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::tuple(a->changed, a->books.saturated, a->books.peak) >
           std::tuple(b->changed, b->books.saturated, b->books.peak);
  });
  return order;
}

std::string saturation_table_of(const std::vector<const LayerSaturation*>& layers,
                                std::size_t rows) {
  using enum report::Table::Align;
  report::Table table({{"layer", Left},
                       {"op", Left},
                       {"type", Left},
                       {"largest sum", Right},
                       {"above half", Right},
                       {"at limit", Right},
                       {"changed", Right},
                       {"noise", Right}});
  for (std::size_t i = 0; i < rows; ++i) {
    const LayerSaturation& l = *layers[i];
    table.add_row({l.node, l.op, std::string(to_string(l.dtype)), saturation_percent(l.books.peak),
                   saturation_percent(share(l.books.above_half, l.books.outputs)),
                   saturation_percent(share(l.books.saturated, l.books.outputs)),
                   saturation_percent(share(l.changed, l.elements)),
                   saturation_percent(l.effect.ratio())});
  }
  return table.to_string();
}

struct Totals {
  std::int64_t outputs = 0, saturated = 0, changed = 0, touched_layers = 0;
};

Totals totals_of(const SaturationReport& report) {
  Totals totals;
  for (const LayerSaturation& l : report.layers) {
    totals.outputs += l.books.outputs;
    totals.saturated += l.books.saturated;
    totals.changed += l.changed;
    totals.touched_layers += l.books.saturated > 0 ? 1 : 0;
  }
  return totals;
}

std::string saturation_summary_of(const SaturationReport& report) {
  const Totals t = totals_of(report);
  std::string text = fmt::format(
      "Samples                {}\nOutputs at the limit   {} of {} ({}), in {} of {} layers\n"
      "Outputs changed by it  {}\nNoise to signal        {} of the network's outputs come from "
      "it\n",
      report.samples, report::with_separators(t.saturated), report::with_separators(t.outputs),
      saturation_percent(share(t.saturated, t.outputs)), t.touched_layers, report.layers.size(),
      report::with_separators(t.changed), saturation_percent(report.output.ratio()));
  if (report.noise)
    text += fmt::format("To the float network   {}; it would be {} without saturation\n",
                        saturation_percent(report.noise->ratio()),
                        saturation_percent(report.noise_of_exact_sums->ratio()));
  return text;
}

}  // namespace

std::string saturation_text(const SaturationReport& report, const Target& target,
                            std::size_t rows) {
  if (report.layers.empty())
    return fmt::format("No layer of this model sums in registers that saturate on {}.\n",
                       target.name);
  const auto layers = worst_first(report);
  const std::size_t shown = rows == 0 ? layers.size() : std::min(rows, layers.size());
  std::string text = fmt::format(
      "Sums of {} in registers of {} bits (int8) and {} bits (int16), in percent of their "
      "limit:\n\n",
      target.name, target.accumulator_bits(8), target.accumulator_bits(16));
  text += saturation_table_of(layers, shown);
  if (shown < layers.size())
    text += fmt::format("and {} more layers (--top 0 shows all)\n", layers.size() - shown);
  text += '\n' + saturation_summary_of(report);
  for (const LayerSaturation* layer : layers) {
    const std::string sentence = measure::advice(*layer, target);
    if (!sentence.empty()) text += '\n' + sentence + '\n';
  }
  return text;
}

std::string saturation_json(const SaturationReport& report, const Target& target,
                            const std::string& file) {
  const Totals totals = totals_of(report);
  nlohmann::ordered_json json{{"file", file},
                              {"target", target.name},
                              {"samples", report.samples},
                              {"outputs", totals.outputs},
                              {"at_limit", totals.saturated},
                              {"changed", totals.changed},
                              {"noise_from_saturation", report.output.ratio()}};
  if (report.noise) {
    json["noise_to_signal"] = report.noise->ratio();
    json["noise_to_signal_without_saturation"] = report.noise_of_exact_sums->ratio();
  }
  json["layers"] = nlohmann::ordered_json::array();
  for (const LayerSaturation& l : report.layers)
    json["layers"].push_back({{"node", l.node},
                              {"op", l.op},
                              {"tensor", l.tensor},
                              {"type", to_string(l.dtype)},
                              {"outputs", l.books.outputs},
                              {"at_limit", l.books.saturated},
                              {"above_half", l.books.above_half},
                              {"largest_sum", l.books.peak},
                              {"excess_bits", measure::excess_bits(l)},
                              {"elements", l.elements},
                              {"changed", l.changed},
                              {"noise_to_signal", l.effect.ratio()},
                              {"advice", measure::advice(l, target)}});
  return report::json_text(json);
}

std::string saturation_csv(const SaturationReport& report) {
  const auto quoted = [](std::string_view text) {
    std::string field = "\"";
    for (char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
    return field + '"';
  };
  std::string csv =
      "node,op,tensor,type,outputs,at_limit,above_half,largest_sum,elements,changed,"
      "noise_to_signal\n";
  for (const LayerSaturation& l : report.layers)
    csv += fmt::format("{},{},{},{},{},{},{},{:g},{},{},{:g}\n", quoted(l.node), quoted(l.op),
                       quoted(l.tensor), to_string(l.dtype), l.books.outputs, l.books.saturated,
                       l.books.above_half, l.books.peak, l.elements, l.changed, l.effect.ratio());
  return csv;
}

}  // namespace espquant::job
