#include "strategy/mask_bounds.h"

#include <algorithm>
#include <cmath>

#include "quant/groups.h"

namespace espquant::strategy {
namespace {

constexpr std::int64_t kMaskSamples = 64;
/// Constants that may be masks: summands from here on (e^-12 is nothing in 16 bits), factors.
constexpr float kLargeSummand = 12, kLargeFactor = 100, kSmallDivisor = 1 / kLargeFactor;
/// What reaches so many times further than what decides is limited by a Clip.
constexpr float kFar = 4;

bool is_float_constant(const Graph& network, ValueId v) {
  return v != kNone && network.value(v).is_constant() && network.value(v).dtype == DType::Float32;
}

/// Where a constant that is far from all else may be a mask: the operands of `n`.
bool may_hold_mask(const Graph& network, const Node& n, std::size_t input) {
  if (n.op == "Add" || n.op == "Sub" || n.op == "Mul" || n.op == "Max" || n.op == "Min" ||
      n.op == "Concat")
    return true;
  if (n.op == "Div") return input == 1;
  return input == 2 && (n.op == "Pad" || quant::is_weighted(network, n));
}

bool is_large(const Node& n, const Tensor& constant) {
  if (n.op == "Div") {
    const auto divisors = constant.data<float>();
    return std::any_of(divisors.begin(), divisors.end(),
                       [](float d) { return d != 0 && std::abs(d) <= kSmallDivisor; });
  }
  const float from = n.op == "Mul" ? kLargeFactor : kLargeSummand;
  return constant.size() > 0 && extent_of(constant).reach() >= from;
}

struct Place {
  NodeId node;
  std::size_t input;
};

/// Large constants whose sum, product, ... decides only within limits.
std::vector<Place> places_of_masks(const Graph& network, const DecisiveRanges& ranges) {
  std::vector<Place> places;
  for (NodeId id : network.topological_order()) {
    const Node& n = network.node(id);
    if (n.outputs.size() != 1 || !ranges.of(n.outputs[0]).is_bounded()) continue;
    for (std::size_t i = 0; i < n.inputs.size(); ++i)
      if (is_float_constant(network, n.inputs[i]) && may_hold_mask(network, n, i) &&
          is_large(n, network.value(n.inputs[i]).constant))
        places.push_back({id, i});
  }
  return places;
}

bool has_far_inputs(const Graph& network, const DecisiveRanges& ranges,
                    const calib::SampleSource& source) {
  const auto& inputs = network.inputs();
  if (std::none_of(inputs.begin(), inputs.end(), [&](ValueId v) {
        return quant::is_quantizable(network, v) && ranges.of(v).is_bounded();
      }))
    return false;
  const std::int64_t count = std::min(source.count, kMaskSamples);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::vector<Tensor> sample = source.sample(i * source.count / count);
    for (std::size_t k = 0; k < inputs.size(); ++k)
      if (sample[k].dtype() == DType::Float32 && ranges.of(inputs[k]).is_bounded() &&
          extent_of(sample[k]).reach() >= kLargeFactor)
        return true;
  }
  return false;
}

Range intersection(Range a, Range b) { return {b.clamp(a.low), b.clamp(a.high)}; }

/// Goes through a network, producers first.
class Settling {
 public:
  Settling(Graph& network, Observed observed, int bits)
      : network_(network),
        observed_(std::move(observed)),
        ranges_(network, observed_, bits),
        touched_(network.value_count(), false) {}

  std::vector<Range> run() {
    std::vector<Range> inputs;
    bool any = false;
    for (ValueId v : network_.inputs()) {
      const bool far = quant::is_quantizable(network_, v) && reaches_far(v);
      inputs.push_back(far ? ranges_.of(v) : Range{});
      if (far) limit(v);
      any = any || far;
    }
    for (NodeId id : network_.topological_order()) {
      settle_constants(id);
      if (network_.node(id).outputs.size() == 1) settle_output(id);
    }
    return any ? inputs : std::vector<Range>{};
  }

 private:
  Range& extent(ValueId v) { return observed_.extents[static_cast<std::size_t>(v)]; }
  Range operand(ValueId v) {
    return is_float_constant(network_, v) ? extent_of(network_.value(v).constant) : extent(v);
  }
  bool is_touched(ValueId v) const {
    return v != kNone && static_cast<std::size_t>(v) < touched_.size() &&
           touched_[static_cast<std::size_t>(v)];
  }

  bool reaches_far(ValueId v) {
    const Range seen = extent(v), decides = ranges_.of(v);
    return seen.low <= seen.high && decides.is_bounded() &&
           seen.reach() >= kFar * intersection(seen, decides).reach();
  }

  void limit(ValueId v) {
    extent(v) = intersection(extent(v), ranges_.of(v));
    touched_[static_cast<std::size_t>(v)] = true;
  }

  void settle_constants(NodeId id) {
    const Node& n = network_.node(id);
    if (n.outputs.size() != 1) return;
    for (std::size_t i = 0; i < n.inputs.size(); ++i) {
      if (!is_float_constant(network_, n.inputs[i]) || !may_hold_mask(network_, n, i) ||
          !is_large(n, network_.value(n.inputs[i]).constant))
        continue;
      if (n.op == "Mul")
        replace(id, i, factors(n, i));
      else if (n.op == "Div")
        replace_divisors(id, factors(n, i));
      else
        replace(id, i, ranges_.of_operand(id, i));
    }
  }

  /// Factors whose products with the smallest that they meet are at the ends of what decides.
  Range factors(const Node& n, std::size_t constant) {
    const ValueId data = n.inputs[1 - constant];
    const Range out = ranges_.of(n.outputs[0]);
    const float least = observed_.least[static_cast<std::size_t>(data)];
    if (is_float_constant(network_, data) || !std::isfinite(least)) return {};
    const Range x = extent(data), c = extent_of(network_.value(n.inputs[constant]).constant);
    // Signs of divisors are those of factors.
    const bool below = (x.low < 0 && c.high > 0) || (x.high > 0 && c.low < 0);
    const bool above = (x.low < 0 && c.low < 0) || (x.high > 0 && c.high > 0);
    float most = 0;
    if (below) most = std::max(most, -out.low);
    if (above) most = std::max(most, out.high);
    most /= least;
    return std::isfinite(most) ? Range{-most, most} : Range{};
  }

  void replace(NodeId id, std::size_t input, Range range) {
    if (range.is_bounded()) rewrite(id, input, [&](float x) { return range.clamp(x); });
  }

  void replace_divisors(NodeId id, Range factors) {
    if (!factors.is_bounded() || factors.high <= 0) return;
    const float least = 1 / factors.high;
    rewrite(id, 1,
            [&](float x) { return x == 0 || std::abs(x) >= least ? x : std::copysign(least, x); });
  }

  template <typename F>
  void rewrite(NodeId id, std::size_t input, F&& change) {
    const Value& old = network_.value(network_.node(id).inputs[input]);
    Tensor values = old.constant;
    bool changed = false;
    for (float& x : values.mutable_data<float>()) {
      const float inside = change(x);
      changed = changed || inside != x;
      x = inside;
    }
    if (!changed) return;
    const std::string name = network_.unique_value_name(old.name);
    network_.set_input(id, input, network_.add_constant(name, std::move(values)));
    for (ValueId v : network_.node(id).outputs)
      if (v != kNone) touched_[static_cast<std::size_t>(v)] = true;
  }

  void settle_output(NodeId id) {
    const Node& n = network_.node(id);
    const ValueId v = n.outputs[0];
    const bool touched = is_touched(v) || std::any_of(n.inputs.begin(), n.inputs.end(),
                                                      [&](ValueId in) { return is_touched(in); });
    if (!touched || !quant::is_quantizable(network_, v)) return;
    touched_[static_cast<std::size_t>(v)] = true;
    extent(v) = intersection(result(n), extent(v));
    // Rows without a score that counts must be equal throughout.
    const bool must_be_equal =
        observed_.has_lost_rows[static_cast<std::size_t>(v)] && extent(v).low < ranges_.of(v).low;
    if (!reaches_far(v) && !must_be_equal) return;
    limit(v);
    insert_clip(v);
  }

  /// What becomes of changed operands.
  Range result(const Node& n) {
    const Range seen = extent(n.outputs[0]);
    if (n.op == "Div" && is_float_constant(network_, n.inputs[1])) {
      const Range x = operand(n.inputs[0]);
      Range all{0, 0};
      for (float d : network_.value(n.inputs[1]).constant.data<float>()) {
        const float a = x.low / d, b = x.high / d;
        if (std::isnan(a) || std::isnan(b)) return seen;
        all = {std::min({all.low, a, b}), std::max({all.high, a, b})};
      }
      return all;
    }
    if (n.op == "Add" || n.op == "Sub" || n.op == "Mul") {
      const Range a = operand(n.inputs[0]), b = operand(n.inputs[1]);
      if (n.op == "Add") return {a.low + b.low, a.high + b.high};
      if (n.op == "Sub") return {a.low - b.high, a.high - b.low};
      const auto [low, high] =
          std::minmax({a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high});
      return {low, high};
    }
    if (n.op == "Concat" || n.op == "Pad") {
      Range all = operand(n.inputs[0]);
      for (std::size_t i = 1; i < n.inputs.size(); ++i) {
        if (n.op == "Pad" && (i != 2 || !is_float_constant(network_, n.inputs[i]))) continue;
        const Range one = operand(n.inputs[i]);
        all = {std::min(all.low, one.low), std::max(all.high, one.high)};
      }
      return all;
    }
    if (n.op == "Neg") return {-operand(n.inputs[0]).high, -operand(n.inputs[0]).low};
    return only_moves_data(n) ? operand(n.inputs[0]) : seen;
  }

  void insert_clip(ValueId v) {
    const Range range = ranges_.of(v);
    const Value& value = network_.value(v);
    const std::string name = value.name + "_limited";
    const std::vector<NodeId> readers = value.consumers;
    const ValueId out = network_.add_value(network_.unique_value_name(name), DType::Float32,
                                           *network_.value(v).shape);
    const auto bound = [&](float x) {
      return std::isfinite(x)
                 ? network_.add_constant(network_.unique_value_name(name), Tensor::scalar(x))
                 : kNone;
    };
    for (NodeId reader : readers)
      for (std::size_t i = 0; i < network_.node(reader).inputs.size(); ++i)
        if (network_.node(reader).inputs[i] == v) network_.set_input(reader, i, out);
    const ValueId low = bound(range.low), high = bound(range.high);
    network_.add_node("Clip", network_.unique_node_name(name), {v, low, high}, {out}, {});
    observed_.extents.resize(network_.value_count());
    observed_.has_lost_rows.resize(network_.value_count(), false);
    touched_.resize(network_.value_count(), false);
    extent(out) = extent(v);
    touched_[static_cast<std::size_t>(out)] = true;
  }

  Graph& network_;
  Observed observed_;
  DecisiveRanges ranges_;
  /// By ValueId: has other extremes than were observed.
  std::vector<bool> touched_;
};

/// An infinity that nothing takes for a limit would be NaN in what follows.
void refuse_infinities(const Graph& network) {
  for (NodeId id : network.topological_order()) {
    const Node& n = network.node(id);
    if (n.op != "Add" && n.op != "Sub" && n.op != "Mul" && n.op != "Div" && n.op != "Concat")
      continue;
    for (ValueId v : n.inputs) {
      if (!is_float_constant(network, v)) continue;
      const auto data = network.value(v).constant.data<float>();
      if (std::all_of(data.begin(), data.end(), [](float x) { return std::isfinite(x); })) continue;
      throw Error(ErrorCode::BadData, "takes an infinity that is no mask of what follows alone")
          .node(n.name)
          .tensor(network.value(v).name)
          .remedy("Use a large finite number, as -10000, in the mask");
    }
  }
}

}  // namespace

std::vector<Range> settle_masks(Graph& network, const calib::SampleSource& source, int bits) {
  const DecisiveRanges possible(network, Observed::nothing(network), bits);
  std::vector<Range> inputs;
  if (!places_of_masks(network, possible).empty() || has_far_inputs(network, possible, source))
    inputs = Settling(network, observe(network, source, kMaskSamples), bits).run();
  refuse_infinities(network);
  return inputs;
}

calib::SampleSource limited(calib::SampleSource source, std::vector<Range> inputs) {
  if (inputs.empty()) return source;
  return {source.count,
          [sample = std::move(source.sample), inputs = std::move(inputs)](std::int64_t i) {
            std::vector<Tensor> tensors = sample(i);
            for (std::size_t k = 0; k < tensors.size(); ++k)
              if (inputs[k].is_bounded())
                for (float& x : tensors[k].mutable_data<float>()) x = inputs[k].clamp(x);
            return tensors;
          }};
}

}  // namespace espquant::strategy
