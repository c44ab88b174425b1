#include "quant/uneven_outputs.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/fixed_point.h"
#include "ops/op.h"
#include "ops/shown.h"
#include "quant/reach.h"
#include "quant/widths.h"

namespace espquant::quant {
namespace {

constexpr const char* kApart = "operands_apart";
/// More noise than this share of a part's power is a loss, where its own exponent would make 16
/// times less.
constexpr double kLoss = 0.01;
constexpr int kLeastOctaves = 2;
/// Mean squares: an order of magnitude of the values.
constexpr double kOtherSize = 100;
/// More are no parts that anybody tells apart, and a Concat of Concats of one value would double
/// them with each.
constexpr std::size_t kMostParts = 64;
constexpr int kMostNested = 8;

/// What shows the result of a Concat: moves, and a Relu, which shares the exponent.
bool moves(const Node& n) { return n.op == "Relu" || ops::follows(n, ops::QuantRule::PassThrough); }

/// The node that computes what `v` moves; kNone for an input of the network and a constant.
NodeId maker_of(const Graph& graph, ValueId v) {
  for (;;) {
    const NodeId id = v == kNone ? kNone : graph.value(v).producer;
    if (id == kNone || !moves(graph.node(id))) return id;
    v = graph.node(id).input(0);
  }
}

/// What belongs together of all that a Concat joins.
using Part = std::vector<ValueId>;

/// A Concat with those among its operands, and what these are put together from.
struct Joined {
  std::vector<NodeId> concats;
  std::vector<Part> parts;
};

/// Operands that consist of the same parts themselves (the scales of a detector, each of boxes and
/// scores) have these in common, as in measure/output_parts.
template <typename Takes>
Joined joined_by(const Graph& graph, NodeId concat, const Takes& takes, int depth = 0) {
  Joined joined{{concat}, {}};
  std::vector<std::vector<Part>> operands;
  for (ValueId v : graph.node(concat).inputs) {
    const NodeId maker = maker_of(graph, v);
    const bool within = depth < kMostNested && joined.concats.size() < kMostParts;
    if (within && maker != kNone && graph.node(maker).op == "Concat" && takes(graph.node(maker))) {
      Joined inner = joined_by(graph, maker, takes, depth + 1);
      joined.concats.insert(joined.concats.end(), inner.concats.begin(), inner.concats.end());
      operands.push_back(std::move(inner.parts));
    } else {
      operands.push_back({{v}});
    }
  }
  const std::size_t count = operands.front().size();
  const bool alike = count > 1 && std::ranges::all_of(operands, [&](const auto& parts) {
                       return parts.size() == count;
                     });
  for (const std::vector<Part>& parts : operands)
    for (std::size_t k = 0; k < parts.size(); ++k) {
      if (!alike || joined.parts.size() <= k) {
        joined.parts.push_back(parts[k]);
      } else {
        joined.parts[k].insert(joined.parts[k].end(), parts[k].begin(), parts[k].end());
      }
    }
  return joined;
}

struct Size {
  float reach = 0;
  double squares = 0;
  std::int64_t count = 0;

  double power() const { return count > 0 ? squares / static_cast<double>(count) : 0; }
};

void add_size(const Graph& graph, const calib::Statistics& statistics, ValueId v, Size& size) {
  if (const Tensor& constant = graph.value(v).constant; constant.defined()) {
    if (constant.dtype() != DType::Float32) return;
    for (float x : constant.data<float>()) {
      size.reach = std::max(size.reach, std::abs(x));
      size.squares += static_cast<double>(x) * x;
    }
    size.count += constant.size();
    return;
  }
  const calib::ValueStatistics& found = statistics.of(v);
  size.reach = std::max(size.reach, found.extent.abs_max());
  size.squares += found.sum_squares;
  size.count += found.count;
  // A probability that was small in all samples may be 1 in the next.
  const NodeId maker = maker_of(graph, v);
  if (maker != kNone && ends_at_one(graph.node(maker))) size.reach = std::max(size.reach, 1.0F);
}

std::int64_t count_lost(const Graph& graph, const calib::Statistics& statistics,
                        const std::vector<Part>& parts) {
  std::vector<Size> sizes(parts.size());
  for (std::size_t k = 0; k < parts.size(); ++k)
    for (ValueId v : parts[k]) add_size(graph, statistics, v, sizes[k]);
  const float most = std::ranges::max(sizes, {}, &Size::reach).reach;
  const double power = std::ranges::max(sizes, {}, &Size::power).power();
  if (!(most > 0)) return 0;
  const int shared = covering_exponent(most, max_q_of(8));
  const double noise = std::ldexp(1.0, 2 * shared) / 12;
  return std::ranges::count_if(sizes, [&](const Size& size) {
    return size.power() > 0 && kOtherSize * size.power() <= power && noise > kLoss * size.power() &&
           shared >= covering_exponent(size.reach, max_q_of(8)) + kLeastOctaves;
  });
}

bool joins_activations(const Graph& graph, const Node& n) {
  return n.op == "Concat" && is_quantizable(graph, n.outputs[0]) &&
         std::ranges::all_of(n.inputs, [&](ValueId v) {
           return v != kNone && (is_quantizable(graph, v) || graph.value(v).is_constant());
         });
}

}  // namespace

std::int64_t part_uneven_outputs(Graph& graph, const calib::Statistics& statistics) {
  std::int64_t lost = 0;
  std::set<NodeId> seen;
  const auto takes = [&](const Node& n) {
    return joins_activations(graph, n) && ops::is_only_shown(graph, n.outputs[0]);
  };
  // Outer ones before those inside of them.
  const std::vector<NodeId> order = graph.topological_order();
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    if (seen.contains(*id) || !takes(graph.node(*id))) continue;
    const Joined joined = joined_by(graph, *id, takes);
    seen.insert(joined.concats.begin(), joined.concats.end());
    const std::int64_t lost_here = count_lost(graph, statistics, joined.parts);
    if (lost_here == 0) continue;
    lost += lost_here;
    for (NodeId concat : joined.concats) graph.node(concat).attributes.set(kApart, std::int64_t{1});
  }
  return lost;
}

bool keeps_operands_apart(const Node& concat) {
  return concat.op == "Concat" && concat.attributes.get_int(kApart, 0) != 0;
}

bool is_from_marked_concat(const Graph& graph, ValueId operand) {
  const NodeId maker = maker_of(graph, operand);
  return maker != kNone && keeps_operands_apart(graph.node(maker));
}

void widen_uneven_outputs(const Graph& graph, std::vector<bool>& wide) {
  for (NodeId id : graph.topological_order())
    if (keeps_operands_apart(graph.node(id)))
      wide.at(static_cast<std::size_t>(graph.node(id).outputs[0])) = true;
}

std::vector<ValueId> parts_of_uneven_output(const Graph& graph, ValueId output) {
  const NodeId maker = maker_of(graph, output);
  std::vector<ValueId> values;
  if (maker == kNone || !keeps_operands_apart(graph.node(maker))) return values;
  for (const Part& part : joined_by(graph, maker, keeps_operands_apart).parts)
    values.insert(values.end(), part.begin(), part.end());
  return values;
}

}  // namespace espquant::quant
