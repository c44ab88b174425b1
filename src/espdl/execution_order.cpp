#include "espdl/execution_order.h"

#include <functional>
#include <queue>
#include <string_view>
#include <unordered_map>

namespace espquant::espdl {
namespace {

constexpr std::size_t kGiven = ~std::size_t{0};  // an input of the graph or a constant

/// Who makes each tensor: a node's number or kGiven.
using Producers = std::unordered_map<std::string_view, std::size_t>;

[[noreturn]] void refuse(std::string_view tensor, const char* why) {
  throw Error(ErrorCode::Malformed, why).tensor(tensor);
}

Producers find_producers(const Model& model) {
  Producers producers;
  for (const auto& c : model.initializers) producers.emplace(c.name, kGiven);
  for (const auto& name : model.inputs)
    if (!producers.emplace(name, kGiven).second)
      refuse(name, "an input of the graph is also a parameter");
  for (std::size_t n = 0; n < model.nodes.size(); ++n)
    for (const auto& name : model.nodes[n].outputs)
      if (!name.empty() && !producers.emplace(name, n).second)
        refuse(name, "the tensor is produced twice");
  return producers;
}

std::size_t producer_of(const Producers& producers, std::string_view tensor) {
  const auto it = producers.find(tensor);
  if (it == producers.end()) refuse(tensor, "the tensor is read but nothing produces it");
  return it->second;
}

/// The least node that can run comes first.
std::vector<std::size_t> execution_order(const Model& model, const Producers& producers) {
  const std::size_t count = model.nodes.size();
  std::vector<std::vector<std::size_t>> readers(count);
  std::vector<std::size_t> waiting_for(count, 0);
  for (std::size_t n = 0; n < count; ++n)
    for (const auto& name : model.nodes[n].inputs) {
      if (name.empty()) continue;
      const std::size_t producer = producer_of(producers, name);
      if (producer == kGiven) continue;
      readers[producer].push_back(n);
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

}  // namespace

void order_nodes(Model& model) {
  const Producers producers = find_producers(model);
  for (const auto& name : model.outputs) producer_of(producers, name);
  const auto order = execution_order(model, producers);
  if (order.size() != model.nodes.size())
    throw Error(ErrorCode::Malformed, "the nodes wait for each other in a circle");
  std::vector<Node> nodes;
  nodes.reserve(order.size());
  for (const std::size_t n : order) nodes.push_back(std::move(model.nodes[n]));
  model.nodes = std::move(nodes);
}

}  // namespace espquant::espdl
