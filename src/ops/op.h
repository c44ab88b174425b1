#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"

/// All that ONNX says of an operator, one file per operator or close family.
namespace espquant::ops {

/// How the tensors of an operator share their exponents on the chip.
enum class QuantRule : std::uint8_t {
  Independent,  ///< each input and output has its own exponent (Mul, Sigmoid, AveragePool, ...)
  Weighted,  ///< Conv, Gemm, ConvTranspose: weights of their own, bias at input + weight exponent
  PassThrough,    ///< output 0.. keep the exponent of input 0: only data moves (Reshape, MaxPool,
                  ///< Slice, ...)
  Recurrent,      ///< LSTM, GRU: all hidden states share an exponent
  AlignInputs,    ///< all data inputs take the exponent of the output (Add, Sub, Concat)
  CompareInputs,  ///< data inputs share an exponent, the output is boolean (Equal, Greater, ...)
  FloatOutput,    ///< integer in, float out (Softmax, LogSoftmax)
  Float,          ///< ESP-DL has no integer kernel: runs in float between Dequantize and Quantize
  None,           ///< computed at conversion time only (Shape, ConstantOfShape, ...)
};

struct InferInput {
  DType dtype = DType::Undefined;
  /// Null when the optional input is not given.
  const Shape* shape = nullptr;
  /// Not null when the value is known at conversion time.
  const Tensor* constant = nullptr;
};

struct InferOutput {
  DType dtype = DType::Undefined;
  Shape shape;
  /// Defined when the shapes of the inputs determine the elements (Shape, Size).
  Tensor value;
};

/// Shape inference of one node.
struct InferContext {
  const Node& node;
  std::int64_t opset;
  std::span<const InferInput> inputs;
  std::vector<InferOutput>& outputs;  ///< one per output of the node, to be filled

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i].shape != nullptr; }
  /// Throws Error(Malformed) when input i is missing.
  const Shape& shape(std::size_t i) const;
  DType dtype(std::size_t i) const;
  /// The int64 (or int32) elements of a constant input. Throws Error(Unsupported) when it is not
  /// constant.
  std::vector<std::int64_t> constant_ints(std::size_t i) const;
};

/// Execution of one node on plain tensors in ONNX's layout; outputs are allocated and zero-filled
/// with the inferred type and shape.
struct RunContext {
  const Node& node;
  std::int64_t opset;
  std::span<const Tensor* const> inputs;  ///< null for an optional input that is not given
  std::span<Tensor> outputs;

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  const Tensor& in(std::size_t i) const { return *inputs[i]; }
};

/// What comes back to one node, and what goes on from it to its inputs. A gradient has the type and
/// shape of what it is the gradient of.
struct GradientContext {
  const Node& node;
  std::int64_t opset;
  std::span<const Tensor* const> inputs;     ///< as run() took them
  std::span<const Tensor> outputs;           ///< as run() made them
  std::span<const Tensor> output_gradients;  ///< undefined for an output that nothing comes back to
  std::span<Tensor> input_gradients;         ///< zero-filled where wanted, undefined elsewhere

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  bool wants(std::size_t i) const {
    return i < input_gradients.size() && input_gradients[i].defined();
  }
  const Tensor& in(std::size_t i) const { return *inputs[i]; }
};

struct OpDef {
  std::string_view type;
  QuantRule quant;
  void (*infer)(const InferContext&);
  /// Plain loops, the reference for every faster path.
  void (*run)(const RunContext&);
  /// Plain loops, the reference for every faster path; null for operators without a useful one.
  void (*gradient)(const GradientContext&) = nullptr;
  /// Multiply-accumulates of one run; null for operators that have none worth counting.
  std::int64_t (*macs)(const Node&, std::span<const Shape> inputs,
                       std::span<const Shape> outputs) = nullptr;
  /// The output is known from the input's shape: inference sets InferOutput::value.
  bool shape_only = false;
};

/// The explicit list of every operator (registry.cpp), in alphabetical order.
std::span<const OpDef> all_ops();

/// Null when there is no such operator.
const OpDef* find_op(std::string_view type);

/// Whether there is such an operator, and its tensors share their exponents by this rule.
bool follows(const Node& node, QuantRule rule);

/// As find_op, but throws Error(Unsupported) with the node's name and the nearest operator that
/// exists.
const OpDef& op_of(const Node& node);

/// Sets dtype and shape of every value of the graph, folding what is constant in order to know
/// shapes. Graph inputs with symbolic or unknown extents take `batch` for their first one; other
/// unknown extents are refused. Throws with the node's name.
void infer_shapes(Graph& graph, std::int64_t batch = 1);

/// A node that a step of the way cannot take, and why.
struct NodeRefusal {
  NodeId node;
  Error error;
};

/// Takes `batch` for first extents of graph inputs that are open, and refuses others as
/// infer_shapes does.
void settle_inputs(Graph& graph, std::int64_t batch = 1);

/// infer_shapes as far as it goes: an input with open extents keeps them, and what follows from
/// them has the shape that it had, or none. Returns the nodes that cannot be inferred whatever is
/// before them.
std::vector<NodeRefusal> infer_known_shapes(Graph& graph);

/// The elements of a node's outputs where they are known before any image is seen: all its inputs
/// are constants, or it asks for the shape of something whose shape is known. Nothing when they are
/// not, or when an output has more than `max_elements`. Throws with the node's name.
std::optional<std::vector<Tensor>> fold_node(const Graph& graph, const Node& node,
                                             std::int64_t max_elements);

/// Runs one node on given inputs by its reference kernel, shapes inferred on the spot. Throws with
/// the node's name.
std::vector<Tensor> run_node(const Graph& graph, const Node& node,
                             std::span<const Tensor* const> inputs);

/// The gradients of the inputs that `wanted` marks, by the reference kernel; undefined for the
/// others and for those that no gradient comes back to. `outputs` as run_node() made them, of
/// `output_gradients` those undefined that nothing comes back to. Throws with the node's name, and
/// Error(Unsupported) for an operator without a gradient.
std::vector<Tensor> run_gradient(const Graph& graph, const Node& node,
                                 std::span<const Tensor* const> inputs,
                                 std::span<const Tensor> outputs,
                                 std::span<const Tensor> output_gradients,
                                 const std::vector<bool>& wanted);

/// Multiply-accumulates of a node whose shapes are known.
std::int64_t macs_of(const Graph& graph, const Node& node);

}  // namespace espquant::ops
