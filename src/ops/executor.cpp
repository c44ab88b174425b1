#include "ops/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <numeric>
#include <oneapi/dnnl/dnnl.hpp>

#include "base/cancel.h"
#include "base/per_worker.h"
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
  bool keep_all = false;

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
  std::vector<Tensor> inputs;  ///< of the last run, if all values are kept
  std::vector<bool> altered;   ///< storages that are no longer as run() left them

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

  void compute(std::size_t step) {
    throw_if_cancelled();
    const NodeId node = executor->plan.steps[step].node;
    const auto name = [&] {
      return node == kNone ? std::string() : executor->graph.node(node).name;
    };
    try {
      calls[step]();
    } catch (Error& e) {
      if (e.node().empty()) e.node(name());
      throw;
    } catch (const dnnl::error& e) {
      if (e.status == dnnl_out_of_memory) throw std::bad_alloc();
      throw Error(ErrorCode::Internal, fmt::format("oneDNN: {}", e.what())).node(name());
    }
  }

  void replace(SlotId s, const View& view) {
    const Slot& slot = executor->slot(s);
    if (slot.form == Form::Tensor) {
      tensors[static_cast<std::size_t>(slot.storage)] = view.to_tensor();
    } else if (view.channels_last == (slot.form == Form::ChannelsLast) ||
               exec::layouts_coincide(view.shape)) {
      std::copy(view.data.begin(), view.data.end(), arena_data(s));
    } else {
      Tensor plain = view.to_tensor();
      if (!view.channels_last) {
        std::vector<std::int64_t> last(view.shape.size());
        std::iota(last.begin(), last.end(), 0);
        std::rotate(last.begin() + 1, last.begin() + 2, last.end());
        plain = plain.transposed(last);
      }
      const auto data = plain.data<float>();
      std::copy(data.begin(), data.end(), arena_data(s));
    }
  }

  std::span<float> elements(SlotId s) {
    const Slot& slot = executor->slot(s);
    if (slot.form == Form::Tensor)
      return tensors[static_cast<std::size_t>(slot.storage)].mutable_data<float>();
    return {arena_data(s),
            static_cast<std::size_t>(element_count(*executor->graph.value(slot.value).shape))};
  }

  std::vector<Tensor> outputs() const {
    std::vector<Tensor> found;
    for (SlotId s : executor->plan.outputs) found.push_back(tensor(s));
    return found;
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
  impl_->keep_all = options.keep_all;
  impl_->plan =
      exec::make_plan(impl_->graph, options.reference, options.observe_all, options.keep_all);
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
    ws.compute(i);
    if (observe)
      for (SlotId s : step.observed) ws.show(s, observe);
    for (exec::StorageId s : step.released) ws.tensors[static_cast<std::size_t>(s)] = {};
  }
  std::vector<Tensor> outputs = ws.outputs();
  if (impl_->keep_all) {
    ws.inputs.assign(inputs.begin(), inputs.end());
    ws.altered.assign(plan.storages.size(), false);
  } else {
    for (Tensor& t : ws.tensors) t = {};
  }
  return outputs;
}

std::vector<Tensor> Executor::rerun(const View& view, Workspace& workspace) const {
  Workspace::Impl& ws = *workspace.impl_;
  const exec::Plan& plan = impl_->plan;
  ESPQUANT_ASSERT(ws.executor == impl_.get(), "workspace of another executor");
  ESPQUANT_ASSERT(impl_->keep_all, "rerun needs an executor that keeps all values");
  const auto home = std::find_if(plan.slots.begin(), plan.slots.end(),
                                 [&](const Slot& slot) { return slot.value == view.value; });
  ESPQUANT_ASSERT(home != plan.slots.end(), "no run computes the value");
  ESPQUANT_ASSERT(view.shape == *impl_->graph.value(view.value).shape, "another shape");
  ws.replace(static_cast<SlotId>(home - plan.slots.begin()), view);

  std::vector<bool> changed(plan.storages.size(), false);
  const auto storage_of = [&](SlotId s) {
    return static_cast<std::size_t>(impl_->slot(s).storage);
  };
  changed[static_cast<std::size_t>(home->storage)] = true;
  const exec::SingleThreaded single;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const exec::Step& step = plan.steps[i];
    if (std::none_of(step.inputs.begin(), step.inputs.end(),
                     [&](SlotId s) { return s != kNone && changed[storage_of(s)]; }))
      continue;
    ws.compute(i);
    for (SlotId s : step.outputs)
      if (s != kNone) changed[storage_of(s)] = true;
  }
  return ws.outputs();
}

std::vector<Tensor> Executor::run_altered(std::span<const ValueId> values, const Alteration& alter,
                                          Workspace& workspace) const {
  Workspace::Impl& ws = *workspace.impl_;
  const exec::Plan& plan = impl_->plan;
  ESPQUANT_ASSERT(ws.executor == impl_.get(), "workspace of another executor");
  ESPQUANT_ASSERT(impl_->keep_all && !ws.altered.empty(),
                  "alterations need a run that kept all values");
  const auto storage_of = [&](SlotId s) {
    return static_cast<std::size_t>(impl_->slot(s).storage);
  };
  // The first slot of a value is the one in which it is computed.
  std::vector<bool> wanted(plan.slots.size(), false);
  for (ValueId v : values) {
    const auto home = std::find_if(plan.slots.begin(), plan.slots.end(),
                                   [&](const Slot& slot) { return slot.value == v; });
    ESPQUANT_ASSERT(home != plan.slots.end(), "no run computes the value");
    wanted[static_cast<std::size_t>(home - plan.slots.begin())] = true;
  }
  std::vector<bool> changed(plan.storages.size(), false);
  const auto settle = [&](SlotId s) {
    if (!wanted[static_cast<std::size_t>(s)]) return;
    alter(impl_->slot(s).value, ws.elements(s));
    changed[storage_of(s)] = true;
  };
  for (std::size_t i = 0; i < plan.inputs.size(); ++i) {
    const SlotId s = plan.inputs[i];
    if (ws.altered[storage_of(s)]) ws.tensors[storage_of(s)] = ws.inputs[i];
    settle(s);
  }
  const exec::SingleThreaded single;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const exec::Step& step = plan.steps[i];
    const bool other_inputs = std::any_of(step.inputs.begin(), step.inputs.end(), [&](SlotId s) {
      return s != kNone && changed[storage_of(s)];
    });
    const auto is_output = [&](auto&& test) {
      return std::any_of(step.outputs.begin(), step.outputs.end(),
                         [&](SlotId s) { return s != kNone && test(s); });
    };
    const bool stale = is_output([&](SlotId s) { return ws.altered[storage_of(s)]; });
    const bool wants = is_output([&](SlotId s) { return wanted[static_cast<std::size_t>(s)]; });
    if (!other_inputs && !stale && !wants) continue;
    if (other_inputs || stale) ws.compute(i);
    for (SlotId s : step.outputs) {
      if (s == kNone) continue;
      if (other_inputs) changed[storage_of(s)] = true;
      settle(s);
    }
  }
  ws.altered = std::move(changed);
  return ws.outputs();
}

std::vector<std::vector<Tensor>> run_all(const Executor& executor,
                                         std::span<const std::vector<Tensor>> inputs) {
  PerWorker<Executor::Workspace> workspaces(executor);
  std::vector<std::vector<Tensor>> outputs(inputs.size());
  parallel_for(static_cast<std::int64_t>(inputs.size()), [&](std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    outputs[s] = executor.run(inputs[s], workspaces.mine());
  });
  return outputs;
}

}  // namespace espquant::ops
