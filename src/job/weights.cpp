#include "job/weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "espdl/filter_layout.h"

namespace espquant::job {
namespace {

/// The node whose filter it is; null where it is none.
const espdl::Node* layer_of(const espdl::Model& model, const std::string& name) {
  const auto node = std::ranges::find_if(model.nodes, [&](const espdl::Node& n) {
    return (n.op == "Conv" || n.op == "Gemm" || n.op == "MatMul") && n.inputs.size() > 1 &&
           n.inputs[1] == name;
  });
  return node == model.nodes.end() ? nullptr : &*node;
}

/// MatMul whose rows are read one after the other, as ONNX has them.
bool is_row_by_row(const espdl::Node& node) {
  return node.get_string("input1_layout", "packed") == "native_kn";
}

}  // namespace

const espdl::Constant& constant_of(const espdl::Model& model, const std::string& name) {
  if (const espdl::Constant* found = model.find_initializer(name)) return *found;
  std::vector<std::string> names;
  for (const espdl::Constant& constant : model.initializers) names.push_back(constant.name);
  const std::string near = nearest_name(name, names);
  throw Error(ErrorCode::Usage, fmt::format("the model has no constant '{}'", name))
      .remedy(near.empty() ? "" : fmt::format("Did you mean '{}'?", near));
}

Tensor weights_of(const espdl::Model& model, const Target& target, const std::string& name) {
  const espdl::Constant& constant = constant_of(model, name);
  const espdl::Node* layer = layer_of(model, name);
  const DType dtype = constant.data.dtype();
  if (layer == nullptr || (dtype != DType::Int8 && dtype != DType::Int16)) return constant.data;
  const bool matmul = layer->op == "MatMul";
  if (matmul && (constant.data.rank() != 2 || is_row_by_row(*layer))) return constant.data;
  const espdl::ValueInfo* input = model.find_value(layer->inputs.front());
  const int bits = input != nullptr && input->dtype == DType::Int16 ? 16 : 8;
  const bool depthwise = layer->op == "Conv" && layer->get_int("group", 1) > 1;
  Tensor logical = espdl::unpack_filter(constant.data, depthwise, target.lanes(bits));
  const Shape shape = logical.shape();
  if (layer->op != "Conv") {
    logical = logical.reshaped({shape.front(), shape.back()});
    constexpr std::int64_t kSwapped[] = {1, 0};
    return matmul ? logical.transposed(kSwapped) : logical;
  }
  if (constant.data.rank() == 3) {
    logical = logical.reshaped({shape[0], shape[2], shape[3]});
    constexpr std::int64_t kChannelsFirst[] = {0, 2, 1};
    return logical.transposed(kChannelsFirst);
  }
  constexpr std::int64_t kChannelsFirst[] = {0, 3, 1, 2};
  return logical.transposed(kChannelsFirst);
}

}  // namespace espquant::job
