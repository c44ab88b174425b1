#include "passes/single_batch.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/random.h"
#include "ops/executor.h"
#include "ops/op.h"
#include "ops/recurrent.h"
#include "passes/pass_manager.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// By input of the network: the axis that counts its samples.
using BatchAxes = std::vector<std::size_t>;

/// The first axis of each input that has that extent, of the first two; nothing where one has none.
std::optional<BatchAxes> axes_of_extent(const Graph& graph, std::int64_t batch) {
  BatchAxes axes;
  for (const ValueId v : graph.inputs()) {
    const Shape& shape = shape_of(graph, v);
    const auto last =
        shape.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, shape.size()));
    const auto found = std::find(shape.begin(), last, batch);
    if (found == last || element_count(shape) == 0) return std::nullopt;
    axes.push_back(static_cast<std::size_t>(found - shape.begin()));
  }
  return axes;
}

/// An element of a list that names a batch.
void settle_target(Graph& graph, NodeId id, std::int64_t batch) {
  const Node& n = graph.node(id);
  auto target = ints_of(graph, n.input(1));
  if (!target) return;
  const auto found = std::find(target->begin(), target->end(), batch);
  if (found == target->end()) return;
  *found = 1;
  graph.set_input(id, 1, add_ints(graph, n.name + "_target", *target));
}

/// The first entry of a constant along `axis`, where all are alike.
void settle_constant(Graph& graph, NodeId id, std::size_t input, std::size_t axis,
                     std::int64_t batch) {
  const Node& n = graph.node(id);
  const Tensor* all = constant_of(graph, n.input(input));
  if (all == nullptr || all->rank() <= static_cast<std::int64_t>(axis) ||
      all->shape()[axis] != batch || all->size() == 0)
    return;
  Shape shape = all->shape();
  shape[axis] = 1;
  Tensor first(all->dtype(), shape);
  std::int64_t outer = 1;
  for (std::size_t i = 0; i < axis; ++i) outer *= shape[i];
  const std::size_t run = first.byte_size() / static_cast<std::size_t>(outer);
  for (std::size_t o = 0; o < static_cast<std::size_t>(outer); ++o) {
    const auto entry = [&](std::size_t b) {
      return all->bytes().subspan((o * static_cast<std::size_t>(batch) + b) * run, run);
    };
    for (std::size_t b = 1; b < static_cast<std::size_t>(batch); ++b)
      if (!std::ranges::equal(entry(b), entry(0))) return;
    std::ranges::copy(entry(0),
                      first.mutable_bytes().begin() + static_cast<std::ptrdiff_t>(o * run));
  }
  graph.set_input(id, input, add_constant(graph, n.name + "_single", std::move(first)));
}

Graph reduced(const Graph& graph, const BatchAxes& axes, std::int64_t batch) {
  Graph single = graph;
  for (std::size_t i = 0; i < axes.size(); ++i)
    (*single.value(single.inputs()[i]).shape)[axes[i]] = 1;
  for (const NodeId id : single.topological_order()) {
    const std::string op = single.node(id).op;
    if (op == "Reshape" || op == "Expand") settle_target(single, id, batch);
    if (!ops::is_recurrent(single.node(id))) continue;
    const std::size_t axis = single.node(id).attributes.get_int("layout", 0) != 0 ? 0 : 1;
    settle_constant(single, id, 4, 0, batch);
    settle_constant(single, id, 5, axis, batch);
    settle_constant(single, id, 6, axis, batch);
  }
  for (std::size_t v = 0; v < single.value_count(); ++v)
    if (Value& value = single.value(static_cast<ValueId>(v));
        value.producer != kNone && !value.is_constant())
      value.shape.reset();
  ops::infer_shapes(single);
  return single;
}

Tensor one_of(const Tensor& all, std::size_t axis, std::int64_t index) {
  Shape shape = all.shape();
  const auto batch = static_cast<std::size_t>(shape[axis]);
  shape[axis] = 1;
  Tensor one(all.dtype(), shape);
  std::size_t outer = 1;
  for (std::size_t i = 0; i < axis; ++i) outer *= static_cast<std::size_t>(shape[i]);
  const std::size_t run = one.byte_size() / outer;
  for (std::size_t o = 0; o < outer; ++o)
    std::ranges::copy(all.bytes().subspan((o * batch + static_cast<std::size_t>(index)) * run, run),
                      one.mutable_bytes().begin() + static_cast<std::ptrdiff_t>(o * run));
  return one;
}

/// The only axis along which a batch became one; nothing where the shapes differ otherwise.
std::optional<std::size_t> reduced_axis(const Shape& before, const Shape& after,
                                        std::int64_t batch) {
  if (before.size() != after.size()) return std::nullopt;
  std::optional<std::size_t> axis;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i]) continue;
    if (axis || before[i] != batch || after[i] != 1) return std::nullopt;
    axis = i;
  }
  return axis;
}

bool is_near(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  if (a.dtype() != DType::Float32) return a.equals(b);
  float most = 0, apart = 0;
  for (std::size_t i = 0; i < a.data<float>().size(); ++i) {
    const float x = a.data<float>()[i], y = b.data<float>()[i];
    if (std::isnan(x) != std::isnan(y)) return false;
    if (std::isnan(x)) continue;
    most = std::max(most, std::abs(x));
    apart = std::max(apart, std::abs(x - y));
  }
  return apart <= 1e-4F * most + 1e-6F;
}

bool samples_stay_apart(const Graph& whole, const Graph& single, const BatchAxes& axes,
                        std::int64_t batch) {
  std::vector<std::size_t> out_axes;
  for (std::size_t i = 0; i < whole.outputs().size(); ++i) {
    const auto axis = reduced_axis(shape_of(whole, whole.outputs()[i]),
                                   shape_of(single, single.outputs()[i]), batch);
    if (!axis) return false;
    out_axes.push_back(*axis);
  }
  Random random(1);
  std::vector<Tensor> inputs;
  for (const ValueId v : whole.inputs()) {
    Tensor t(DType::Float32, shape_of(whole, v));
    const bool real = whole.value(v).dtype == DType::Float32;
    for (float& x : t.mutable_data<float>())
      x = real ? random.uniform(-1, 1) : static_cast<float>(random.below(2));
    inputs.push_back(real ? std::move(t) : t.cast(whole.value(v).dtype));
  }
  const auto run = [](const Graph& graph, std::span<const Tensor> given) {
    const ops::Executor executor(graph, {.observe_all = false});
    ops::Executor::Workspace workspace(executor);
    return executor.run(given, workspace);
  };
  const std::vector<Tensor> together = run(simplify(whole), inputs);
  const Graph simple = simplify(single);
  for (const std::int64_t b : std::set<std::int64_t>{0, 1, batch - 1}) {
    std::vector<Tensor> mine;
    for (std::size_t i = 0; i < inputs.size(); ++i) mine.push_back(one_of(inputs[i], axes[i], b));
    const std::vector<Tensor> alone = run(simple, mine);
    for (std::size_t i = 0; i < alone.size(); ++i)
      if (!is_near(one_of(together[i], out_axes[i], b), alone[i])) return false;
  }
  return true;
}

}  // namespace

std::int64_t set_batch_to_one(Graph& graph) {
  if (graph.inputs().empty()) return 1;
  const Shape first = shape_of(graph, graph.inputs().front());
  for (std::size_t axis = 0; axis < std::min<std::size_t>(2, first.size()); ++axis) {
    const std::int64_t batch = first[axis];
    if (batch < 2) continue;
    // A second axis is the batch of recurrent layers only; else it counts channels.
    if (axis == 1 && first.size() != 3) continue;
    const auto axes = axes_of_extent(graph, batch);
    if (!axes || axes->front() != axis) continue;
    try {
      Graph single = reduced(graph, *axes, batch);
      if (!samples_stay_apart(graph, single, *axes, batch)) continue;
      graph = std::move(single);
      return batch;
    } catch (const Error&) {
      // The graph has the batch in it in other ways, or cannot run at all: who runs it says so.
    }
  }
  return 1;
}

}  // namespace espquant::passes
