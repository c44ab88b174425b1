#include "report/compile_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "espdl/index.h"

namespace espquant::report {
namespace {

/// What chooses the kernel of a convolution, by the runtime's words.
struct KernelKey {
  std::string dtype;  ///< s8, s16, w8a16
  bool depthwise = false;
  bool bias = false;
  bool relu = false;
  bool per_channel = false;
  bool aligned = false;
  /// 11cn, 33cn, hwcn; 33c1, hwc1: for the inside of an image, then for its borders.
  std::vector<std::string> shapes;
};

std::string element_type(const espdl::Node& node, const espdl::Constant& filter,
                         const espdl::ModelIndex& index) {
  const auto* input = index.value(node.inputs[0]);
  if (input == nullptr || input->dtype != DType::Int16) return "s8";
  return filter.data.dtype() == DType::Int8 ? "w8a16" : "s16";
}

/// Filters are declared H,W,C,N or W,C,N; depthwise H,W,C,1 or W,C,1; those of Gemm and MatMul
/// 1,1,K,N, or K,N (ESP-DL 4.1).
std::vector<std::string> kernel_shapes(const espdl::Node& node, const Shape& filter,
                                       bool depthwise) {
  const std::string channels = depthwise ? "c1" : "cn";
  if (node.op != "Conv") return {"11cn"};
  const std::int64_t height = filter.size() == 4 ? filter[0] : 1;
  const std::int64_t width = filter[filter.size() - 3];
  if (height == 1 && width == 1 && !depthwise) return {"11cn"};
  if (height == 3 && width == 3) return {"33" + channels, "hw" + channels};
  return {"hw" + channels};
}

/// A MatMul of two activations whose second operand was packed: it takes the kernels of a Gemm.
KernelKey product_of_activations(const espdl::Node& node, const espdl::ModelIndex& index,
                                 const Target& target) {
  KernelKey key;
  const auto* first = index.value(node.inputs[0]);
  key.dtype = first != nullptr && first->dtype == DType::Int16 ? "s16" : "s8";
  key.relu = node.get_string("activation", "Linear") == "Relu";
  const auto* out = node.outputs.empty() ? nullptr : index.value(node.outputs[0]);
  const std::int64_t lanes = target.lanes(key.dtype == "s8" ? 8 : 16);
  key.aligned = first != nullptr && out != nullptr && !first->shape.empty() &&
                !out->shape.empty() && first->shape.back() % lanes == 0 &&
                out->shape.back() % lanes == 0;
  key.shapes = {"11cn"};
  return key;
}

KernelKey key_of(const espdl::Node& node, const espdl::Constant& filter,
                 const espdl::ModelIndex& index, const Target& target) {
  const Shape& shape = filter.data.shape();
  KernelKey key;
  key.dtype = element_type(node, filter, index);
  key.depthwise = node.op == "Conv" && node.get_int("group", 1) > 1;
  key.bias = node.inputs.size() > 2 && !node.inputs[2].empty();
  key.relu = node.get_string("activation", "Linear") == "Relu";
  key.per_channel = filter.exponents.size() > 1;
  const std::int64_t lanes = target.lanes(key.dtype == "s8" ? 8 : 16);
  const std::int64_t in = shape[shape.size() - 2];
  key.aligned = in % lanes == 0 && (key.depthwise || shape.back() % lanes == 0);
  key.shapes = kernel_shapes(node, shape, key.depthwise);
  return key;
}

std::string suffix_of(const KernelKey& key) {
  return std::string(key.bias ? "_bias" : "") + (key.relu ? "_relu" : "");
}

/// Of the S3 at int8, kernels add the bias in any case, and unaligned ones know the activation.
std::string s3_suffix(const KernelKey& key) {
  if (key.dtype != "s8") return suffix_of(key);
  return key.aligned && key.relu ? "_relu" : "";
}

/// Of the P4 at int8, the unaligned dense kernel with ReLU carries the name of the leaky one.
std::string p4_suffix(const KernelKey& key) {
  if (key.dtype == "s8" && !key.aligned && !key.depthwise)
    return std::string(key.bias ? "_bias" : "") + (key.relu ? "_leakyrelu" : "");
  return suffix_of(key);
}

void add_kernels(const KernelKey& key, const Target& target, std::set<std::string>& kernels) {
  const std::string depthwise = key.depthwise ? "depthwise_" : "";
  const std::string unaligned = key.aligned ? "" : "unaligned_";
  const std::string per_channel = key.per_channel ? "per_channel_" : "";
  for (const auto& shape : key.shapes) {
    switch (target.family) {
      case Family::S3:
        kernels.insert(fmt::format("dl_tie728_{}_{}{}conv2d_{}{}", key.dtype, unaligned, depthwise,
                                   shape, s3_suffix(key)));
        break;
      case Family::P4:
        kernels.insert(fmt::format("dl_esp32p4_{}_{}{}conv2d_{}{}{}", key.dtype, unaligned,
                                   depthwise, per_channel, shape, p4_suffix(key)));
        break;
      case Family::C:
        kernels.insert(fmt::format("dl_c_{}_{}conv2d_{}", key.dtype, depthwise, shape));
        break;
    }
  }
  if (target.family != Family::C) return;
  const std::string tail =
      fmt::format("_tail_{}{}", key.bias ? "bias_" : "", key.relu ? "relu" : "linear");
  kernels.insert("dl_c_" + key.dtype + tail);
  if (key.dtype == "w8a16") kernels.insert("dl_c_s16" + tail);
}

/// Plain where YAML reads it as that word, else in double quotes (YAML 1.2, 5.7 and 7.3.1): the
/// type of a node is what a file says it is.
std::string yaml_scalar(std::string_view word) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  static constexpr std::array<std::string_view, 8> kMeaning = {"true", "false", "null", "yes",
                                                               "no",   "on",    "off",  "y"};
  std::string lower(word);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  const bool letter_first =
      !word.empty() && is_plain(word[0]) && !(word[0] >= '0' && word[0] <= '9');
  if (letter_first && std::all_of(word.begin(), word.end(), is_plain) &&
      std::find(kMeaning.begin(), kMeaning.end(), lower) == kMeaning.end() && lower != "n")
    return std::string(word);
  std::string quoted = "\"";
  for (const char c : word) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      quoted += {'\\', c};
    else if (code < 0x20 || code == 0x7F)
      quoted += fmt::format("\\x{:02x}", code);
    else
      quoted += c;
  }
  return quoted + '"';
}

void list(std::string& text, std::string_view title, const std::set<std::string>& names) {
  text += fmt::format("{}:{}\n", title, names.empty() ? " []" : "");
  for (const auto& name : names) text += fmt::format("  - {}\n", yaml_scalar(name));
}

}  // namespace

void CompileRequest::add(const CompileRequest& other) {
  ops.insert(other.ops.begin(), other.ops.end());
  kernels.insert(other.kernels.begin(), other.kernels.end());
}

CompileRequest compile_request(const espdl::Model& model, const Target& target) {
  const espdl::ModelIndex index(model);
  CompileRequest request;
  request.ops.insert("RequantizeLinear");
  for (const auto& node : model.nodes) {
    request.ops.insert(node.op);
    const bool product = node.op == "Gemm" || node.op == "MatMul";
    if ((node.op != "Conv" && !product) || node.inputs.size() < 2) continue;
    if (node.get_string("input1_layout", "packed") == "native_kn") continue;
    const auto* filter = index.initializer(node.inputs[1]);
    const std::size_t least_rank = product ? 2 : 3;
    if (filter != nullptr && filter->data.shape().size() >= least_rank)
      add_kernels(key_of(node, *filter, index, target), target, request.kernels);
    else if (product)
      add_kernels(product_of_activations(node, index, target), target, request.kernels);
  }
  return request;
}

std::string to_yaml(const CompileRequest& request, const std::string& models) {
  std::string comment;
  for (const char c : models) comment += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  std::string text = fmt::format("# for {}\n", comment);
  list(text, "ops", request.ops);
  list(text, "kernels", request.kernels);
  return text;
}

}  // namespace espquant::report
