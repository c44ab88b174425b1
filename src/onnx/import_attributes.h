#pragma once

#include <filesystem>

#include "graph/graph.h"

namespace espquant::onnx_schema {
class Attribute;
class Node;
}  // namespace espquant::onnx_schema

namespace espquant::onnx {

/// All attributes of a node. With `float32_only`, the type that Cast and its like aim at is float32
/// for any float. Throws Error(Unsupported) on sub-graphs (If, Loop, Scan), on lists of tensors and
/// on sparse tensors.
Attributes read_attributes(const onnx_schema::Node& node, const std::filesystem::path& folder,
                           bool float32_only);

/// The tensor that a Constant node's attribute stands for: value, value_int, value_ints,
/// value_float, value_floats.
Tensor constant_of(const onnx_schema::Attribute& attribute, const std::filesystem::path& folder,
                   bool float32_only);

}  // namespace espquant::onnx
