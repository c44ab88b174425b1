#include "espdl/execution_order.h"

#include <functional>
#include <queue>
#include <set>
#include <string_view>
#include <unordered_map>

namespace espquant::espdl {
namespace {

constexpr std::size_t kGiven = ~std::size_t{0};  // an input of the graph or a constant

/// Who makes each tensor: a node's number or kGiven.
using Producers = std::unordered_map<std::string_view, std::size_t>;

Error wrong_tensor(std::string_view tensor, std::string_view node, const char* why) {
  return Error(ErrorCode::Malformed, why)
      .node(node)
      .tensor(tensor)
      .remedy("Export the model again");
}

Producers find_producers(const Model& model, Defects& defects) {
  Producers producers;
  for (const auto& c : model.initializers) producers.emplace(c.name, kGiven);
  for (const auto& name : model.inputs)
    if (!producers.emplace(name, kGiven).second)
      defects.report(wrong_tensor(name, "", "an input of the graph is also a parameter"));
  for (std::size_t n = 0; n < model.nodes.size(); ++n)
    for (const auto& name : model.nodes[n].outputs)
      if (!name.empty() && !producers.emplace(name, n).second)
        defects.report(wrong_tensor(name, model.nodes[n].name, "the tensor is produced twice"));
  return producers;
}

void find_unproduced(const Model& model, const Producers& producers, Defects& defects) {
  constexpr const char* kWhy = "the tensor is read but nothing produces it";
  std::set<std::string_view> found;
  const auto look_at = [&](const std::string& tensor, std::string_view node) {
    if (!tensor.empty() && !producers.contains(tensor) && found.insert(tensor).second)
      defects.report(wrong_tensor(tensor, node, kWhy));
  };
  for (const auto& node : model.nodes)
    for (const auto& name : node.inputs) look_at(name, node.name);
  for (const auto& name : model.outputs) look_at(name, "");
}

/// The least node that can run comes first. Nodes that wait for each other are left out.
std::vector<std::size_t> execution_order(const Model& model, const Producers& producers) {
  const std::size_t count = model.nodes.size();
  std::vector<std::vector<std::size_t>> readers(count);
  std::vector<std::size_t> waiting_for(count, 0);
  for (std::size_t n = 0; n < count; ++n)
    for (const auto& name : model.nodes[n].inputs) {
      const auto producer = producers.find(name);
      if (producer == producers.end() || producer->second == kGiven) continue;
      readers[producer->second].push_back(n);
      ++waiting_for[n];
    }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t n = 0; n < count; ++n)
    if (waiting_for[n] == 0) ready.push(n);
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    const std::size_t n = ready.top();
    ready.pop();
    order.push_back(n);
    for (const std::size_t reader : readers[n])
      if (--waiting_for[reader] == 0) ready.push(reader);
  }
  return order;
}

/// Nodes of a circle, and what waits for them, at the end.
void append_waiting(const Model& model, std::vector<std::size_t>& order, Defects& defects) {
  std::vector<bool> runs(model.nodes.size(), false);
  for (const std::size_t n : order) runs[n] = true;
  std::string names;
  for (std::size_t n = 0; n < runs.size(); ++n) {
    if (runs[n]) continue;
    names += (names.empty() ? "'" : ", '") + model.nodes[n].name + "'";
    order.push_back(n);
  }
  if (!names.empty())
    defects.report(
        Error(ErrorCode::Malformed, "the nodes wait for each other in a circle: " + names)
            .remedy("Export the model again"));
}

}  // namespace

void order_nodes(Model& model, Defects defects) {
  const Producers producers = find_producers(model, defects);
  find_unproduced(model, producers, defects);
  auto order = execution_order(model, producers);
  append_waiting(model, order, defects);
  std::vector<Node> nodes;
  nodes.reserve(order.size());
  for (const std::size_t n : order) nodes.push_back(std::move(model.nodes[n]));
  model.nodes = std::move(nodes);
}

}  // namespace espquant::espdl
