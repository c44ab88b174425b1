#include "strategy/decisive_ranges.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "base/parallel.h"
#include "base/per_worker.h"
#include "ops/executor.h"
#include "ops/op.h"
#include "passes/softmax_masks.h"
#include "quant/groups.h"
#include "quant/weights.h"

namespace espquant::strategy {
namespace {

constexpr float kInfinite = std::numeric_limits<float>::infinity();
/// Rows of other samples may reach less far.
constexpr float kScoreMargin = 1;
/// The same of what is largest in a window or along an axis, in parts of its range.
constexpr float kExtremeMargin = 0.25F;

Range nowhere() { return {kInfinite, -kInfinite}; }

Range hull(Range a, Range b) { return {std::min(a.low, b.low), std::max(a.high, b.high)}; }

bool is_empty(Range r) { return r.low > r.high; }

bool takes_largest(std::string_view op) {
  return op == "ReduceMax" || op == "MaxPool" || op == "GlobalMaxPool";
}

void note(std::span<const float> values, Range& extent, float& least) {
  for (float x : values) {
    extent.low = std::min(extent.low, x);
    extent.high = std::max(extent.high, x);
    if (x != 0) least = std::min(least, std::abs(x));
  }
}

/// Of a row whose largest score is below, float32 has lost what distinguishes its scores: it is
/// masked throughout.
constexpr float kLostRow = -1e7F;
/// That holds where all other rows are far above: else scores are low, and no mask.
constexpr float kPlainRow = -1e5F;

struct RowReach {
  float lowest = kInfinite, lowest_lost = kInfinite;

  void add(const passes::SoftmaxRows& rows, std::span<const float> scores) {
    for (std::int64_t row = 0; row < rows.count; ++row) {
      float most = -kInfinite;
      for (std::int64_t i = 0; i < rows.length; ++i)
        most = std::max(most, scores[static_cast<std::size_t>(rows.at(row, i))]);
      float& least = most <= kLostRow ? lowest_lost : lowest;
      least = std::min(least, most);
    }
  }
  void add(const RowReach& other) {
    lowest = std::min(lowest, other.lowest);
    lowest_lost = std::min(lowest_lost, other.lowest_lost);
  }
};

Observed unseen(const Graph& network) {
  const std::size_t count = network.value_count();
  return {std::vector<Range>(count, nowhere()), std::vector<float>(count, kInfinite),
          std::vector<float>(count, kInfinite), std::vector<bool>(count, false)};
}

void merge(Observed& all, const Observed& one) {
  for (std::size_t v = 0; v < all.extents.size(); ++v) {
    all.extents[v] = hull(all.extents[v], one.extents[v]);
    all.least[v] = std::min(all.least[v], one.least[v]);
  }
}

}  // namespace

bool only_moves_data(const Node& n) {
  return ops::follows(n, ops::QuantRule::PassThrough) && n.op != "Neg" && n.op != "ReduceMin" &&
         !takes_largest(n.op);
}

float Range::reach() const { return std::max(std::abs(low), std::abs(high)); }

bool Range::is_bounded() const { return std::isfinite(low) || std::isfinite(high); }

Range extent_of(const Tensor& constant) {
  Range extent = nowhere();
  float least = 0;
  note(constant.data<float>(), extent, least);
  return extent;
}

Observed Observed::nothing(const Graph& network) {
  const std::size_t count = network.value_count();
  return {std::vector<Range>(count, Range{-1, 1}), std::vector<float>(count, 1.0F),
          std::vector<float>(count, 0.0F), std::vector<bool>(count, false)};
}

Observed observe(const Graph& network, const calib::SampleSource& source, std::int64_t count) {
  std::vector<passes::SoftmaxRows> rows(network.value_count());
  for (NodeId id : network.topological_order())
    if (const Node& n = network.node(id); n.op == "Softmax")
      rows[static_cast<std::size_t>(n.inputs[0])] = passes::softmax_rows(network, n);
  const ops::Executor executor(network);
  struct Worker {
    explicit Worker(const ops::Executor& executor)
        : workspace(executor), seen(unseen(executor.graph())) {}
    ops::Executor::Workspace workspace;
    Observed seen;
    std::map<std::size_t, RowReach> rows;
  };
  PerWorker<Worker> workers(executor);
  const std::int64_t samples = std::min(source.count, count);
  parallel_for(samples, [&](std::int64_t i) {
    Worker& worker = workers.mine();
    executor.run(source.sample(i * source.count / samples), worker.workspace,
                 [&](const ops::Executor::View& view) {
                   const auto v = static_cast<std::size_t>(view.value);
                   note(view.data, worker.seen.extents[v], worker.seen.least[v]);
                   if (rows[v].count == 0) return;
                   worker.rows[v].add(rows[v], view.to_tensor().data<float>());
                 });
  });
  // Least and largest do not depend on which worker saw what.
  Observed all = unseen(network);
  std::map<std::size_t, RowReach> reach;
  workers.for_each([&](const Worker& worker) {
    merge(all, worker.seen);
    for (const auto& [v, one] : worker.rows) reach[v].add(one);
  });
  for (const auto& [v, one] : reach) {
    const bool apart = std::isfinite(one.lowest) && one.lowest >= kPlainRow;
    all.lowest_row[v] = apart ? one.lowest : std::min(one.lowest, one.lowest_lost);
    all.has_lost_rows[v] = apart && std::isfinite(one.lowest_lost);
  }
  return all;
}

DecisiveRanges::DecisiveRanges(const Graph& network, const Observed& observed, int bits)
    : network_(network), observed_(observed), bits_(bits), ranges_(network.value_count()) {
  const auto decide = [&](ValueId v) {
    if (!quant::is_quantizable(network, v) || network.is_output(v)) return;
    Range range = nowhere();
    for (NodeId id : network.value(v).consumers) {
      const Node& n = network.node(id);
      for (std::size_t i = 0; i < n.inputs.size(); ++i)
        if (n.inputs[i] == v) range = hull(range, of_operand(id, i));
    }
    if (!is_empty(range)) ranges_[static_cast<std::size_t>(v)] = range;
  };
  const std::vector<NodeId> order = network.topological_order();
  for (auto id = order.rbegin(); id != order.rend(); ++id)
    for (ValueId v : network.node(*id).outputs)
      if (v != kNone) decide(v);
  for (ValueId v : network.inputs()) decide(v);
}

Range DecisiveRanges::extent(ValueId v) const {
  const Value& value = network_.value(v);
  return value.is_constant() && value.dtype == DType::Float32
             ? extent_of(value.constant)
             : observed_.extents[static_cast<std::size_t>(v)];
}

Range DecisiveRanges::of_operand(NodeId reader, std::size_t input) const {
  const Node& n = network_.node(reader);
  Range out = nowhere();
  for (ValueId v : n.outputs)
    if (v != kNone && (!network_.value(v).consumers.empty() || network_.is_output(v)))
      out = hull(out, of(v));
  if (is_empty(out)) return {};
  if (n.op == "Concat" || (n.op == "Pad" && (input == 0 || input == 2))) return out;
  if (n.op == "Add" || n.op == "Sub") return of_sum(n, input, out);
  if (n.op == "Mul" || n.op == "Div") return of_product(n, input, out);
  if (n.op == "Max" || n.op == "Min") {
    if (n.inputs.size() != 2) return {};
    const Range other = extent(n.inputs[1 - input]);
    if (n.op == "Max") return {std::max(out.low, other.low), out.high};
    return {out.low, std::min(out.high, other.high)};
  }
  if (input == 2 && quant::is_weighted(network_, n)) {
    const float most = largest_sum(n);
    return {out.low - most, out.high + most};
  }
  if (input != 0) return {};
  if (only_moves_data(n)) return out;
  if (n.outputs.size() != 1) return {};
  return of_function(n, out);
}

/// What the weights of `n` can make of its input at most.
float DecisiveRanges::largest_sum(const Node& n) const {
  const quant::WeightRows weights = quant::weight_rows(network_, n);
  double most = 0;
  for (std::int64_t r = 0; r < weights.rows; ++r) {
    double sum = 0;
    for (float w : weights.row(r)) sum += std::abs(static_cast<double>(w));
    most = std::max(most, sum);
  }
  return static_cast<float>(most) * extent(n.inputs[0]).reach();
}

Range DecisiveRanges::of_sum(const Node& n, std::size_t input, Range out) const {
  const Range other = extent(n.inputs[1 - input]);
  Range range;
  if (n.op == "Add")
    range = {out.low - other.high, out.high - other.low};
  else if (input == 0)
    range = {out.low + other.low, out.high + other.high};
  else
    range = {other.low - out.high, other.high - out.low};
  // Infinities that cancel leave nothing to say.
  if (std::isnan(range.low) || range.low == kInfinite) range.low = -kInfinite;
  if (std::isnan(range.high) || range.high == -kInfinite) range.high = kInfinite;
  return range;
}

Range DecisiveRanges::of_product(const Node& n, std::size_t input, Range out) const {
  const ValueId other = n.inputs[1 - input];
  if (!network_.value(other).is_constant() || network_.value(other).dtype != DType::Float32 ||
      (n.op == "Div" && input == 1))
    return {};
  Range range = nowhere();
  for (float factor : network_.value(other).constant.data<float>()) {
    if (n.op == "Div") factor = 1 / factor;
    if (!std::isfinite(factor)) return {};
    if (factor == 0) continue;
    const float a = out.low / factor, b = out.high / factor;
    range = hull(range, {std::min(a, b), std::max(a, b)});
  }
  return is_empty(range) ? Range{} : range;
}

Range DecisiveRanges::of_function(const Node& n, Range out) const {
  const std::string_view op = n.op;
  const ValueId result = n.outputs[0];
  const Range seen = extent(result);
  // Half of what the last bit of the result says, at least; of functions that end at 1 or above.
  const float finest = std::ldexp(std::clamp(seen.reach(), 1e-30F, 1.0F), -bits_);
  const float nothing = std::log(finest);
  if (op == "Softmax") {
    const auto length = static_cast<float>(passes::softmax_rows(network_, n).length);
    const float least = observed_.lowest_row[static_cast<std::size_t>(n.inputs[0])];
    const float low =
        least - std::log(length) - static_cast<float>(bits_) * std::log(2.0F) - kScoreMargin;
    return {std::isfinite(low) ? low : -kInfinite, kInfinite};
  }
  if (op == "ReduceLogSumExp") {
    const double elements = static_cast<double>(element_count(*network_.value(n.inputs[0]).shape));
    const float low = seen.low - static_cast<float>(std::log(elements)) -
                      static_cast<float>(bits_) * std::log(2.0F) - kScoreMargin;
    return {std::isfinite(low) ? low : -kInfinite, kInfinite};
  }
  if (takes_largest(op) || op == "ReduceMin") {
    const float margin = kExtremeMargin * (seen.high - seen.low);
    if (!std::isfinite(margin)) return out;
    return op == "ReduceMin" ? Range{out.low, std::min(out.high, seen.high + margin)}
                             : Range{std::max(out.low, seen.low - margin), out.high};
  }
  if (op == "Neg") return {-out.high, -out.low};
  if (op == "Relu") return {std::max(out.low, 0.0F), std::max(out.high, 0.0F)};
  if (op == "Clip") {
    const auto bounds = quant::clip_bounds(network_, n);
    if (!bounds) return {};
    return {std::max(out.low, bounds->min), std::min(out.high, bounds->max)};
  }
  if (op == "Sigmoid") return {nothing, -nothing};
  if (op == "Exp") return {nothing + std::log(std::max(seen.high, 1.0F)), kInfinite};
  if (op == "Tanh") return {nothing / 2 - 1, 1 - nothing / 2};
  if (op == "Erf") return {-std::sqrt(-nothing), std::sqrt(-nothing)};
  if (op == "HardSigmoid") {
    // Tokens that calibration has not seen are as good as others (passes/embed_by_product).
    if (n.attributes.get_int("of_whole_numbers", 0) != 0) return {};
    const float alpha = n.attributes.get_float("alpha", 0.2F);
    const float beta = n.attributes.get_float("beta", 0.5F);
    return alpha > 0 ? Range{-beta / alpha, (1 - beta) / alpha} : Range{};
  }
  if (op == "LeakyRelu") {
    const float alpha = n.attributes.get_float("alpha", 0.01F);
    if (alpha <= 0) return {};
    return {out.low < 0 ? out.low / alpha : out.low, out.high < 0 ? out.high / alpha : out.high};
  }
  if (op == "HardSwish") return {-3, kInfinite};
  if (op == "Softplus") return {nothing, out.high};
  if (op == "Elu" || op == "Celu" || op == "Selu") {
    const float alpha = n.attributes.get_float("alpha", op == "Selu" ? 1.6732632F : 1.0F);
    if (alpha <= 0) return {};
    // Selu multiplies by 1.05 more, which is no bit.
    const float below = nothing - std::max(std::log(alpha), 0.0F) - kScoreMargin;
    return {op == "Celu" ? alpha * below : below, op == "Selu" ? kInfinite : out.high};
  }
  if (op == "Gelu") return {-std::sqrt(-2 * nothing), kInfinite};
  if (op == "Swish" || op == "Mish") {
    if (op == "Swish" && n.attributes.get_float("alpha", 1.0F) != 1) return {};
    return {nothing - std::log(-nothing) - kScoreMargin, kInfinite};
  }
  return {};
}

}  // namespace espquant::strategy
