#include "cost/overwrites.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "cost/in_place.h"

namespace espquant::cost {
namespace {

constexpr std::size_t kForever = std::numeric_limits<std::size_t>::max();

struct Live {
  const TensorPlace* place = nullptr;
  /// Tensors of the same number hold the same elements.
  std::size_t data = 0;
  std::size_t last_read = 0;
};

bool overlap(const TensorPlace& a, const TensorPlace& b) {
  return a.memory == b.memory && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

}  // namespace

std::vector<Overwrite> find_overwrites(const espdl::Model& model,
                                       std::span<const TensorPlace> places) {
  std::unordered_map<std::string_view, std::size_t> numbers;
  std::vector<Live> tensors(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    numbers.emplace(places[i].name, i);
    tensors[i] = {&places[i], i, 0};
  }
  for (std::size_t step = 0; step < model.nodes.size(); ++step)
    for (const auto& name : model.nodes[step].inputs)
      if (const auto at = numbers.find(name); at != numbers.end())
        tensors[at->second].last_read = step;
  for (const auto& name : model.outputs)
    if (const auto at = numbers.find(name); at != numbers.end())
      tensors[at->second].last_read = kForever;

  std::vector<std::size_t> live;
  for (const auto& name : model.inputs)
    if (const auto at = numbers.find(name); at != numbers.end()) live.push_back(at->second);

  std::vector<Overwrite> found;
  for (std::size_t step = 0; step < model.nodes.size(); ++step) {
    const auto& node = model.nodes[step];
    std::erase_if(live, [&](std::size_t t) { return tensors[t].last_read <= step; });
    for (const auto& name : node.outputs) {
      const auto at = numbers.find(name);
      if (at == numbers.end()) continue;
      Live& output = tensors[at->second];
      if (!output.place->shares.empty() && in_place_kind(node.op) == InPlace::Alias)
        output.data = tensors[numbers.at(output.place->shares)].data;
      for (const std::size_t t : live)
        if (tensors[t].data != output.data && overlap(*tensors[t].place, *output.place))
          found.push_back({tensors[t].place->name, node.name, step});
      if (output.last_read > step) live.push_back(at->second);
    }
  }
  return found;
}

}  // namespace espquant::cost
