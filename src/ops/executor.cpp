#include "ops/executor.h"

#include <fmt/format.h>

#include <oneapi/dnnl/dnnl.hpp>

#include "ops/dnnl_primitives.h"
#include "ops/executor_plan.h"

namespace espquant::ops {

using exec::Form;
using exec::Slot;
using exec::SlotId;
using exec::Storage;

struct Executor::Impl {
  Graph graph;
  exec::Plan plan;

  const Slot& slot(SlotId s) const { return plan.slots[static_cast<std::size_t>(s)]; }
  const Storage& storage(SlotId s) const {
    return plan.storages[static_cast<std::size_t>(slot(s).storage)];
  }
};

struct Executor::Workspace::Impl {
  const Executor::Impl* executor;
  std::shared_ptr<std::byte[]> arena, scratch;
  std::vector<Tensor> tensors;  ///< by storage
  std::vector<std::function<void()>> calls;

  const Tensor& tensor(SlotId s) const {
    const Storage& storage = executor->storage(s);
    return storage.kind == Storage::Kind::Constant
               ? storage.constant
               : tensors[static_cast<std::size_t>(executor->slot(s).storage)];
  }

  float* arena_data(SlotId s) const {
    return reinterpret_cast<float*>(arena.get() + executor->storage(s).offset);
  }

  exec::Operand operand(SlotId s) const {
    if (s == kNone) return {};
    const Storage& storage = executor->storage(s);
    if (executor->slot(s).form == Form::Tensor) return {nullptr, &tensor(s)};
    if (storage.kind == Storage::Kind::Constant)
      return {storage.constant.data<float>().data(), nullptr};
    return {arena_data(s), nullptr};
  }

  exec::Result result(SlotId s) {
    if (s == kNone) return {};
    if (executor->slot(s).form == Form::Tensor)
      return {nullptr, &tensors[static_cast<std::size_t>(executor->slot(s).storage)]};
    return {arena_data(s), nullptr};
  }

  void show(SlotId s, const Observer& observe) const {
    const Slot& slot = executor->slot(s);
    const Shape& shape = *executor->graph.value(slot.value).shape;
    const bool channels_last = slot.form == Form::ChannelsLast;
    if (slot.form == Form::Tensor)
      observe({slot.value, tensor(s).data<float>(), shape, channels_last});
    else
      observe({slot.value,
               {arena_data(s), static_cast<std::size_t>(element_count(shape))},
               shape,
               channels_last});
  }
};

namespace {

void check_shapes(const Graph& graph) {
  const auto check = [&](ValueId v, const Node* node) {
    if (v == kNone || graph.value(v).shape) return;
    Error error(ErrorCode::Unsupported, "a value without a shape cannot be computed");
    error.tensor(graph.value(v).name).remedy("Run ops::infer_shapes on the graph first");
    if (node != nullptr) error.node(node->name);
    throw error;
  };
  for (ValueId v : graph.inputs()) check(v, nullptr);
  for (NodeId n : graph.topological_order()) {
    for (ValueId v : graph.node(n).inputs) check(v, &graph.node(n));
    for (ValueId v : graph.node(n).outputs) check(v, &graph.node(n));
  }
}

void check_input(const Value& expected, const Tensor& given) {
  if (given.dtype() == expected.dtype && given.shape() == *expected.shape) return;
  throw Error(ErrorCode::BadData,
              fmt::format("the input is {} of shape {}, the network takes {} of shape {}",
                          to_string(given.dtype()), to_string(given.shape()),
                          to_string(expected.dtype), to_string(*expected.shape)))
      .tensor(expected.name)
      .remedy("Convert or reshape the data to what the network takes");
}

}  // namespace

Executor::Executor(const Graph& graph, Options options) : impl_(std::make_unique<Impl>()) {
  check_shapes(graph);
  const exec::SingleThreaded single;
  impl_->graph = graph;
  impl_->plan = exec::make_plan(impl_->graph, options.reference, options.observe_all);
}

Executor::~Executor() = default;

const Graph& Executor::graph() const { return impl_->graph; }

std::size_t Executor::workspace_bytes() const {
  return impl_->plan.arena_bytes + impl_->plan.scratch_bytes;
}

std::string Executor::describe() const {
  const auto form = [&](SlotId s) {
    if (s == kNone) return "-";
    switch (impl_->slot(s).form) {
      case Form::Tensor:
        return "tensor";
      case Form::Plain:
        return "plain";
      case Form::ChannelsLast:
        return "channels-last";
    }
    return "";
  };
  std::string text;
  for (const exec::Step& step : impl_->plan.steps) {
    const Slot& to = impl_->slot(step.outputs.front());
    text += fmt::format("{} '{}': {}, {} to {}\n",
                        step.node == kNone ? "(layout)" : impl_->graph.node(step.node).op,
                        impl_->graph.value(to.value).name, step.kernel->name(),
                        step.inputs.empty() ? "nothing" : form(step.inputs.front()),
                        form(step.outputs.front()));
  }
  return text;
}

Executor::Workspace::Workspace(const Executor& executor) : impl_(std::make_unique<Impl>()) {
  const exec::Plan& plan = executor.impl_->plan;
  impl_->executor = executor.impl_.get();
  impl_->arena = allocate_bytes(plan.arena_bytes);
  impl_->scratch = allocate_bytes(plan.scratch_bytes);
  impl_->tensors.resize(plan.storages.size());
  for (const exec::Step& step : plan.steps) {
    std::vector<exec::Operand> inputs;
    for (SlotId s : step.inputs) inputs.push_back(impl_->operand(s));
    std::vector<exec::Result> outputs;
    for (SlotId s : step.outputs) outputs.push_back(impl_->result(s));
    impl_->calls.push_back(step.kernel->bind({inputs, outputs, impl_->scratch.get()}));
  }
}

Executor::Workspace::~Workspace() = default;
Executor::Workspace::Workspace(Workspace&&) noexcept = default;

Tensor Executor::View::to_tensor() const {
  if (!channels_last) return Tensor::of<float>(shape, data);
  std::vector<std::int64_t> to_onnx{0, static_cast<std::int64_t>(shape.size()) - 1};
  for (std::int64_t i = 1; i + 1 < static_cast<std::int64_t>(shape.size()); ++i)
    to_onnx.push_back(i);
  return Tensor::of<float>(exec::stored_shape(shape, Form::ChannelsLast), data).transposed(to_onnx);
}

std::vector<Tensor> Executor::run(std::span<const Tensor> inputs, Workspace& workspace,
                                  const Observer& observe) const {
  Workspace::Impl& ws = *workspace.impl_;
  const exec::Plan& plan = impl_->plan;
  ESPQUANT_ASSERT(ws.executor == impl_.get(), "workspace of another executor");
  if (inputs.size() != plan.inputs.size())
    throw Error(ErrorCode::BadData, fmt::format("{} inputs given, the network takes {}",
                                                inputs.size(), plan.inputs.size()));
  const exec::SingleThreaded single;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Slot& slot = impl_->slot(plan.inputs[i]);
    check_input(impl_->graph.value(slot.value), inputs[i]);
    ws.tensors[static_cast<std::size_t>(slot.storage)] = inputs[i];
  }
  if (observe)
    for (SlotId s : plan.observed) ws.show(s, observe);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const exec::Step& step = plan.steps[i];
    const auto name = [&] {
      return step.node == kNone ? std::string() : impl_->graph.node(step.node).name;
    };
    try {
      ws.calls[i]();
    } catch (Error& e) {
      if (e.node().empty()) e.node(name());
      throw;
    } catch (const dnnl::error& e) {
      throw Error(ErrorCode::Internal, fmt::format("oneDNN: {}", e.what())).node(name());
    }
    if (observe)
      for (SlotId s : step.observed) ws.show(s, observe);
    for (exec::StorageId s : step.released) ws.tensors[static_cast<std::size_t>(s)] = {};
  }
  std::vector<Tensor> outputs;
  for (SlotId s : plan.outputs) outputs.push_back(ws.tensor(s));
  for (Tensor& t : ws.tensors) t = {};
  return outputs;
}

}  // namespace espquant::ops
