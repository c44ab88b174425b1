#include "espdl/statistics.h"

#include <string_view>
#include <unordered_map>
#include <variant>

#include "espdl/bytes.h"
#include "espdl/container.h"
#include "espdl/writer.h"

namespace espquant::espdl {
namespace {

using Kinds = std::unordered_map<std::string_view, std::size_t SizeByKind::*>;

/// How many inputs after the first are weights; the one after those is the bias.
std::size_t weight_inputs(std::string_view op) {
  if (op == "Conv" || op == "ConvTranspose" || op == "Gemm" || op == "MatMul") return 1;
  if (op == "LSTM" || op == "GRU") return 2;
  return 0;
}

Kinds kinds_of_constants(const Model& model) {
  Kinds kinds;
  for (const auto& n : model.nodes) {
    if (const auto lut = n.attributes.find("lut"); lut != n.attributes.end())
      if (const auto* table = std::get_if<std::string>(&lut->second))
        kinds.emplace(*table, &SizeByKind::tables);
    const std::size_t weights = weight_inputs(n.op);
    for (std::size_t i = 1; weights > 0 && i <= weights + 1 && i < n.inputs.size(); ++i)
      kinds.emplace(n.inputs[i], i <= weights ? &SizeByKind::filters : &SizeByKind::biases);
  }
  return kinds;
}

std::size_t stored_bytes(const Constant& c) { return round_up(c.data.byte_size(), kBlockBytes); }

}  // namespace

SizeByKind size_by_kind(const Model& model, std::size_t file_size) {
  SizeByKind sizes;
  const Kinds kinds = kinds_of_constants(model);
  for (const auto& c : model.initializers) {
    const auto kind = kinds.find(c.name);
    sizes.*(kind == kinds.end() ? &SizeByKind::parameters : kind->second) += stored_bytes(c);
  }
  for (const auto* list : {&model.test_inputs, &model.test_outputs})
    for (const auto& c : *list) sizes.test_values += stored_bytes(c);
  const std::size_t elements = sizes.total();
  sizes.structure = file_size > elements ? file_size - elements : 0;
  return sizes;
}

SizeByKind size_by_kind(const Model& model) {
  return size_by_kind(model, write_model(model).size());
}

}  // namespace espquant::espdl
