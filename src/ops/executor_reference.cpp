#include "ops/executor_reference.h"

#include "ops/op.h"

namespace espquant::ops::exec {
namespace {

class ReferenceKernel final : public Kernel {
 public:
  ReferenceKernel(const Graph& graph, const Node& node)
      : op_(op_of(node)), node_(node), opset_(graph.opset) {
    for (ValueId v : node.outputs)
      outputs_.push_back(v == kNone ? InferOutput{}
                                    : InferOutput{graph.value(v).dtype, *graph.value(v).shape, {}});
  }

  std::function<void()> bind(const Binding& binding) const override {
    std::vector<const Tensor*> inputs;
    for (const Operand& in : binding.inputs) inputs.push_back(in.tensor);
    std::vector<Tensor*> results;
    for (const Result& out : binding.outputs) results.push_back(out.tensor);
    return
        [this, inputs = std::move(inputs), results = std::move(results)] { run(inputs, results); };
  }

  std::string name() const override { return "reference"; }

 private:
  void run(std::span<const Tensor* const> inputs, std::span<Tensor* const> results) const {
    std::vector<Tensor> outputs(outputs_.size());
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (outputs_[i].dtype != DType::Undefined)
        outputs[i] = Tensor(outputs_[i].dtype, outputs_[i].shape);
    op_.run({node_, opset_, inputs, outputs});
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (results[i] != nullptr) *results[i] = std::move(outputs[i]);
  }

  const OpDef& op_;
  Node node_;
  std::int64_t opset_;
  std::vector<InferOutput> outputs_;
};

}  // namespace

void lower_reference(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  Step step;
  step.node = n;
  for (ValueId v : node.inputs)
    step.inputs.push_back(v == kNone ? kNone : plan.require(v, Form::Tensor));
  for (ValueId v : node.outputs)
    step.outputs.push_back(v == kNone ? kNone : plan.define(v, Form::Tensor));
  step.kernel = std::make_shared<ReferenceKernel>(plan.graph(), node);
  plan.add_step(std::move(step));
}

}  // namespace espquant::ops::exec
