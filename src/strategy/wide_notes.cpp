#include "strategy/wide_notes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "quant/uneven_outputs.h"

namespace espquant::strategy {
namespace {

bool is_wide(const Graph& quantized, ValueId v) {
  const auto& quant = quantized.value(v).quant;
  return quant && quant->bits == 16;
}

std::string note_of_scores(const Workbench& bench, const Node& softmax) {
  return fmt::format(
      "the scores that '{}' reads reach {:.3g}, more than 8 bits hold: what makes them runs at 16",
      softmax.name, bench.calibration().statistics.of(softmax.inputs[0]).extent.abs_max());
}

/// The option that cuts the parts apart, other outputs kept; empty where one of them is not in the
/// network as it was read.
std::string option_for_parts(const Graph& imported, const Graph& network, ValueId output,
                             const std::vector<ValueId>& parts) {
  std::vector<std::string> names;
  for (ValueId v : network.outputs()) {
    const std::vector<ValueId> own{v};
    for (ValueId part : v == output ? parts : own) {
      const std::string& name = network.value(part).name;
      if (network.value(part).is_constant()) continue;
      if (imported.find_value(name) == kNone) return "";
      names.push_back(name);
    }
  }
  return "--outputs " + shell_word(fmt::format("{}", fmt::join(names, ",")));
}

std::string note_of_parts(const Graph& imported, const Workbench& bench, ValueId output,
                          const std::vector<ValueId>& parts) {
  const Graph& network = bench.network();
  const auto size = [&](ValueId v) {
    if (network.value(v).is_constant()) return 0.0;
    const auto& found = bench.calibration().statistics.of(v);
    return found.count > 0 ? std::sqrt(found.sum_squares / static_cast<double>(found.count)) : 0.0;
  };
  const auto [small, large] = std::ranges::minmax_element(parts, {}, size);
  const std::string option = option_for_parts(imported, network, output, parts);
  return fmt::format(
      "the output '{}' joins '{}' (values of about {:.3g}) and '{}' (about {:.3g}): one exponent of 8 "
      "bits would lose the small ones, so that they are joined at 16. With outputs of their own, 8 "
      "bits are enough: {}",
      network.value(output).name, network.value(*large).name, size(*large),
      network.value(*small).name, size(*small),
      option.empty() ? "give them that in the exporting script" : option);
}

}  // namespace

std::vector<std::string> wide_notes(const Graph& imported, const Workbench& bench,
                                    const Graph& quantized) {
  std::vector<std::string> notes;
  if (bench.settings().bits == 16) return notes;
  const Graph& network = bench.network();
  const auto& wide = bench.plan().wide;
  for (NodeId id : network.topological_order()) {
    const Node& n = network.node(id);
    const bool softmax = n.op == "Softmax" || n.op == "LogSoftmax";
    if (softmax && n.inputs[0] != kNone && wide.at(static_cast<std::size_t>(n.inputs[0])) &&
        is_wide(quantized, n.inputs[0]))
      notes.push_back(note_of_scores(bench, n));
  }
  for (ValueId v : network.outputs()) {
    const std::vector<ValueId> parts = quant::parts_of_uneven_output(network, v);
    if (!parts.empty() && is_wide(quantized, v))
      notes.push_back(note_of_parts(imported, bench, v, parts));
  }
  return notes;
}

}  // namespace espquant::strategy
