#pragma once

#include <functional>
#include <string>
#include <vector>

#include "onnx_schema.pb.h"

/// A part of a network, cut out of its file before anything is made of it: what is left out may be
/// what cannot be imported.
namespace espquant::onnx {

/// Leaves what computes `outputs` (all outputs where it is empty), beginning at `inputs`. A name is
/// that of a value, or of a node, which stands for what it puts out. `describe` gives type and
/// shape of a value that becomes an input. Inputs of the file that are still read stay; those that
/// nothing reads any more go. Throws Error(Usage), with the nearest name, for a name that the graph
/// has not, for a constant, and for an input that no output depends on.
void cut(onnx_schema::Graph& graph, const std::vector<std::string>& inputs,
         const std::vector<std::string>& outputs,
         const std::function<onnx_schema::ValueInfo(const std::string&)>& describe);

/// What the file itself says of a value's type and shape; null where it says nothing.
const onnx_schema::ValueInfo* stated_value(const onnx_schema::Graph& graph,
                                           const std::string& name);

/// Whether every extent is a number.
bool states_shape(const onnx_schema::ValueInfo& info);

}  // namespace espquant::onnx
