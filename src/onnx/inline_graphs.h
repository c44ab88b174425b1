#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "onnx_schema.pb.h"

/// Graphs within a model (functions, branches, bodies of loops) as plain nodes of the graph around
/// them. Values keep their names where they come from outside; what a copy computes itself gets a
/// prefix, so that copies never meet.
namespace espquant::onnx {

/// What takes the place of a node: nodes that stand in an order in which they can run, and
/// constants of their own.
struct Inlined {
  std::vector<onnx_schema::Node> nodes;
  std::vector<onnx_schema::Tensor> constants;
};

/// Names of values as they are called outside, by the names that the inner graph has for them.
using Renaming = std::map<std::string, std::string>;

/// A copy of `body` whose inner values start with `prefix`; `given` names its inputs, and is
/// extended by all that the copy computes. Names that it does not hold come from outside.
Inlined copy_of(const onnx_schema::Graph& body, const std::string& prefix, Renaming& given);

/// The nodes of a function that `call` calls, its attributes filled in (ONNX IR: FunctionProto).
/// Throws Error(Malformed) when the call has more inputs or outputs than the function.
Inlined body_of_call(const onnx_schema::Function& function, const onnx_schema::Node& call,
                     const std::string& prefix);

/// Null when the node has no graph of that name.
const onnx_schema::Graph* graph_attribute(const onnx_schema::Node& node, const std::string& name);

/// `otherwise` when the node has no such attribute.
std::vector<std::int64_t> ints_attribute(const onnx_schema::Node& node, const std::string& name);
std::int64_t int_attribute(const onnx_schema::Node& node, const std::string& name,
                           std::int64_t otherwise);

/// Nodes and constants that only an importer writes.
onnx_schema::Node simple_node(const std::string& op, const std::string& name,
                              const std::vector<std::string>& inputs, const std::string& output);
onnx_schema::Tensor int64_constant(const std::string& name, const std::vector<std::int64_t>& dims,
                                   const std::vector<std::int64_t>& values);
void set_int(onnx_schema::Node& node, const std::string& name, std::int64_t value);

/// Adds every name that the nodes read, in graphs within them, too.
void collect_reads(const onnx_schema::Node& node, std::map<std::string, int>& reads);
void collect_reads(const google::protobuf::RepeatedPtrField<onnx_schema::Node>& nodes,
                   std::map<std::string, int>& reads);

}  // namespace espquant::onnx
