#include "sim/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/cancel.h"
#include "sim/made_for.h"
#include "sim/memory_plan.h"
#include "sim/prepare.h"
#include "sim/work_limit.h"

namespace espquant::sim {
namespace {

Error without_producer(const std::string& name) {
  return Error(ErrorCode::Malformed, "it is read but nothing before that point produces it")
      .tensor(name)
      .remedy("Nodes must be stored in order of execution");
}

const Target& chip_of(const espdl::Model& model) {
  const std::string named = model.metadata_value("target");
  if (!named.empty()) return find_target(named);
  bool plain_filters = false;
  for (const espdl::Constant& constant : model.initializers) {
    if (constant.exponents.size() > 1) return representative(Family::P4);
    plain_filters |= constant.doc == "layout ==> NHWC" || constant.doc == "layout ==> NWC" ||
                     constant.doc == "layout ==> HWCN" || constant.doc == "layout ==> WCN";
  }
  return plain_filters ? find_target("c") : representative(Family::S3);
}

}  // namespace

const Target& target_of(const espdl::Model& model, std::string_view chip,
                        std::string_view release) {
  const Target& target = chip.empty() ? chip_of(model) : find_target(chip);
  const std::string made_for = model.metadata_value("espquant.espdl");
  if (release.empty()) release = made_for;
  return release.empty() ? target : target.under(find_release(release));
}

Program::Program(const espdl::Model& model, const Target& target, Options options)
    : model_(model), target_(target), options_(options) {
  std::map<std::string_view, const espdl::Constant*> constants;
  for (const espdl::Constant& c : model.initializers) constants.emplace(c.name, &c);
  std::map<std::string_view, const espdl::ValueInfo*> values;
  for (const espdl::ValueInfo& v : model.values) values.emplace(v.name, &v);

  for (const std::string& name : model.inputs) {
    const auto value = values.find(name);
    if (value == values.end())
      throw Error(ErrorCode::Malformed, "the model does not describe this input").tensor(name);
    inputs_.push_back(add_tensor(name, describe(*value->second)));
  }
  steps_.reserve(model.nodes.size());
  for (const espdl::Node& node : model.nodes) {
    try {
      prepare_step(node, constants, values);
    } catch (Error& error) {
      if (error.node().empty()) error.node(node.name);
      throw;
    }
  }
  double multiplications = 0;
  for (const Step& step : steps_) {
    std::vector<TensorDesc> inputs, outputs;
    for (std::size_t i = 0; i < step.inputs.size(); ++i)
      inputs.push_back(step.constants[i] != nullptr ? describe(*step.constants[i])
                       : step.inputs[i] == kNone    ? TensorDesc{}
                                                    : tensors_[step.inputs[i]].desc);
    for (const std::size_t t : step.outputs) outputs.push_back(tensors_[t].desc);
    multiplications += multiplications_of(*step.node, inputs, outputs);
    if (multiplications > kMostMultiplications)
      throw Error(ErrorCode::BadData,
                  fmt::format("up to here one run takes more than {:.0e} multiplications",
                              kMostMultiplications))
          .node(step.node->name)
          .remedy("No chip computes that in minutes: check the shape of the model's input");
  }
  for (const std::string& name : model.outputs) {
    const auto entry = index_.find(name);
    if (entry == index_.end()) throw without_producer(name);
    outputs_.push_back(entry->second);
  }
  plan_memory();
}

Program::~Program() = default;

std::size_t Program::add_tensor(const std::string& name, TensorDesc desc) {
  check_desc(name, desc);
  const auto [entry, fresh] = index_.emplace(name, tensors_.size());
  if (!fresh)
    throw Error(ErrorCode::Malformed, "it is produced twice")
        .tensor(name)
        .remedy("Export the model again");
  tensors_.push_back({name, std::move(desc)});
  return entry->second;
}

void Program::prepare_step(const espdl::Node& node,
                           const std::map<std::string_view, const espdl::Constant*>& constants,
                           const std::map<std::string_view, const espdl::ValueInfo*>& values) {
  const Operator& op = find_operator(node);
  if (const FeatureFact* missing = missing_feature(node, target_)) throw lacking(*missing, target_);
  Step step;
  step.node = &node;

  std::vector<TensorDesc> inputs;
  for (const std::string& name : node.inputs) {
    const espdl::Constant* constant = nullptr;
    std::size_t tensor = kNone;
    TensorDesc desc;
    if (const auto c = constants.find(name); c != constants.end()) {
      constant = c->second;
      desc = describe(*constant);
      // Parameters behind the first operand may be empty: Resize's roi.
      if (inputs.empty()) check_desc(name, desc);
    } else if (const auto t = index_.find(name); t != index_.end()) {
      tensor = t->second;
      desc = tensors_[tensor].desc;
      step.activation_inputs.push_back(tensor);
    } else if (!name.empty()) {
      throw without_producer(name);
    }
    step.constants.push_back(constant);
    step.inputs.push_back(tensor);
    inputs.push_back(std::move(desc));
  }

  std::vector<TensorDesc> declared;
  for (const std::string& name : node.outputs) {
    const auto value = values.find(name);
    declared.push_back(value == values.end() ? TensorDesc{} : describe(*value->second));
  }

  Prepared prepared =
      op.prepare({model_, node, inputs, step.constants, declared, target_, options_});
  ESPQUANT_ASSERT(prepared.kernel != nullptr, "an operator was prepared without a kernel");
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty()) {
      step.all_outputs.push_back(kNone);
      continue;
    }
    if (i >= prepared.outputs.size())
      throw Error(ErrorCode::Unsupported, fmt::format("{} has no output {}", node.op, i))
          .tensor(node.outputs[i]);
    const std::size_t tensor = add_tensor(node.outputs[i], std::move(prepared.outputs[i]));
    step.all_outputs.push_back(tensor);
    step.outputs.push_back(tensor);
  }
  for (std::string& fault : prepared.faults) faults_.push_back({node.name, std::move(fault)});
  step.kernel = std::move(prepared.kernel);
  steps_.push_back(std::move(step));
}

void Program::refresh(std::size_t node) {
  Step& step = steps_.at(node);
  std::vector<TensorDesc> inputs, declared;
  for (std::size_t i = 0; i < step.inputs.size(); ++i) {
    if (step.constants[i] != nullptr)
      inputs.push_back(describe(*step.constants[i]));
    else
      inputs.push_back(step.inputs[i] == kNone ? TensorDesc{} : tensors_[step.inputs[i]].desc);
  }
  for (std::size_t t : step.all_outputs)
    declared.push_back(t == kNone ? TensorDesc{} : tensors_[t].desc);
  step.kernel =
      find_operator(*step.node)
          .prepare({model_, *step.node, inputs, step.constants, declared, target_, options_})
          .kernel;
}

std::size_t Program::tensor_index(std::string_view name) const {
  const auto entry = index_.find(name);
  if (entry == index_.end())
    throw Error(ErrorCode::Malformed, fmt::format("the model has no activation '{}'", name));
  return entry->second;
}

void Program::plan_memory() {
  std::vector<Lifetime> lifetimes;
  lifetimes.reserve(tensors_.size());
  for (const TensorSlot& tensor : tensors_) lifetimes.push_back({tensor.desc.byte_size(), 0, 0});
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    for (std::size_t t : steps_[s].outputs) lifetimes[t].begin = lifetimes[t].end = s;
    for (std::size_t t : steps_[s].activation_inputs) lifetimes[t].end = s;
  }
  // What the caller sets or reads must survive the whole run.
  for (std::size_t t : inputs_) lifetimes[t].end = steps_.size();
  for (std::size_t t : outputs_) lifetimes[t].end = steps_.size();

  const MemoryPlan plan = plan_buffers(lifetimes);
  arena_size_ = plan.size;
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    tensors_[t].shared_offset = plan.offsets[t];
    tensors_[t].offset = full_size_;
    full_size_ += aligned_size(lifetimes[t].size);
  }
}

void Program::lay_out(const MemoryLayout& layout) {
  for (TensorSlot& tensor : tensors_) {
    const auto place = layout.offsets.find(tensor.name);
    ESPQUANT_ASSERT(place != layout.offsets.end(), "a layout misses a tensor: " + tensor.name);
    ESPQUANT_ASSERT(place->second + tensor.desc.byte_size() <= layout.size,
                    "a tensor lies outside of its memory: " + tensor.name);
    tensor.planned_offset = place->second;
  }
  planned_size_ = layout.size;
  laid_out_ = true;
}

Program::Frame::Frame(const Program& program, bool keep_all) : program_(program) {
  keep_all |= program.laid_out_;
  const std::size_t size = keep_all ? program.full_size_ : program.arena_size_;
  arena_ = allocate_bytes(size);
  for (const TensorSlot& tensor : program.tensors_)
    address_.push_back(arena_.get() + (keep_all ? tensor.offset : tensor.shared_offset));
  for (const Step& step : program.steps_) {
    StepArgs args;
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      if (step.constants[i] != nullptr)
        args.inputs.push_back(step.constants[i]->data.bytes().data());
      else
        args.inputs.push_back(step.inputs[i] == kNone ? nullptr : address_[step.inputs[i]]);
    }
    for (std::size_t t : step.all_outputs)
      args.outputs.push_back(t == kNone ? nullptr : address_[t]);
    args_.push_back(std::move(args));
  }
  if (program.laid_out_) make_planned_memory();
}

/// Kernels take aligned operands that their outputs do not overlap, which the chip's memory does
/// not give: a node reads copies of what lies there, and what it wrote is copied back.
void Program::Frame::make_planned_memory() {
  planned_ = allocate_bytes(program_.planned_size_);
  std::size_t largest = 0;
  for (const Step& step : program_.steps_) {
    std::size_t size = 0;
    for (std::size_t t : step.inputs)
      if (t != kNone) size += aligned_size(program_.desc(t).byte_size());
    largest = std::max(largest, size);
  }
  operands_ = allocate_bytes(largest);
  for (std::size_t n = 0; n < args_.size(); ++n) {
    std::byte* next = operands_.get();
    for (std::size_t i = 0; i < args_[n].inputs.size(); ++i) {
      const std::size_t t = program_.steps_[n].inputs[i];
      if (t == kNone) continue;
      args_[n].inputs[i] = next;
      next += aligned_size(program_.desc(t).byte_size());
    }
  }
}

void Program::Frame::load_from_plan(std::size_t node) {
  if (node == 0)
    for (std::size_t t : program_.inputs_)
      std::memcpy(planned_.get() + program_.tensors_[t].planned_offset, address_[t],
                  program_.desc(t).byte_size());
  std::byte* next = operands_.get();
  for (std::size_t t : program_.steps_[node].inputs) {
    if (t == kNone) continue;
    std::memcpy(next, planned_.get() + program_.tensors_[t].planned_offset,
                program_.desc(t).byte_size());
    next += aligned_size(program_.desc(t).byte_size());
  }
}

void Program::Frame::store_to_plan(std::size_t node) {
  for (std::size_t t : program_.steps_[node].outputs)
    std::memcpy(planned_.get() + program_.tensors_[t].planned_offset, address_[t],
                program_.desc(t).byte_size());
  if (node + 1 < program_.steps_.size()) return;
  for (std::size_t t : program_.outputs_)
    std::memcpy(address_[t], planned_.get() + program_.tensors_[t].planned_offset,
                program_.desc(t).byte_size());
}

std::span<std::byte> Program::Frame::bytes(std::size_t tensor) {
  return {address_[tensor], program_.desc(tensor).byte_size()};
}

Tensor Program::Frame::tensor(std::size_t tensor) const {
  const TensorDesc& desc = program_.desc(tensor);
  Tensor copy(desc.dtype, desc.shape);
  if (copy.byte_size() > 0)
    std::memcpy(copy.mutable_bytes().data(), address_[tensor], copy.byte_size());
  return copy;
}

void Program::Frame::set(std::size_t tensor, const Tensor& value) {
  const TensorDesc& desc = program_.desc(tensor);
  if (value.dtype() != desc.dtype || value.shape() != desc.shape)
    throw Error(ErrorCode::BadData,
                fmt::format("{} {} was given, {} {} is expected", to_string(value.dtype()),
                            to_string(value.shape()), to_string(desc.dtype), to_string(desc.shape)))
        .tensor(program_.tensor_name(tensor));
  if (value.byte_size() > 0) std::memcpy(address_[tensor], value.bytes().data(), value.byte_size());
}

void Program::Frame::run() {
  for (std::size_t n = 0; n < program_.steps_.size(); ++n) run_step(n);
}

void Program::Frame::run_node(std::size_t node) { run_step(node); }

void Program::Frame::run_step(std::size_t node) {
  throw_if_cancelled();
  workspace_.saturation = saturation != nullptr ? &(*saturation)[node] : nullptr;
  if (planned_ != nullptr) load_from_plan(node);
  program_.steps_[node].kernel->run({args_[node].inputs, args_[node].outputs, workspace_});
  if (planned_ != nullptr) store_to_plan(node);
}

void Program::Frame::reset() { workspace_.reset(); }

}  // namespace espquant::sim
