#pragma once

#include <string_view>
#include <unordered_map>

#include "espdl/model.h"

namespace espquant::espdl {

/// Finds the tensors of a Model by name in constant time. Refers to the Model, which must neither
/// change nor go before it. All lookups return null for a name that is not there.
class ModelIndex {
 public:
  explicit ModelIndex(const Model& model) {
    for (const auto& v : model.values) values_.emplace(v.name, &v);
    for (const auto& c : model.initializers) initializers_.emplace(c.name, &c);
    for (const auto& n : model.nodes)
      for (const auto& name : n.outputs)
        if (!name.empty()) producers_.emplace(name, &n);
  }

  const ValueInfo* value(std::string_view tensor) const { return find(values_, tensor); }
  const Constant* initializer(std::string_view tensor) const { return find(initializers_, tensor); }
  /// The node that has the tensor among its outputs.
  const Node* producer(std::string_view tensor) const { return find(producers_, tensor); }

 private:
  template <typename T>
  using Map = std::unordered_map<std::string_view, const T*>;

  template <typename T>
  static const T* find(const Map<T>& map, std::string_view name) {
    const auto it = map.find(name);
    return it == map.end() ? nullptr : it->second;
  }

  Map<ValueInfo> values_;
  Map<Constant> initializers_;
  Map<Node> producers_;
};

}  // namespace espquant::espdl
