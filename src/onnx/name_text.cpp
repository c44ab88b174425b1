#include "onnx/name_text.h"

#include <fmt/format.h>

#include <string>

#include "base/error.h"
#include "base/text.h"

namespace espquant::onnx {
namespace {

/// Bytes that are not printable ASCII as \\xNN.
std::string escaped(const std::string& name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte >= 0x20 && byte < 0x7F ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return text;
}

void check(const std::string& name) {
  if (is_utf8(name)) return;
  throw Error(ErrorCode::Malformed, fmt::format("the name '{}' is not UTF-8", escaped(name)))
      .remedy("export the model again with names of ordinary letters");
}

void check(const onnx_schema::Graph& graph);

void check(const onnx_schema::Node& node) {
  check(node.name());
  check(node.op_type());
  check(node.domain());
  for (const std::string& name : node.input()) check(name);
  for (const std::string& name : node.output()) check(name);
  for (const auto& attribute : node.attribute()) {
    check(attribute.name());
    if (attribute.has_g()) check(attribute.g());
    for (const auto& graph : attribute.graphs()) check(graph);
  }
}

void check(const onnx_schema::Graph& graph) {
  check(graph.name());
  for (const auto& tensor : graph.initializer()) check(tensor.name());
  for (const auto& info : graph.input()) check(info.name());
  for (const auto& info : graph.output()) check(info.name());
  for (const auto& info : graph.value_info()) check(info.name());
  for (const auto& node : graph.node()) check(node);
}

}  // namespace

void refuse_names_that_are_no_text(const onnx_schema::Model& model) {
  check(model.graph());
  for (const auto& function : model.functions()) {
    check(function.name());
    for (const auto& node : function.node()) check(node);
  }
}

}  // namespace espquant::onnx
