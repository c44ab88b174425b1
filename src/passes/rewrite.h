#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "graph/graph.h"

/// What the rewrites have in common.
namespace espquant::passes {

/// Operators that are ESP-DL's but not ONNX's (Swish, RMSNormalization, InsertZeros) are put in
/// this domain.
inline constexpr std::string_view kEspdlDomain = "espdl";

/// Calls rewrite(id) for each living node, producers first, and counts the calls that returned
/// true. The rewrite may remove and add nodes; added ones are not visited.
std::int64_t for_each_node(Graph& graph, const std::function<bool(NodeId)>& rewrite);

/// The same, consumers first.
std::int64_t for_each_node_backwards(Graph& graph, const std::function<bool(NodeId)>& rewrite);

/// The one node that reads `v`, once; kNone when there are more, none, or when `v` is an output of
/// the graph.
NodeId only_reader(const Graph& graph, ValueId v);

/// The one node that reads `v`, if it is an `op`; else kNone.
NodeId only_reader(const Graph& graph, ValueId v, std::string_view op);

/// The producer of `v` if it is an `op`; else kNone.
NodeId producer(const Graph& graph, ValueId v, std::string_view op);

/// Null unless `v` is a constant (kNone is none).
const Tensor* constant_of(const Graph& graph, ValueId v);

/// True for float32 without infinities and NaN.
bool is_finite(const Tensor& t);

/// The value of a float constant of one element.
std::optional<float> scalar_of(const Graph& graph, ValueId v);

/// True for a float constant of one element within 1e-5 (relative) of `expected`: exporters print
/// constants such as sqrt(2) with few digits.
bool is_scalar_near(const Graph& graph, ValueId v, double expected);

/// The elements of an int64 or int32 constant.
std::optional<std::vector<std::int64_t>> ints_of(const Graph& graph, ValueId v);

/// The input of a two-input node beside `one`; kNone unless exactly one of both is `one`.
ValueId other_input(const Node& node, ValueId one);

/// u, where v = u * factor, written as a Mul or a Div by a constant of one element; kNone where it
/// is not.
ValueId unscaled(const Graph& graph, ValueId v, double factor);

struct SplitOperand {
  ValueId data;
  ValueId constant;
};
/// The inputs of a commutative two-input node, told apart; nothing unless exactly one is constant.
std::optional<SplitOperand> split_constant(const Graph& graph, const Node& node);

/// One float per index of `axis`, when the constant `v`, broadcast to `shape`, varies along no
/// other axis and the broadcast leaves `shape` as it is.
std::optional<std::vector<float>> per_channel_constant(const Graph& graph, ValueId v,
                                                       const Shape& shape, std::size_t axis);

/// The shape of `v`. Passes run after inference: throws Error(Internal) when it is unknown.
const Shape& shape_of(const Graph& graph, ValueId v);
std::int64_t rank_of(const Graph& graph, ValueId v);

/// n, when `axes` are exactly the last n of `rank`; 0 when they are not.
std::int64_t trailing_axes(std::vector<std::int64_t> axes, std::int64_t rank);

/// n, when the node is a Reduce... over exactly the last n axes of its input, which it keeps with
/// extent 1; else 0.
std::int64_t trailing_reduction(const Graph& graph, NodeId id);

/// The constant `v` broadcast to `shape`, when it is float and has one element or exactly that
/// shape (extents of 1 in front aside).
std::optional<Tensor> parameter_of_shape(const Graph& graph, ValueId v, const Shape& shape);

ValueId add_constant(Graph& graph, std::string_view base_name, Tensor data);
ValueId add_ints(Graph& graph, std::string_view base_name, const std::vector<std::int64_t>& values);

/// A window operator's attribute with one entry per spatial axis (`count` of them); `otherwise` for
/// each where it is absent or empty. Throws Error(Malformed) for another number of entries.
std::vector<std::int64_t> spatial_ints(const Node& node, std::string_view name, std::size_t count,
                                       std::int64_t otherwise);

/// A new node with one new output of that shape, which is returned.
ValueId insert_node(Graph& graph, std::string_view op, std::string_view base_name,
                    std::vector<ValueId> inputs, DType dtype, Shape shape,
                    Attributes attributes = {});

/// Turns a node into another operator over other inputs; its outputs stay.
void become(Graph& graph, NodeId id, std::string_view op, const std::vector<ValueId>& inputs,
            Attributes attributes = {}, std::string_view domain = {});

/// Sets the whole input list.
void set_inputs(Graph& graph, NodeId id, const std::vector<ValueId>& inputs);

/// True when what lies between `x` and the node `last` is read by nothing else: every node on a
/// path from `x` to `last` has only readers on such paths, and none of its outputs is one of the
/// graph's.
bool is_private(const Graph& graph, NodeId last, ValueId x);

/// Removes a node whose first output equals `to`; its other outputs must be unused. Where that
/// output is one of the graph's, its name survives: the producer of `to` then produces it. False,
/// and nothing done, where that is impossible (`to` is an input, a constant or an output of the
/// graph itself).
bool bypass(Graph& graph, NodeId id, ValueId to);

/// True when nothing reads the outputs after the first.
bool only_first_output_used(const Graph& graph, const Node& node);

}  // namespace espquant::passes
