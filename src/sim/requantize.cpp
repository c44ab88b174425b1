#include <fmt/format.h>

#include "sim/operators.h"
#include "sim/program.h"

/// RequantizeLinear, QuantizeLinear and DequantizeLinear are TensorBase::assign from input 0 to
/// output 0 (ESP-DL 2).
namespace espquant::sim {
namespace {

class AssignKernel final : public Kernel {
 public:
  AssignKernel(TensorDesc from, TensorDesc to, const Target& target)
      : from_(std::move(from)), to_(std::move(to)), target_(target) {}

  void run(const KernelArgs& args) const override {
    assign(from_, args.inputs[0], to_, args.outputs[0], target_);
  }

 private:
  TensorDesc from_, to_;
  const Target& target_;
};

Prepared prepare_assign(const NodeContext& context) {
  const TensorDesc& from = context.input(0);
  if (context.declared.empty() || context.declared[0].dtype == DType::Undefined)
    throw Error(ErrorCode::Malformed, "the model does not describe its output")
        .node(context.node.name);
  const TensorDesc to{context.declared[0].dtype, from.shape, context.declared[0].exponents};

  // Without elements: an impossible conversion is refused before anything runs.
  const TensorDesc none_from{from.dtype, {0}, from.exponents}, none_to{to.dtype, {0}, to.exponents};
  assign(none_from, nullptr, none_to, nullptr, context.target);

  Prepared prepared;
  if (assign_leaves_tail_unwritten(from.dtype, to.dtype, to.exponent() - from.exponent(),
                                   element_count(from.shape), context.target.family))
    prepared.faults.emplace_back("requantize-tail-unwritten");
  prepared.kernel = std::make_unique<AssignKernel>(from, to, context.target);
  prepared.outputs.push_back(to);
  return prepared;
}

}  // namespace

Prepared prepare_requantize_linear(const NodeContext& context) { return prepare_assign(context); }
Prepared prepare_quantize_linear(const NodeContext& context) { return prepare_assign(context); }
Prepared prepare_dequantize_linear(const NodeContext& context) { return prepare_assign(context); }

}  // namespace espquant::sim
