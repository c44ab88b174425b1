#include "tests/fuzz/arena_replay.h"

#include <algorithm>
#include <cstring>

#include "sim/prepare.h"

namespace espquant::test {

ArenaReplay::ArenaReplay(const espdl::Model& model, const Target& target,
                         const sim::Options& options)
    : model_(model) {
  const cost::MemoryPlan plan = cost::plan_memory(model, target);
  for (const auto& tensor : plan.tensors) places_[tensor.name] = {tensor.memory, tensor.offset, {}};
  // Kernels may read a vector beyond the end of a tensor.
  constexpr std::size_t kSlack = 256;
  internal_.resize(plan.internal_bytes + kSlack);
  psram_.resize(plan.psram_bytes + kSlack);
  for (const auto& name : model.inputs)
    places_.at(name).desc = sim::describe(*model.find_value(name));
  for (const auto& node : model.nodes) prepare(node, target, options);
}

void ArenaReplay::prepare(const espdl::Node& node, const Target& target,
                          const sim::Options& options) {
  Step step{&node, {}, nullptr};
  std::vector<sim::TensorDesc> inputs, declared;
  for (const auto& name : node.inputs) {
    const auto* constant = model_.find_initializer(name);
    step.constants.push_back(constant);
    if (constant != nullptr)
      inputs.push_back(sim::describe(*constant));
    else
      inputs.push_back(name.empty() ? sim::TensorDesc{} : places_.at(name).desc);
  }
  for (const auto& name : node.outputs) {
    const auto* value = model_.find_value(name);
    declared.push_back(value == nullptr ? sim::TensorDesc{} : sim::describe(*value));
  }
  sim::Prepared prepared = sim::find_operator(node).prepare(
      {model_, node, inputs, step.constants, declared, target, options});
  for (std::size_t i = 0; i < node.outputs.size(); ++i)
    if (!node.outputs[i].empty()) places_.at(node.outputs[i]).desc = prepared.outputs.at(i);
  step.kernel = std::move(prepared.kernel);
  steps_.push_back(std::move(step));
}

std::byte* ArenaReplay::address(const Place& place) {
  return (place.memory == cost::Memory::Internal ? internal_ : psram_).data() + place.offset;
}

/// Kernels want their outputs elsewhere than their inputs; what the chip writes in place, element
/// after element, lands there afterwards.
void ArenaReplay::run(const Step& step) {
  const espdl::Node& node = *step.node;
  std::vector<const std::byte*> inputs;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (step.constants[i] != nullptr)
      inputs.push_back(step.constants[i]->data.bytes().data());
    else
      inputs.push_back(node.inputs[i].empty() ? nullptr : address(places_.at(node.inputs[i])));
  }
  std::vector<Tensor> results;
  std::vector<std::byte*> outputs;
  for (const auto& name : node.outputs) {
    results.emplace_back();
    if (!name.empty()) {
      const auto& desc = places_.at(name).desc;
      results.back() = Tensor(desc.dtype, desc.shape);
    }
    outputs.push_back(name.empty() ? nullptr : results.back().mutable_bytes().data());
  }
  step.kernel->run({inputs, outputs, workspace_});
  for (std::size_t i = 0; i < results.size(); ++i)
    if (!node.outputs[i].empty() && results[i].byte_size() > 0)
      std::memcpy(address(places_.at(node.outputs[i])), results[i].bytes().data(),
                  results[i].byte_size());
}

std::map<std::string, Tensor> ArenaReplay::run(const std::map<std::string, Tensor>& inputs) {
  for (const auto& name : model_.inputs) {
    const Tensor& value = inputs.at(name);
    std::memcpy(address(places_.at(name)), value.bytes().data(), value.byte_size());
  }
  for (const Step& step : steps_) run(step);
  std::map<std::string, Tensor> outputs;
  for (const auto& name : model_.outputs) {
    const Place& place = places_.at(name);
    Tensor value(place.desc.dtype, place.desc.shape);
    std::memcpy(value.mutable_bytes().data(), address(place), value.byte_size());
    outputs.emplace(name, std::move(value));
  }
  return outputs;
}

}  // namespace espquant::test
