#include "espdl/model.h"

#include <algorithm>

namespace espquant::espdl {
namespace {

template <typename T>
const T* find_named(const std::vector<T>& all, std::string_view name) {
  const auto it = std::find_if(all.begin(), all.end(), [&](const T& t) { return t.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace

template <typename T>
const T* Node::find(std::string_view attribute) const {
  const auto it = attributes.find(attribute);
  if (it == attributes.end()) return nullptr;
  if (const T* value = std::get_if<T>(&it->second)) return value;
  throw Error(ErrorCode::Malformed,
              "attribute '" + std::string(attribute) + "' of " + op + " has the wrong type")
      .node(name);
}

std::int64_t Node::get_int(std::string_view attribute, std::int64_t otherwise) const {
  const auto* value = find<std::int64_t>(attribute);
  return value ? *value : otherwise;
}

float Node::get_float(std::string_view attribute, float otherwise) const {
  const auto* value = find<float>(attribute);
  return value ? *value : otherwise;
}

std::string Node::get_string(std::string_view attribute, std::string_view otherwise) const {
  const auto* value = find<std::string>(attribute);
  return value ? *value : std::string(otherwise);
}

std::vector<std::int64_t> Node::get_ints(std::string_view attribute,
                                         std::vector<std::int64_t> otherwise) const {
  const auto* value = find<std::vector<std::int64_t>>(attribute);
  return value ? *value : std::move(otherwise);
}

std::vector<float> Node::get_floats(std::string_view attribute,
                                    std::vector<float> otherwise) const {
  const auto* value = find<std::vector<float>>(attribute);
  return value ? *value : std::move(otherwise);
}

const ValueInfo* Model::find_value(std::string_view tensor) const {
  return find_named(values, tensor);
}

const Constant* Model::find_initializer(std::string_view tensor) const {
  return find_named(initializers, tensor);
}

std::string Model::metadata_value(std::string_view key, std::string_view otherwise) const {
  for (const auto& [k, v] : metadata)
    if (k == key) return v;
  return std::string(otherwise);
}

}  // namespace espquant::espdl
