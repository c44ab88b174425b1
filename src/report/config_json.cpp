#include "report/config_json.h"

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

namespace espquant::report {
namespace {

using Json = nlohmann::ordered_json;

// FNV-1a, 32 bits.
std::uint32_t id_of(std::string_view name) {
  std::uint32_t hash = 2166136261U;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

struct Tensor {
  DType dtype;
  const std::vector<int>* exponents;
  bool is_constant;
};

std::map<std::string, Tensor> tensors_of(const espdl::Model& model) {
  std::map<std::string, Tensor> tensors;
  for (const auto& v : model.values)
    tensors.insert_or_assign(v.name, Tensor{v.dtype, &v.exponents, false});
  for (const auto& c : model.initializers)
    tensors.insert_or_assign(c.name, Tensor{c.data.dtype(), &c.exponents, true});
  return tensors;
}

bool is_bias(const espdl::Node& node, std::size_t input) {
  return input == 2 && (node.op == "Conv" || node.op == "Gemm");
}

int bit_width(DType dtype, const Target& target) {
  switch (dtype) {
    case DType::Int8:
      return 8;
    case DType::Int16:
      return 16;
    case DType::Int32:
      return target.bias_bits(8);
    case DType::Int64:
      return target.bias_bits(16);
    default:
      return 0;
  }
}

Json entry(const std::string& name, const Tensor& tensor, std::string_view state,
           const Target& target) {
  const int bits = bit_width(tensor.dtype, target);
  const bool per_channel = tensor.exponents->size() > 1;
  const std::int64_t max = std::numeric_limits<std::int64_t>::max() >> (64 - bits);
  return {{"bit_width", bits},
          {"policy",
           {{"PER_TENSOR", !per_channel},
            {"PER_CHANNEL", per_channel},
            {"LINEAR", true},
            {"FLOATING", false},
            {"SYMMETRICAL", true},
            {"ASYMMETRICAL", false},
            {"POWER_OF_2", true},
            {"DYNAMIC", false}}},
          {"state", state},
          {"quant_min", -max - 1},
          {"quant_max", max},
          {"hash", id_of(name)},
          {"dominator", id_of(name)}};
}

std::string platform_of(const espdl::Node& node, const Target& target) {
  const std::string width = node.get_string("quant_type", "F32");
  if (width == "F32") return "FP32";
  const std::string family =
      target.family == Family::P4 ? "" : std::string(to_string(target.family)) + "_";
  return "ESPDL_" + family + (width == "S8" ? "INT8" : width == espdl::kW8A16 ? "W8A16" : "INT16");
}

Json value_of(const std::vector<int>& exponents) {
  if (exponents.size() == 1) return {{"scale", std::ldexp(1.0, exponents[0])}, {"zero_point", 0.0}};
  Json scales = Json::array(), zeros = Json::array();
  for (int e : exponents) {
    scales.push_back(std::ldexp(1.0, e));
    zeros.push_back(0.0);
  }
  return {{"scale", scales}, {"zero_point", zeros}};
}

}  // namespace

std::string config_json(const espdl::Model& model, const Target& target, std::string_view recipe) {
  const auto tensors = tensors_of(model);
  Json configs = Json::object(), dispatchings = Json::object(), values = Json::object();
  for (const espdl::Node& node : model.nodes) {
    // What only the export needs has no place among the network's operators.
    if (node.op.ends_with("uantizeLinear")) continue;
    Json& config = configs[node.name] = Json::object();
    const auto describe = [&](const std::string& name, std::string_view state) {
      const auto it = tensors.find(name);
      if (it == tensors.end() || bit_width(it->second.dtype, target) == 0 ||
          it->second.exponents->empty())
        return;
      if (it->second.is_constant && it->second.dtype == DType::Int64 && state != "PASSIVE") return;
      config[name] = entry(name, it->second, state, target);
      values[std::to_string(id_of(name))] = value_of(*it->second.exponents);
    };
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const auto it = tensors.find(node.inputs[i]);
      const bool constant = it != tensors.end() && it->second.is_constant;
      describe(node.inputs[i], is_bias(node, i) ? "PASSIVE"
                               : constant       ? "ACTIVATED"
                                                : "OVERLAPPED");
    }
    for (const std::string& name : node.outputs) describe(name, "ACTIVATED");
    dispatchings[node.name] = platform_of(node, target);
  }
  Json all{{"configs", configs}, {"dispatchings", dispatchings}, {"values", values}};
  if (!recipe.empty()) all["recipe"] = Json::parse(recipe);
  return all.dump(4);
}

}  // namespace espquant::report
