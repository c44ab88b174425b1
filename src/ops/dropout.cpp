#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/visit.h"

namespace espquant::ops {
namespace {

/// Only inference: a network that still trains is refused unless its ratio is zero.
void infer_dropout(const InferContext& context) {
  if (context.has(2)) {
    const auto constant_of = [&](std::size_t i) {
      return context.has(i) ? context.inputs[i].constant : nullptr;
    };
    const Tensor* training = constant_of(2);
    const Tensor* ratio = constant_of(1);
    if (training == nullptr)
      unsupported("Dropout whose training_mode is not constant",
                  "Export the network in evaluation mode");
    if (training->dtype() != DType::Bool || training->size() != 1)
      malformed("training_mode must be one boolean");
    const bool drops = ratio == nullptr || ratio->size() != 1 ||
                       ratio->cast(DType::Float32).data<float>()[0] != 0.0F;
    if (training->data<bool>()[0] && drops)
      unsupported("Dropout in training mode", "Export the network in evaluation mode");
  }
  infer_map(context);
  // The mask had the type of the data before opset 10.
  set_output(context, 1, context.opset >= 10 ? DType::Bool : context.dtype(0), context.shape(0));
}

void run_dropout(const RunContext& context) {
  context.outputs[0] = context.in(0);
  if (context.outputs.size() < 2) return;
  visit_any(context.outputs[1].dtype(), [&]<typename T>(T) {
    for (T& kept : context.outputs[1].mutable_data<T>()) kept = T{1};
  });
}

}  // namespace

const OpDef kDropout{"Dropout", QuantRule::PassThrough, infer_dropout, run_dropout,
                     gradient_of_movement};

}  // namespace espquant::ops
