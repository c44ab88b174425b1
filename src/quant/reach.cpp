#include "quant/reach.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/fixed_point.h"
#include "quant/scaling.h"

namespace espquant::quant {
namespace {

/// So many integers on either side of 0 are left of the smallest inputs and outputs.
constexpr int kLeastIntegers = 8;
/// The inside of a network is left as it is up to so many octaves from 1.
constexpr int kFarOctaves = 20;

const Node* node_at(const Graph& graph, ValueId v) {
  const Value& value = graph.value(v);
  if (value.producer != kNone) return &graph.node(value.producer);
  return value.consumers.empty() ? nullptr : &graph.node(value.consumers.front());
}

[[noreturn]] void refuse(const Graph& graph, ValueId v, std::string message, std::string remedy) {
  Error error(ErrorCode::Illegal, std::move(message));
  error.tensor(graph.value(v).name).remedy(remedy);
  if (const Node* n = node_at(graph, v)) error.node(n->name);
  throw error;
}

}  // namespace

std::int64_t bring_into_reach(Graph& graph, const calib::Statistics& statistics) {
  const ScaleGroups groups = scale_groups(graph);
  std::vector<float> largest(graph.value_count(), 0.0F), factors(graph.value_count(), 1.0F);
  for (std::size_t v = 0; v < largest.size(); ++v) {
    const calib::ValueStatistics& s = statistics.values[v];
    float& most = largest[static_cast<std::size_t>(groups.sets.find(static_cast<ValueId>(v)))];
    if (s.count > 0) most = std::max(most, s.extent.abs_max());
  }
  std::int64_t changes = 0;
  for (std::size_t g = 0; g < factors.size(); ++g) {
    if (groups.fixed[g] || !(largest[g] > 0)) continue;
    const int octaves = std::ilogb(largest[g]);
    if (std::abs(octaves) <= kFarOctaves) continue;
    factors[g] = std::ldexp(1.0F, -octaves);
    ++changes;
  }
  if (changes == 0) return 0;
  unshare_constants(graph);
  apply_factors(graph, groups.sets, factors);
  return changes;
}

bool ends_at_one(const Node& n) {
  static constexpr std::array<std::string_view, 8> kOps = {
      "Exp", "HardSigmoid", "LogSoftmax", "Sigmoid", "Softmax", "Softplus", "Sqrt", "Tanh"};
  return std::find(kOps.begin(), kOps.end(), n.op) != kOps.end();
}

void refuse_out_of_reach(const Graph& graph, const Plan& plan, const Widths& widths,
                         const calib::Statistics& statistics) {
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const auto v = static_cast<ValueId>(i);
    if (!is_quantizable(graph, v) || statistics.of(v).count == 0) continue;
    const float most = statistics.of(v).extent.abs_max();
    const bool at_border = graph.is_input(v) || graph.is_output(v);
    const bool fixed = plan.scales.fixed[static_cast<std::size_t>(plan.scales.sets.find(v))];
    const char* const where = graph.is_input(v)    ? "Divide it in the application"
                              : graph.is_output(v) ? "Divide the weights and biases of its layer"
                                                   : "Divide what makes it";
    if (fixed && covering_exponent(most, max_q_of(widths.of(v))) > kLargestScaleShift)
      refuse(graph, v,
             fmt::format("its values reach {:.3g}, more than {} bits hold with the largest "
                         "exponent that ESP-DL takes, {}",
                         most, widths.of(v), kLargestScaleShift),
             fmt::format("{} by a power of two, so that it comes near 1", where));
    const NodeId producer = graph.value(v).producer;
    const bool may_vanish = producer != kNone && ends_at_one(graph.node(producer));
    if (at_border && most > 0 && !may_vanish &&
        most < std::ldexp(static_cast<float>(kLeastIntegers), -kLargestScaleShift))
      refuse(graph, v,
             fmt::format("its values are {:.3g} at most, which the least exponent that ESP-DL "
                         "takes, {}, rounds to next to nothing",
                         most, -kLargestScaleShift),
             graph.is_input(v)
                 ? "Multiply it by a power of two in the application, and divide the weights of "
                   "the layer that reads it"
                 : "Multiply the weights and biases of its layer by a power of two, and divide the "
                   "output in the application");
  }
}

}  // namespace espquant::quant
