#include "strategy/stepped_run.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/fixed_point.h"
#include "base/parallel.h"

namespace espquant::strategy {
namespace {

// Elements whose sums over all samples are made together: they stay in the cache.
constexpr std::size_t kSumBlock = 4096;

/// Where the input of a weighted layer stands on the chip.
struct InputPlace {
  std::size_t tensor = 0;
  bool channels_last = false;
};

// Nothing where it stands in an order that means cannot be read in.
std::optional<InputPlace> locate_input(const Graph& graph, const Node& n,
                                       const lower::Lowered& lowered, const sim::Program& program) {
  const Value& input = graph.value(n.inputs[0]);
  const auto it = lowered.order.find(input.name);
  if (it == lowered.order.end()) return std::nullopt;
  const std::vector<std::int64_t>& order = it->second;
  const bool natural = std::is_sorted(order.begin(), order.end());
  std::vector<std::int64_t> channels_last(order.size());
  std::iota(channels_last.begin(), channels_last.end(), std::int64_t{0});
  if (order.size() >= 3)
    std::rotate(channels_last.begin() + 1, channels_last.begin() + 2, channels_last.end());
  if (!natural && order != channels_last) return std::nullopt;
  const std::size_t tensor = program.tensor_index(input.name);
  const DType dtype = program.desc(tensor).dtype;
  if (dtype != DType::Int8 && dtype != DType::Int16) return std::nullopt;
  return InputPlace{tensor, !natural};
}

std::vector<float> mean_of(std::deque<sim::Program::Frame>& frames, const sim::Program& program,
                           std::size_t tensor) {
  const sim::TensorDesc& desc = program.desc(tensor);
  const float scale = pow2(desc.exponent()) / static_cast<float>(frames.size());
  std::vector<float> mean(static_cast<std::size_t>(element_count(desc.shape)));
  const std::size_t blocks = (mean.size() + kSumBlock - 1) / kSumBlock;
  parallel_for(static_cast<std::int64_t>(blocks), [&](std::int64_t block) {
    const std::size_t first = static_cast<std::size_t>(block) * kSumBlock;
    const std::size_t count = std::min(kSumBlock, mean.size() - first);
    std::array<std::int32_t, kSumBlock> sums{};
    const auto add = [&](const auto* q) {
      for (std::size_t i = 0; i < count; ++i) sums[i] += q[first + i];
    };
    for (sim::Program::Frame& frame : frames) {
      const std::byte* stored = frame.bytes(tensor).data();
      if (desc.dtype == DType::Int8)
        add(reinterpret_cast<const std::int8_t*>(stored));
      else
        add(reinterpret_cast<const std::int16_t*>(stored));
    }
    for (std::size_t i = 0; i < count; ++i) mean[first + i] = static_cast<float>(sums[i]) * scale;
  });
  return mean;
}

/// Puts the bias of a graph's layer into the model's constant. False where its field cannot hold
/// it; nothing is changed then.
bool store_bias(const Graph& graph, const Node& n, const Target& target, espdl::Model& model,
                const espdl::Node& lowered) {
  const auto constant =
      std::find_if(model.initializers.begin(), model.initializers.end(),
                   [&](const espdl::Constant& c) { return c.name == lowered.inputs.at(2); });
  ESPQUANT_ASSERT(constant != model.initializers.end(), "a layer's bias is not in the model");
  try {
    const Tensor integers = lower::lower_bias(graph, n, target);
    const auto bytes = integers.bytes();
    std::copy(bytes.begin(), bytes.end(), constant->data.mutable_bytes().begin());
  } catch (const Error&) {
    return false;
  }
  return true;
}

/// A model's constants and tensors by name.
class Names {
 public:
  explicit Names(const espdl::Model& model) {
    for (const espdl::Constant& c : model.initializers) constants_.emplace(c.name, &c);
    for (const espdl::ValueInfo& v : model.values) values_.emplace(v.name, &v);
  }

  const espdl::Constant* constant(std::string_view name) const { return find(constants_, name); }
  const espdl::ValueInfo* value(std::string_view name) const { return find(values_, name); }

 private:
  template <typename T>
  static const T* find(const std::map<std::string_view, const T*>& all, std::string_view name) {
    const auto it = all.find(name);
    return it == all.end() ? nullptr : it->second;
  }

  std::map<std::string_view, const espdl::Constant*> constants_;
  std::map<std::string_view, const espdl::ValueInfo*> values_;
};

template <typename T>
bool equal_or_both_missing(const T* a, const T* b) {
  return a == nullptr || b == nullptr ? a == b : *a == *b;
}

/// Whether node `n` of both models is the same, with the same constants and outputs.
bool is_same_node(const espdl::Node& a, const Names& in_a, const espdl::Node& b,
                  const Names& in_b) {
  return a == b &&
         std::all_of(a.inputs.begin(), a.inputs.end(),
                     [&](const std::string& name) {
                       return equal_or_both_missing(in_a.constant(name), in_b.constant(name));
                     }) &&
         std::all_of(a.outputs.begin(), a.outputs.end(), [&](const std::string& name) {
           return equal_or_both_missing(in_a.value(name), in_b.value(name));
         });
}

bool have_same_ports(const espdl::Model& a, const Names& in_a, const espdl::Model& b,
                     const Names& in_b) {
  return a.inputs == b.inputs && a.outputs == b.outputs &&
         std::all_of(a.inputs.begin(), a.inputs.end(), [&](const std::string& name) {
           return equal_or_both_missing(in_a.value(name), in_b.value(name));
         });
}

/// The last node behind which a tensor of `model` is still in its buffer, by name, for those that
/// are there before node `position`.
std::map<std::string_view, std::size_t> last_seen(const espdl::Model& model, std::size_t position) {
  std::map<std::string_view, std::size_t> last;
  for (const std::string& name : model.inputs) last[name] = model.nodes.size();
  for (std::size_t n = 0; n < model.nodes.size(); ++n) {
    for (const std::string& name : model.nodes[n].inputs)
      if (const auto it = last.find(name); it != last.end()) it->second = std::max(it->second, n);
    if (n >= position) continue;
    for (const std::string& name : model.nodes[n].outputs) last.emplace(name, n);
  }
  for (const std::string& name : model.outputs)
    if (const auto it = last.find(name); it != last.end()) it->second = model.nodes.size();
  return last;
}

}  // namespace

SteppedRun::SteppedRun(Candidate draft, const quant::Plan& plan, const Target& target,
                       const FloatRun& run, bool match_means)
    : drafted_(draft.lowered.model),
      candidate_(std::move(draft)),
      plan_(plan),
      target_(target),
      run_(run),
      match_means_(match_means) {
  find_layers();
  prepare();
  feed();
}

SteppedRun::SteppedRun(Candidate draft, SteppedRun& trunk)
    : drafted_(draft.lowered.model),
      candidate_(std::move(draft)),
      plan_(trunk.plan_),
      target_(trunk.target_),
      run_(trunk.run_),
      match_means_(trunk.match_means_),
      position_(trunk.position_) {
  find_layers();
  take_biases(trunk);
  prepare();
  // At the start nothing is shared, perhaps not even the width of the inputs.
  if (position_ == 0)
    feed();
  else
    take_tensors(trunk);
}

void SteppedRun::find_layers() {
  if (!match_means_) return;
  wanted_ = quant::mean_outputs(candidate_.scaled, plan_, run_.layers, candidate_.factors);
  espdl::Model& model = candidate_.lowered.model;
  std::map<std::string_view, std::size_t> index;
  for (std::size_t n = 0; n < model.nodes.size(); ++n) index.emplace(model.nodes[n].name, n);
  std::map<std::string_view, espdl::Constant*> constants;
  for (espdl::Constant& c : model.initializers) constants.emplace(c.name, &c);
  for (const auto& [id, unused] : wanted_) {
    const Node& n = candidate_.graph.node(id);
    const auto it = index.find(n.name);
    // A layer to which no bias was worth giving stays without.
    if (it == index.end() || n.input(2) == kNone) continue;
    layers_.emplace(it->second, id);
    // Shared with the draft until it is written to; programs need it to stay where it is.
    (void)constants.at(model.nodes[it->second].inputs.at(2))->data.mutable_bytes();
  }
}

void SteppedRun::prepare() {
  program_ = std::make_unique<sim::Program>(candidate_.lowered.model, target_);
  network_ = std::make_unique<SimulatedNetwork>(*program_, candidate_.graph);
  for (std::size_t s = 0; s < run_.inputs.size(); ++s) frames_.emplace_back(*program_);
}

void SteppedRun::feed() {
  parallel_for(static_cast<std::int64_t>(frames_.size()), [&](std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    network_->feed(run_.inputs[s], frames_[s]);
  });
}

std::size_t SteppedRun::shared_nodes(const Candidate& draft) const {
  const espdl::Model& other = draft.lowered.model;
  const Names mine(drafted_), others(other);
  if (!have_same_ports(drafted_, mine, other, others)) return 0;
  quant::MeanOutputs wanted;
  if (match_means_) wanted = quant::mean_outputs(draft.scaled, plan_, run_.layers, draft.factors);

  const auto has_same_aim = [&](std::size_t node) {
    const auto layer = layers_.find(node);
    return layer == layers_.end() || wanted_.at(layer->second) == wanted.at(layer->second);
  };
  std::size_t shared = 0;
  while (shared < std::min(drafted_.nodes.size(), other.nodes.size()) &&
         is_same_node(drafted_.nodes[shared], mine, other.nodes[shared], others) &&
         has_same_aim(shared))
    ++shared;

  // What the rest of the other reads must not have made room for something else here.
  const auto last = last_seen(drafted_, shared);
  for (std::size_t n = other.nodes.size(); n-- > 0;) {
    if (n < shared) break;
    for (const std::string& name : other.nodes[n].inputs)
      if (const auto it = last.find(name); it != last.end())
        shared = std::min(shared, it->second + 1);
  }
  return shared;
}

void SteppedRun::take_biases(const SteppedRun& trunk) {
  espdl::Model& model = candidate_.lowered.model;
  for (const auto& [n, id] : layers_) {
    if (n >= position_) break;
    const std::string& name = model.nodes[n].inputs.at(2);
    const espdl::Constant* from = trunk.candidate_.lowered.model.find_initializer(name);
    const auto into = std::find_if(model.initializers.begin(), model.initializers.end(),
                                   [&](const espdl::Constant& c) { return c.name == name; });
    ESPQUANT_ASSERT(from != nullptr && into != model.initializers.end(), "a bias is missing");
    std::copy(from->data.bytes().begin(), from->data.bytes().end(),
              into->data.mutable_bytes().begin());
    const Graph& matched = trunk.candidate_.graph;
    candidate_.graph.value(candidate_.graph.node(id).inputs[2]).constant =
        matched.value(matched.node(id).inputs[2]).constant;
  }
}

void SteppedRun::take_tensors(SteppedRun& trunk) {
  std::vector<bool> present(program_->tensor_count(), false), needed = present;
  for (std::size_t t : program_->inputs()) present[t] = needed[t] = true;
  for (std::size_t t : program_->outputs()) needed[t] = true;
  for (std::size_t n = 0; n < program_->node_count(); ++n) {
    if (n < position_)
      for (std::size_t t : program_->node_outputs(n)) present[t] = true;
    else
      for (std::size_t t : program_->node_inputs(n)) needed[t] = true;
  }
  std::vector<std::pair<std::size_t, std::size_t>> copied;
  for (std::size_t t = 0; t < present.size(); ++t)
    if (present[t] && needed[t])
      copied.emplace_back(t, trunk.program_->tensor_index(program_->tensor_name(t)));
  parallel_for(static_cast<std::int64_t>(frames_.size()), [&](std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    for (const auto& [to, from] : copied) {
      const auto stored = trunk.frames_[s].bytes(from);
      std::copy(stored.begin(), stored.end(), frames_[s].bytes(to).begin());
    }
  });
}

void SteppedRun::match(std::size_t node, NodeId layer) {
  Graph& graph = candidate_.graph;
  const Node n = graph.node(layer);
  const auto place = locate_input(graph, n, candidate_.lowered, *program_);
  if (!place) return;
  Value& bias = graph.value(n.inputs[2]);
  const Tensor old = bias.constant;
  quant::correct_bias(
      graph, layer, wanted_.at(layer),
      quant::mean_under_weights(graph, n, mean_of(frames_, *program_, place->tensor),
                                place->channels_last));
  espdl::Model& model = candidate_.lowered.model;
  if (store_bias(graph, n, target_, model, model.nodes[node]))
    program_->refresh(node);
  else
    bias.constant = old;
}

void SteppedRun::advance(std::size_t position) {
  while (position_ < position) {
    if (const auto layer = layers_.find(position_); layer != layers_.end())
      match(layer->first, layer->second);
    // Up to the next layer samples do not meet.
    const auto next = layers_.upper_bound(position_);
    const std::size_t end = next == layers_.end() ? position : std::min(position, next->first);
    parallel_for(static_cast<std::int64_t>(frames_.size()), [&](std::int64_t i) {
      for (std::size_t n = position_; n < end; ++n)
        frames_[static_cast<std::size_t>(i)].run_node(n);
    });
    position_ = end;
  }
}

Candidate SteppedRun::finish() {
  advance(program_->node_count());
  candidate_.noise = {};
  for (std::size_t s = 0; s < frames_.size(); ++s) {
    const auto outputs = network_->read(frames_[s]);
    for (std::size_t o = 0; o < outputs.size(); ++o)
      candidate_.noise.add(outputs[o].data<float>(), run_.outputs[s][o].data<float>());
  }
  frames_.clear();
  network_.reset();
  program_.reset();
  return std::move(candidate_);
}

Candidate match_means(Candidate draft, const quant::Plan& plan, const Target& target,
                      const FloatRun& run) {
  return SteppedRun(std::move(draft), plan, target, run, true).finish();
}

}  // namespace espquant::strategy
