#include "quant/exponents.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "ops/op.h"
#include "quant/prelu.h"

namespace espquant::quant {
namespace {

bool is_aligning(const Node& n) { return ops::follows(n, ops::QuantRule::AlignInputs); }

// What is smaller is rounded to a few integers, or to 0; quant/reach refuses where that shows.
int legal_exponent(int exponent) {
  return std::clamp(exponent, -kLargestScaleShift, kLargestScaleShift);
}

void set_exponent(Graph& graph, std::span<const ValueId> members, int bits, int exponent) {
  for (ValueId v : members) {
    if (!is_quantizable(graph, v)) continue;
    Value& value = graph.value(v);
    value.quant = TensorQuant{bits, {exponent}, -1};
    // ESP-DL 2: widening keeps the exponent, so that it is exact.
    if (value.requant && bits == 8) value.requant->exponents = {exponent};
  }
}

// A constant that is larger than all else by more than this says "the lowest there is", and what it
// stands beside must not vanish.
constexpr int kMostConstantOctaves = 10;

/// The magnitude of what Pad `n` writes around its input.
float padding_of(const Graph& graph, const Node& n) {
  const ValueId v = n.input(2);
  if (v == kNone || !graph.value(v).is_constant() ||
      n.attributes.get_string("mode", "constant") != "constant")
    return 0;
  const Tensor value = graph.value(v).constant.cast(DType::Float32);
  return value.size() == 1 ? std::abs(value.data<float>()[0]) : 0.0F;
}

/// The magnitude of a bound of Clip `n` beyond all that it reads: what it puts out then. The chip
/// holds it in the steps of the input. Bounds are scaled already, the `seen` input is not.
float bound_beyond(const Graph& graph, const Node& n, const calib::Extent& seen, float factor) {
  const auto bounds = clip_bounds(graph, n);
  if (!bounds || seen.min > seen.max) return 0;
  if (bounds->min >= seen.max * factor) return std::abs(bounds->min);
  if (bounds->max <= seen.min * factor) return std::abs(bounds->max);
  return 0;
}

bool is_read_at_other_width(const Graph& graph, const Widths& widths, ValueId v) {
  if (!is_quantizable(graph, v)) return false;
  const auto& readers = graph.value(v).consumers;
  return std::any_of(readers.begin(), readers.end(),
                     [&](NodeId id) { return widths.of(graph, graph.node(id)) != widths.of(v); });
}

std::vector<int> shifts_of_groups(const Graph& graph, const Plan& plan, const Settings& settings) {
  std::vector<int> shifts(graph.value_count(), 0);
  if (settings.exponent_shifts.empty()) return shifts;
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    const auto id = static_cast<ValueId>(v);
    const auto named = settings.exponent_shifts.find(graph.value(id).name);
    if (named != settings.exponent_shifts.end() && is_quantizable(graph, id))
      shifts[static_cast<std::size_t>(plan.exponents.find(id))] = named->second;
  }
  return shifts;
}

// Groups whose ranges are halved together, in sets of their representatives.
ValueSets clipped_together(const Graph& graph, const Plan& plan, Scope scope) {
  ValueSets sets(graph.value_count());
  const auto join = [&](ValueId a, ValueId b) {
    sets.join(plan.exponents.find(a), plan.exponents.find(b));
  };
  if (scope == Scope::Layer) {
    for (NodeId id : graph.topological_order())
      if (const NodeId next = following_function(graph, id);
          is_weighted(graph, graph.node(id)) && next != kNone)
        join(graph.node(id).outputs[0], graph.node(next).outputs[0]);
  } else if (scope == Scope::Global) {
    for (std::size_t v = 1; v < graph.value_count(); ++v) join(0, static_cast<ValueId>(v));
  }
  return sets;
}

// By set: the number of halvings of its groups' ranges at which their relative errors are least in
// sum; or, where a method gives a threshold, the fewest that one of them asks for.
std::map<ValueId, int> halvings_of(const ValueSets& together,
                                   const std::vector<std::vector<ValueId>>& groups,
                                   const Plan& plan, const ActivationErrors& errors,
                                   const Widths& widths, const std::vector<float>& factors) {
  constexpr int kMostHalvings = 4;
  struct Sums {
    std::array<double, kMostHalvings + 1> errors{};
    int fewest = kMostHalvings;
    bool by_threshold = false;
  };
  std::map<ValueId, Sums> sets;
  for (const auto& group : groups) {
    if (group.empty()) continue;
    const auto members = errors.members(group);
    const float factor = factors[static_cast<std::size_t>(plan.scales.sets.find(group.front()))];
    const int bits = widths.of(group.front());
    const auto choice = errors.best(members, factor, bits);
    if (!choice.found) continue;
    Sums& sums = sets[together.find(plan.exponents.find(group.front()))];
    const int covering = errors.covering(members, factor, bits);
    sums.by_threshold = sums.by_threshold || choice.by_threshold;
    sums.fewest = std::clamp(covering - choice.exponent, 0, sums.fewest);
    for (int k = 0; k <= kMostHalvings; ++k)
      sums.errors[static_cast<std::size_t>(k)] +=
          errors.relative(members, factor, covering - k, bits);
  }
  std::map<ValueId, int> halvings;
  for (const auto& [set, sums] : sets)
    halvings[set] =
        sums.by_threshold
            ? sums.fewest
            : static_cast<int>(std::min_element(sums.errors.begin(), sums.errors.end()) -
                               sums.errors.begin());
  return halvings;
}

}  // namespace

void assign_activation_exponents(Graph& graph, const Plan& plan, const ActivationErrors& errors,
                                 const Widths& widths, const std::vector<float>& factors,
                                 const Settings& settings) {
  const auto groups = plan.exponents.members();
  const auto group_of = [&](ValueId v) { return static_cast<std::size_t>(plan.exponents.find(v)); };
  const auto factor_of = [&](ValueId v) {
    return factors[static_cast<std::size_t>(plan.scales.sets.find(v))];
  };

  // Operands that are read elsewhere too are rounded once more on their way into the aligning node.
  std::map<std::size_t, std::vector<ActivationErrors::Member>> guests;
  // The largest constants of such nodes, and those that a Pad puts beside its input.
  std::map<std::size_t, float> constants;
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (n.op == "Pad" && is_quantizable(graph, n.outputs[0])) {
      float& largest = constants[group_of(n.outputs[0])];
      largest = std::max(largest, padding_of(graph, n));
    }
    if (n.op == "Clip" && is_quantizable(graph, n.inputs[0])) {
      float& largest = constants[group_of(n.inputs[0])];
      largest = std::max(
          largest, bound_beyond(graph, n, errors.extent(n.inputs[0]), factor_of(n.inputs[0])));
    }
    if (!is_aligning(n)) continue;
    for (ValueId in : n.inputs)
      if (in != kNone && graph.value(in).is_constant() && is_quantizable(graph, n.outputs[0])) {
        float& largest = constants[group_of(n.outputs[0])];
        for (float c : graph.value(in).constant.cast(DType::Float32).data<float>())
          largest = std::max(largest, std::abs(c));
      } else if (is_quantizable(graph, in) && is_quantizable(graph, n.outputs[0]) &&
                 group_of(in) != group_of(n.outputs[0]))
        guests[group_of(n.outputs[0])].push_back(errors.operand(in, id));
  }

  const std::vector<int> shifts = shifts_of_groups(graph, plan, settings);
  const ValueSets together = clipped_together(graph, plan, settings.clip_scope);
  std::map<ValueId, int> halvings;
  if (settings.clip_scope != Scope::Tensor)
    halvings = halvings_of(together, groups, plan, errors, widths, factors);
  std::vector<int> exponent(graph.value_count(), 0);
  // What constants ask for: none gets a finer one later.
  std::vector<int> floors(graph.value_count(), -kLargestScaleShift);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].empty()) continue;
    auto members = errors.members(groups[g]);
    if (auto it = guests.find(g); it != guests.end())
      members.insert(members.end(), it->second.begin(), it->second.end());
    const int bits = widths.of(groups[g].front());
    const float factor = factor_of(groups[g].front());
    const auto choice = errors.best(members, factor, bits);
    // A tensor without signal (all zero, or never rounded): the exponent of [-1, 1].
    exponent[g] = choice.found ? choice.exponent : 1 - bits;
    if (settings.clip_scope != Scope::Tensor && choice.found)
      exponent[g] = errors.covering(members, factor, bits) -
                    halvings.at(together.find(static_cast<ValueId>(g)));
    exponent[g] = legal_exponent(exponent[g] + shifts[g]);
    // What a constant larger than all of them takes away is there before: clipped, it is wrong
    // everywhere.
    if (const auto c = constants.find(g); c != constants.end()) {
      const int needed = covering_exponent(c->second, max_q_of(bits));
      const int covered = errors.covering(members, factor, bits);
      if (needed > covered && needed <= covered + kMostConstantOctaves) {
        floors[g] = needed;
        exponent[g] = std::max(exponent[g], needed);
      }
    }
    set_exponent(graph, groups[g], bits, exponent[g]);
  }
  for (const auto& [host, operands] : guests) {
    for (const auto& [v, share] : operands) {
      const std::size_t g = group_of(v);
      const int bits = widths.of(v);
      if (exponent[g] == exponent[host] || bits != widths.of(groups[host].front()) ||
          exponent[host] < floors[g])
        continue;
      const float factor = factor_of(v);
      auto members = errors.members(groups[g]);
      // Nor is what fits 16 bits clipped: the operands of an Add that this is the result of.
      if (const auto own = guests.find(g); own != guests.end() && bits == 16)
        members.insert(members.end(), own->second.begin(), own->second.end());
      if (errors.loss(members, factor, exponent[host], bits) <=
          settings.alignment_cost * errors.loss(members, factor, exponent[g], bits)) {
        exponent[g] = exponent[host];
        set_exponent(graph, groups[g], bits, exponent[g]);
      }
    }
  }
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (n.op != "PRelu" || !is_quantizable(graph, n.inputs[0])) continue;
    const std::size_t in = group_of(n.inputs[0]), out = group_of(n.outputs[0]);
    const int bits = widths.of(n.outputs[0]);
    if (exponent[in] == exponent[out] || bits != widths.of(n.inputs[0]) ||
        !prelu_wants_one_exponent(graph, n, bits, *settings.target))
      continue;
    const auto shared =
        shared_prelu_exponent(graph, n, errors, {groups[in], factor_of(n.inputs[0]), exponent[in]},
                              {groups[out], factor_of(n.outputs[0]), exponent[out]}, bits);
    // Nor finer than operands of others in these groups were given.
    const auto least = [&](std::size_t g) { return guests.contains(g) ? exponent[g] : floors[g]; };
    if (!shared || *shared < std::max(least(in), least(out))) continue;
    for (const std::size_t g : {in, out}) {
      exponent[g] = *shared;
      set_exponent(graph, groups[g], bits, *shared);
    }
  }
  for (const auto& members : groups) {
    if (members.empty()) continue;
    const int bits = widths.of(members.front());
    std::optional<TensorQuant> other;
    for (ValueId v : members) {
      if (!is_read_at_other_width(graph, widths, v)) continue;
      if (!other) {
        const auto narrow = errors.best(errors.members(members), factor_of(v), 8);
        other = bits == 8
                    ? TensorQuant{16, graph.value(v).quant->exponents, -1}
                    : TensorQuant{8, {narrow.found ? legal_exponent(narrow.exponent) : -7}, -1};
      }
      graph.value(v).requant = other;
    }
  }
}

namespace {

/// Exponents of one weighted node, made legal for the chip.
class LayerExponents {
 public:
  LayerExponents(Graph& graph, const Plan& plan, const LayerInputs& inputs, const Widths& widths,
                 const Settings& settings)
      : graph_(graph),
        inputs_(inputs),
        groups_(plan.exponents.members()),
        plan_(plan),
        widths_(widths),
        settings_(settings) {}

  /// Returns true when an activation's exponent had to be raised: layers seen before may have read
  /// the old one.
  bool assign(NodeId id) {
    const Node& n = graph_.node(id);
    const WeightRows rows = weight_rows(graph_, id, inputs_);
    if (rows.values.empty())
      throw Error(ErrorCode::Illegal, "its weights have no elements")
          .node(n.name)
          .remedy("Leave the layer out of the network");
    const bool per_channel = settings_.per_channel_weights && n.op != "MatMul";
    const int bits = widths_.of(graph_, n), weight_bits = widths_.of_weights(graph_, n);
    const int in = graph_.value(n.inputs[0]).quant_at(bits)->exponent();
    std::vector<float> bias;
    if (n.input(2) != kNone) {
      const auto data = graph_.value(n.inputs[2]).constant.data<float>();
      bias.assign(data.begin(), data.end());
    }
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const int out = graph_.value(n.outputs[0]).quant->exponent();
      const std::vector<int> floors = least_exponents(bits, rows.rows, bias, in, out);
      const ExponentChoice choice =
          best_weight_exponents(rows, 1.0F, max_q_of(weight_bits), per_channel, floors);
      const int coarsest = *std::max_element(choice.exponents.begin(), choice.exponents.end());
      if (in + coarsest <= out) {
        TensorQuant q{weight_bits, choice.exponents, -1};
        if (q.per_channel()) q.axis = output_axis(graph_, n);
        set(n, q, bits, in);
        return attempt > 0;
      }
      // ESP-DL 3.1: a negative shift is not supported, so the output gives way.
      set_exponent(graph_, groups_[static_cast<std::size_t>(plan_.exponents.find(n.outputs[0]))],
                   bits, in + coarsest);
    }
    throw Error(
        ErrorCode::Illegal,
        "no exponents exist at which its bias fits the accumulator and no shift is negative")
        .node(n.name)
        .remedy(
            "Check the layer's bias: it is far larger than its outputs; or quantize this layer to "
            "16 bits");
  }

 private:
  static constexpr int kAttempts = 8;

  // The accumulator must be able to hold any output, and the bias its own field (ESP-DL 3.1, 4.3).
  std::vector<int> least_exponents(int bits, std::int64_t rows, const std::vector<float>& bias,
                                   int in, int out) const {
    const Target& target = *settings_.target;
    const int accumulator = std::min(target.accumulator_bits(bits), bits + 31);
    const int widest_shift = std::min(accumulator - bits, 31);
    const double bias_max = std::ldexp(1.0, std::min(target.bias_bits(bits), 62) - 1) - 1;
    const bool per_channel = settings_.per_channel_weights;
    std::vector<int> floors(static_cast<std::size_t>(per_channel ? rows : 1),
                            out - in - widest_shift);
    for (std::size_t c = 0; c < bias.size(); ++c) {
      const double magnitude = std::abs(static_cast<double>(bias[c]));
      if (magnitude == 0) continue;
      int& floor = floors[per_channel && bias.size() > 1 ? c : 0];
      while (std::ldexp(magnitude, -(in + floor)) + 0.5 > bias_max) ++floor;
    }
    return floors;
  }

  void set(const Node& n, const TensorQuant& weights, int bits, int in) {
    graph_.value(n.inputs[1]).quant = weights;
    if (n.input(2) == kNone) return;
    TensorQuant bias{settings_.target->bias_bits(bits), weights.exponents,
                     weights.per_channel() ? 0 : -1};
    for (int& e : bias.exponents) e += in;
    graph_.value(n.inputs[2]).quant = bias;
  }

  Graph& graph_;
  const LayerInputs& inputs_;
  std::vector<std::vector<ValueId>> groups_;
  const Plan& plan_;
  const Widths& widths_;
  const Settings& settings_;
};

// Mul rescales its product by a shift, which may not be negative (ESP-DL 3.9).
bool legalize_product(Graph& graph, const Node& n, const std::vector<std::vector<ValueId>>& groups,
                      const Plan& plan, int bits) {
  const auto& a = graph.value(n.inputs[0]).quant_at(bits);
  const auto& b = graph.value(n.inputs[1]).quant_at(bits);
  const auto& out = graph.value(n.outputs[0]).quant;
  if (!a || !b || !out) return false;
  const int least = a->exponent() + b->exponent();
  if (out->exponent() >= least) return false;
  set_exponent(graph, groups[static_cast<std::size_t>(plan.exponents.find(n.outputs[0]))], bits,
               least);
  return true;
}

// Beyond it the runtime's 32-bit shifts overflow.
constexpr int kLeastConstantExponent = -30;

void assign_constant(Graph& graph, const Node& n, std::size_t input, int bits) {
  const ValueId v = n.inputs[input];
  Value& value = graph.value(v);
  if (!value.is_constant() || value.dtype != DType::Float32) return;
  const auto& out = n.outputs[0] == kNone ? std::nullopt : graph.value(n.outputs[0]).quant;
  const auto& in = n.inputs[0] == kNone ? std::nullopt : graph.value(n.inputs[0]).quant_at(bits);
  if (ops::follows(n, ops::QuantRule::CompareInputs)) {
    value.quant = compared_quant(graph, n);
  } else if (is_aligning(n) && out) {
    value.quant = TensorQuant{bits, {out->exponent()}, -1};
  } else if (clips_in_steps_of_result(graph, n)) {
    value.quant = TensorQuant{bits, {out->exponent()}, -1};
  } else if ((n.op == "Clip" || n.op == "Pad") && in) {
    value.quant = TensorQuant{bits, {in->exponent()}, -1};
  } else {
    const auto data = value.constant.data<float>();
    // Zeros say nothing: the exponent of [-1, 1].
    const bool zero = std::all_of(data.begin(), data.end(), [](float x) { return x == 0; });
    value.quant = TensorQuant{
        bits,
        zero ? std::vector<int>{1 - bits}
             : best_exponent(data, 1.0F, max_q_of(bits), kLeastConstantExponent).exponents,
        -1};
  }
}

}  // namespace

bool clips_in_steps_of_result(const Graph& graph, const Node& n) {
  if (n.op != "Clip") return false;
  const auto& out = graph.value(n.outputs[0]).quant;
  if (!out || out->bits != 16) return false;
  const auto& in = graph.value(n.inputs[0]).quant_at(16);
  return in && in->exponent() > out->exponent();
}

void assign_parameter_exponents(Graph& graph, const Plan& plan, const LayerInputs& inputs,
                                const Widths& widths, const Settings& settings) {
  LayerExponents layers(graph, plan, inputs, widths, settings);
  const auto groups = plan.exponents.members();
  const std::vector<NodeId> order = graph.topological_order();
  // Exponents are only ever raised, and each round that raises one starts over, so this ends.
  for (bool raised = true; raised;) {
    raised = false;
    for (NodeId id : order) {
      const Node& n = graph.node(id);
      if (is_weighted(graph, n)) {
        raised |= layers.assign(id);
        continue;
      }
      for (std::size_t i = 0; i < n.inputs.size(); ++i)
        if (n.inputs[i] != kNone) assign_constant(graph, n, i, widths.of(graph, n));
      if (n.op == "Mul" || n.op == "MatMul")
        raised |= legalize_product(graph, n, groups, plan, widths.of(graph, n));
    }
  }
}

}  // namespace espquant::quant
