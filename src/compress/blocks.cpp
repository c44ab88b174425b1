#include "compress/blocks.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "compress/refit.h"
#include "measure/output_comparison.h"

namespace espquant::compress {
namespace {

// Longer parts are not blocks but networks.
constexpr std::size_t kMostBlockNodes = 64;

class BlockFinder {
 public:
  explicit BlockFinder(const Graph& graph) : graph_(graph), order_(graph.topological_order()) {
    rank_.assign(graph.node_count(), 0);
    for (std::size_t i = 0; i < order_.size(); ++i)
      rank_[static_cast<std::size_t>(order_[i])] = i + 1;
  }

  std::vector<Block> run() {
    for (NodeId id : order_) {
      const Node& n = graph_.node(id);
      if (n.outputs.size() != 1) continue;
      const Value& out = graph_.value(n.outputs[0]);
      if (out.dtype != DType::Float32 || !out.shape) continue;
      // An output keeps its name and its maker.
      if (graph_.is_output(n.outputs[0])) continue;
      if (n.op == "Add") find_branches(id);
      if (!is_inside_layer(n.outputs[0])) find(n.outputs[0]);
    }
    return std::move(found_);
  }

 private:
  std::size_t rank(ValueId v) const {
    const NodeId producer = graph_.value(v).producer;
    return producer == kNone ? 0 : rank_[static_cast<std::size_t>(producer)];
  }
  /// Only an activation reads it, which belongs to its layer.
  bool is_inside_layer(ValueId v) const {
    const Value& value = graph_.value(v);
    if (value.consumers.size() != 1) return false;
    const std::string& op = graph_.node(value.consumers[0]).op;
    return op == "Relu" || op == "Clip";
  }
  bool joins(ValueId a, ValueId b) const {
    return std::any_of(
        graph_.value(b).consumers.begin(), graph_.value(b).consumers.end(), [&](NodeId id) {
          const Node& n = graph_.node(id);
          return n.op == "Add" && std::find(n.inputs.begin(), n.inputs.end(), a) != n.inputs.end();
        });
  }
  bool has_layer(const std::set<NodeId>& nodes) const {
    return std::any_of(nodes.begin(), nodes.end(),
                       [&](NodeId id) { return has_weights(graph_, graph_.node(id)); });
  }
  bool is_only_read_by(ValueId v, const std::set<NodeId>& nodes) const {
    const Value& value = graph_.value(v);
    return !graph_.is_output(v) && std::all_of(value.consumers.begin(), value.consumers.end(),
                                               [&](NodeId id) { return nodes.contains(id); });
  }
  void add_inputs(NodeId id, const std::set<NodeId>& nodes, std::set<ValueId>& into) const {
    for (ValueId v : graph_.node(id).inputs)
      if (v != kNone && !graph_.value(v).is_constant() && !nodes.contains(graph_.value(v).producer))
        into.insert(v);
  }
  std::vector<NodeId> layers_of(const std::vector<NodeId>& nodes) const {
    std::vector<NodeId> layers;
    std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(layers),
                 [&](NodeId id) { return has_weights(graph_, graph_.node(id)); });
    return layers;
  }
  void keep(ValueId from, ValueId to, const std::set<NodeId>& nodes) {
    Block block{from, to, {nodes.begin(), nodes.end()}};
    std::sort(block.nodes.begin(), block.nodes.end(), [&](NodeId a, NodeId b) {
      return rank_[static_cast<std::size_t>(a)] < rank_[static_cast<std::size_t>(b)];
    });
    // The same with the Relu behind it saves nothing more.
    const auto layers = layers_of(block.nodes);
    if (std::none_of(found_.begin(), found_.end(), [&](const Block& known) {
          return known.from == from && layers_of(known.nodes) == layers;
        }))
      found_.push_back(std::move(block));
  }

  /// Backwards from `to` until all that it is made of comes through one value of its shape.
  void find(ValueId to) {
    std::set<NodeId> nodes{graph_.value(to).producer};
    std::set<ValueId> open;
    add_inputs(*nodes.begin(), nodes, open);
    while (!open.empty() && nodes.size() <= kMostBlockNodes) {
      if (open.size() == 1 && has_layer(nodes) &&
          graph_.value(*open.begin()).shape == graph_.value(to).shape &&
          graph_.value(*open.begin()).dtype == DType::Float32) {
        // Where an Add has both, it goes as well: see find_branches().
        if (!joins(*open.begin(), to)) keep(*open.begin(), to, nodes);
        return;
      }
      const ValueId last = *std::max_element(
          open.begin(), open.end(), [&](ValueId a, ValueId b) { return rank(a) < rank(b); });
      // What is read elsewhere cannot go, and nothing before it leads back to it.
      if (graph_.value(last).producer == kNone || !is_only_read_by(last, nodes)) return;
      const NodeId producer = graph_.value(last).producer;
      nodes.insert(producer);
      open.erase(last);
      add_inputs(producer, nodes, open);
    }
  }

  /// What only leads to one operand of an Add, the other one staying.
  void find_branches(NodeId add) {
    const Node& n = graph_.node(add);
    if (n.inputs.size() != 2 || n.inputs[0] == n.inputs[1]) return;
    for (std::size_t i = 0; i < 2; ++i) {
      const ValueId gone = n.inputs[i], stays = n.inputs[1 - i];
      if (graph_.value(gone).is_constant() || graph_.value(stays).is_constant() ||
          graph_.value(stays).shape != graph_.value(n.outputs[0]).shape)
        continue;
      std::set<NodeId> nodes{add};
      std::vector<ValueId> todo{gone};
      while (!todo.empty()) {
        const ValueId v = todo.back();
        todo.pop_back();
        const NodeId producer = graph_.value(v).producer;
        if (producer == kNone || v == stays || !is_only_read_by(v, nodes)) continue;
        nodes.insert(producer);
        for (ValueId in : graph_.node(producer).inputs)
          if (in != kNone && !graph_.value(in).is_constant()) todo.push_back(in);
      }
      if (has_layer(nodes)) keep(stays, n.outputs[0], nodes);
    }
  }

  const Graph& graph_;
  std::vector<NodeId> order_;
  std::vector<std::size_t> rank_;
  std::vector<Block> found_;
};

/// The layers that read past a block, and those whose result an Add joins to what does.
std::vector<NodeId> layers_behind(const Graph& smaller, const Graph& graph) {
  const auto order = smaller.topological_order();
  std::vector<bool> changed(smaller.value_count(), false);
  std::vector<NodeId> behind;
  for (NodeId id : order) {
    const Node& n = smaller.node(id);
    bool any = graph.node(id).inputs != n.inputs;
    for (ValueId v : n.inputs) any |= v != kNone && changed[static_cast<std::size_t>(v)];
    if (!any) continue;
    if (has_weights(smaller, n)) {
      behind.push_back(id);
      continue;  // it makes up for what it can
    }
    for (ValueId v : n.outputs)
      if (v != kNone) changed[static_cast<std::size_t>(v)] = true;
  }
  return behind;
}

bool overlap(const Block& a, const Block& b) {
  return std::any_of(a.nodes.begin(), a.nodes.end(), [&](NodeId id) {
    return std::find(b.nodes.begin(), b.nodes.end(), id) != b.nodes.end();
  });
}

}  // namespace

std::vector<Block> find_blocks(const Graph& graph) { return BlockFinder(graph).run(); }

Graph without_blocks(const Graph& graph, std::span<const Block> blocks) {
  Graph smaller = graph;
  std::map<ValueId, ValueId> instead;
  for (const Block& block : blocks) {
    // Where it begins, another may have ended.
    ValueId from = block.from;
    for (auto at = instead.find(from); at != instead.end(); at = instead.find(from))
      from = at->second;
    smaller.replace_uses(block.to, from);
    instead[block.to] = from;
  }
  smaller.remove_dead();
  return smaller;
}

std::vector<RankedBlock> rank_blocks(const Graph& graph, const calib::SampleSource& source,
                                     std::int64_t samples, const PriceOf& price_of,
                                     const Budget& budget, const calib::Progress& progress) {
  const Price now = price_of(graph);
  std::vector<RankedBlock> blocks;
  for (Block& block : find_blocks(graph)) {
    RankedBlock one;
    const Price then = price_of(without_blocks(graph, {&block, 1}));
    if (!(budget.excess(then) < budget.excess(now))) continue;
    one.saved = {now.milliseconds - then.milliseconds, now.file_bytes - then.file_bytes,
                 now.ram_bytes - then.ram_bytes};
    one.loss = budget.excess(now) - budget.excess(then);  // gain, until it is measured
    for (NodeId id : block.nodes)
      if (has_weights(graph, graph.node(id))) one.layers.push_back(graph.node(id).name);
    one.block = std::move(block);
    blocks.push_back(std::move(one));
  }
  if (blocks.empty()) return blocks;
  const std::int64_t count = std::min(samples, source.count);
  const auto part = [&](std::int64_t i) { return source.sample(i * source.count / count); };
  std::vector<std::vector<Tensor>> inputs;
  for (std::int64_t i = 0; i < count; ++i) inputs.push_back(part(i));
  const auto outputs_of = [&](const Graph& network) {
    return ops::run_all(ops::Executor(network, {.observe_all = false}), inputs);
  };
  const measure::OutputComparison comparison(graph);
  const auto expected = outputs_of(graph);
  std::vector<double> gains;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    if (progress) progress(static_cast<std::int64_t>(b), static_cast<std::int64_t>(blocks.size()));
    gains.push_back(blocks[b].loss);
    Graph smaller = without_blocks(graph, {&blocks[b].block, 1});
    const std::vector<NodeId> behind = layers_behind(smaller, graph);
    refit(
        smaller, graph, [](ValueId) { return std::vector<std::size_t>(); }, {count, part}, count,
        {}, &behind);
    blocks[b].loss = comparison.of_all(outputs_of(smaller), expected).ratio();
  }
  std::vector<std::size_t> order(blocks.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto rate = [&](std::size_t i) { return gains[i] / std::max(blocks[i].loss, 1e-9); };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rate(a) > rate(b); });
  std::vector<RankedBlock> ranked;
  for (std::size_t i : order)
    if (std::none_of(ranked.begin(), ranked.end(), [&](const RankedBlock& better) {
          return overlap(better.block, blocks[i].block);
        }))
      ranked.push_back(std::move(blocks[i]));
  return ranked;
}

}  // namespace espquant::compress
