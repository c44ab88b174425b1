#include "schedule/dataflow.h"

#include "cost/arena.h"
#include "cost/in_place.h"

namespace espquant::schedule {

Dataflow::Dataflow(const espdl::Model& model) : model_(model), index_(model) {
  for (const auto& name : model.inputs) number(name);
  nodes_.resize(model.nodes.size());
  for (std::size_t n = 0; n < model.nodes.size(); ++n) {
    const auto& node = model.nodes[n];
    for (const auto& name : node.inputs) nodes_[n].inputs.push_back(number(name));
    for (const auto& name : node.outputs) {
      nodes_[n].outputs.push_back(number(name));
      if (nodes_[n].outputs.back() != kNoTensor) tensors_[nodes_[n].outputs.back()].producer = n;
    }
    nodes_[n].rule = row_rule(node, index_);
    if (cost::in_place_kind(node.op) == cost::InPlace::Alias && !nodes_[n].inputs.empty() &&
        nodes_[n].inputs[0] != kNoTensor)
      for (const std::size_t t : nodes_[n].outputs)
        tensors_[t].source = tensors_[nodes_[n].inputs[0]].source;
  }
  const auto read = [&](std::size_t tensor, std::size_t step) {
    for (const std::size_t t : {tensor, tensors_[tensor].source})
      tensors_[t].last_read = std::max(tensors_[t].last_read, step);
  };
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    for (const std::size_t t : nodes_[n].outputs)
      if (t != kNoTensor) read(t, n);
    for (const std::size_t t : nodes_[n].inputs)
      if (t != kNoTensor) read(t, n);
  }
  for (const auto& name : model.outputs)
    if (const auto at = numbers_.find(name); at != numbers_.end()) read(at->second, kForever);
  const Visible visible(model);
  for (auto& tensor : tensors_) tensor.is_visible = visible.contains(tensor.value->name);
}

std::size_t Dataflow::number(const std::string& name) {
  if (name.empty() || index_.initializer(name) != nullptr) return kNoTensor;
  if (const auto at = numbers_.find(name); at != numbers_.end()) return at->second;
  const auto* value = index_.value(name);
  if (value == nullptr)
    throw Error(ErrorCode::Malformed, "the file gives no type and shape of a tensor").tensor(name);
  FlowTensor tensor;
  tensor.value = value;
  tensor.bytes = cost::aligned_size(static_cast<std::size_t>(element_count(value->shape)) *
                                    std::max<std::size_t>(size_of(value->dtype), 1));
  tensor.source = tensors_.size();
  numbers_.emplace(value->name, tensors_.size());
  tensors_.push_back(tensor);
  return tensors_.size() - 1;
}

std::size_t Dataflow::bytes_between(std::size_t step) const {
  std::size_t sum = 0;
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    const FlowTensor& tensor = tensors_[t];
    const bool is_there = !tensor.producer || *tensor.producer < step;
    if (tensor.source == t && is_there && tensor.last_read >= step) sum += tensor.bytes;
  }
  return sum;
}

}  // namespace espquant::schedule
