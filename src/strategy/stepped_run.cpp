#include "strategy/stepped_run.h"

#include <algorithm>

#include "base/fixed_point.h"
#include "base/parallel.h"
#include "measure/output_comparison.h"
#include "quant/rounding.h"
#include "strategy/chip_input.h"

namespace espquant::strategy {
namespace {

espdl::Constant& constant_of(espdl::Model& model, const std::string& name) {
  const auto found = std::find_if(model.initializers.begin(), model.initializers.end(),
                                  [&](const espdl::Constant& c) { return c.name == name; });
  ESPQUANT_ASSERT(found != model.initializers.end(), "a layer's parameter is not in the model");
  return *found;
}

/// Puts elements in place of a constant's, where they stay.
void store_constant(const Tensor& elements, espdl::Model& model, const std::string& constant) {
  const auto bytes = elements.bytes();
  std::copy(bytes.begin(), bytes.end(), constant_of(model, constant).data.mutable_bytes().begin());
}

/// Puts the bias of a graph's layer into the model's constant. False where its field cannot hold
/// it; nothing is changed then.
bool store_bias(const Graph& graph, const Node& n, const Target& target, espdl::Model& model,
                const espdl::Node& lowered) {
  try {
    store_constant(lower::lower_bias(graph, n, target), model, lowered.inputs.at(2));
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
                       const FloatRun& run, bool match_means, InStep samples)
    : drafted_(draft.lowered.model),
      candidate_(std::move(draft)),
      plan_(plan),
      target_(target),
      run_(run),
      match_means_(match_means),
      samples_(samples) {
  find_layers();
  prepare();
}

void SteppedRun::go_on_from(SteppedRun& trunk) {
  position_ = trunk.position_;
  // At the start nothing is shared, perhaps not even the width of the inputs.
  if (position_ == 0) return;
  take_parameters(trunk);
  take_tensors(trunk);
}

void SteppedRun::find_layers() {
  if (!match_means_) return;
  wanted_ = quant::mean_outputs(candidate_.scaled, plan_, run_.layer_inputs, candidate_.factors);
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
    // Shared with the draft until they are written to; programs need them to stay where they are.
    for (std::size_t i : {1, 2})
      (void)constants.at(model.nodes[it->second].inputs.at(i))->data.mutable_bytes();
  }
}

void SteppedRun::prepare() {
  program_ = std::make_unique<sim::Program>(candidate_.lowered.model, target_);
  network_ = std::make_unique<measure::SimulatedNetwork>(*program_, candidate_.graph);
  const std::size_t count = samples_ == InStep::All ? run_.inputs.size() : run_.fitted;
  for (std::size_t s = 0; s < count; ++s)
    (s < run_.fitted ? frames_ : judged_).emplace_back(*program_);
  scratch_.resize(static_cast<std::size_t>(thread_count()));
}

void SteppedRun::for_each_frame(
    const std::function<void(std::size_t, sim::Program::Frame&)>& visit) {
  parallel_for(static_cast<std::int64_t>(sample_count()), [&](std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    visit(s, s < run_.fitted ? frames_[s] : judged_[s - run_.fitted]);
  });
}

void SteppedRun::feed() {
  if (position_ > 0 || fed_) return;
  fed_ = true;
  for_each_frame(
      [&](std::size_t s, sim::Program::Frame& frame) { network_->feed(run_.inputs[s], frame); });
}

std::size_t SteppedRun::shared_nodes(const SteppedRun& run) const {
  const espdl::Model& other = run.drafted_;
  const Names mine(drafted_), others(other);
  if (!have_same_ports(drafted_, mine, other, others) ||
      candidate_.fits_weights != run.candidate_.fits_weights)
    return 0;
  const auto has_same_aim = [&](std::size_t node) {
    const auto layer = layers_.find(node);
    return layer == layers_.end() || wanted_.at(layer->second) == run.wanted_.at(layer->second);
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

void SteppedRun::take_parameters(const SteppedRun& trunk) {
  espdl::Model& model = candidate_.lowered.model;
  const Names theirs(trunk.candidate_.lowered.model);
  const Graph& matched = trunk.candidate_.graph;
  for (const auto& [n, id] : layers_) {
    if (n >= position_) break;
    for (std::size_t i : {1, 2}) {
      const std::string& name = model.nodes[n].inputs.at(i);
      store_constant(theirs.constant(name)->data, model, name);
      candidate_.graph.value(candidate_.graph.node(id).inputs[i]).constant =
          matched.value(matched.node(id).inputs[i]).constant;
    }
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
  for_each_frame([&](std::size_t s, sim::Program::Frame& frame) {
    sim::Program::Frame& theirs =
        s < run_.fitted ? trunk.frames_[s] : trunk.judged_[s - run_.fitted];
    for (const auto& [to, from] : copied) {
      const auto stored = theirs.bytes(from);
      std::copy(stored.begin(), stored.end(), frame.bytes(to).begin());
    }
  });
}

void SteppedRun::match(std::size_t node, NodeId layer) {
  Graph& graph = candidate_.graph;
  const Node n = graph.node(layer);
  const lower::Lowered& lowered = candidate_.lowered;
  const auto input = ChipInput::of(
      graph, n, lower::input_order(graph, n, lowered.orders, lowered.model.nodes[node]), *program_);
  if (!input) return;
  const auto outputs = run_.layer_outputs.find(layer);
  const Tensor old_weights = graph.value(n.inputs[1]).constant;
  const Tensor old_bias = graph.value(n.inputs[2]).constant;
  const bool fit = graph.value(n.inputs[1]).quant->bits == 8 || run_.fits_wide;
  if (fit && outputs != run_.layer_outputs.end()) reconstruct(node, layer, *input, outputs->second);
  quant::correct_bias(graph, layer, wanted_.at(layer), input->mean_under_weights(frames_));
  espdl::Model& model = candidate_.lowered.model;
  if (!store_bias(graph, n, target_, model, model.nodes[node])) {
    // Fitted weights need the bias that goes with them.
    graph.value(n.inputs[1]).constant = old_weights;
    graph.value(n.inputs[2]).constant = old_bias;
    store_filter(node, n);
  }
  program_->refresh(node);
}

void SteppedRun::reconstruct(std::size_t node, NodeId layer, const ChipInput& input,
                             const calib::OutputSamples& outputs) {
  Graph& graph = candidate_.graph;
  const Node& n = graph.node(layer);
  const auto group = static_cast<std::size_t>(plan_.scales.sets.find(n.outputs[0]));
  const quant::WeightRows rows =
      quant::weight_rows(candidate_.scaled, candidate_.scaled.node(layer));
  quant::LayerEvidence evidence = input.evidence(frames_, outputs, candidate_.factors[group]);
  const std::int64_t taps = evidence.taps;
  quant::Reconstruction fitted = quant::reconstruct(rows, std::move(evidence));
  // Rounded by what is known of the chip's inputs all the same.
  if (!candidate_.fits_weights) fitted.rows.values = quant::by_tap(rows, taps);
  const std::vector<float> rounded = quant::rounded_weights(
      fitted.rows, *graph.value(n.inputs[1]).quant, {&fitted.inputs, 0, true}, target_.rounding);
  quant::set_weight_rows(graph, n, quant::by_channel(rows, rounded, taps));
  store_filter(node, n);
}

void SteppedRun::store_filter(std::size_t node, const Node& n) {
  espdl::Model& model = candidate_.lowered.model;
  store_constant(lower::lower_filter(candidate_.graph, n, target_, candidate_.lowered.orders),
                 model, model.nodes[node].inputs.at(1));
}

void SteppedRun::advance(std::size_t position) {
  feed();
  while (position_ < position) {
    if (const auto layer = layers_.find(position_); layer != layers_.end())
      match(layer->first, layer->second);
    // Up to the next layer samples do not meet.
    const auto next = layers_.upper_bound(position_);
    const std::size_t end = next == layers_.end() ? position : std::min(position, next->first);
    for_each_frame([&](std::size_t, sim::Program::Frame& frame) {
      frame.borrow(&scratch_.at(static_cast<std::size_t>(worker_index())));
      for (std::size_t n = position_; n < end; ++n) frame.run_node(n);
    });
    position_ = end;
  }
}

void SteppedRun::narrow(const std::string& tensor, float step) {
  feed();
  const std::size_t t = program_->tensor_index(tensor);
  const sim::TensorDesc& desc = program_->desc(t);
  if (desc.dtype != DType::Int16) return;
  const float steps = step / pow2(desc.exponent());
  for_each_frame([&](std::size_t, sim::Program::Frame& frame) {
    const std::span<std::byte> stored = frame.bytes(t);
    const std::span<std::int16_t> q{reinterpret_cast<std::int16_t*>(stored.data()),
                                    stored.size() / sizeof(std::int16_t)};
    for (std::int16_t& x : q) {
      const auto coarse =
          quantize_value<std::int8_t>(static_cast<float>(x), 1 / steps, target_.rounding);
      x = quantize_value<std::int16_t>(static_cast<float>(coarse), steps, target_.rounding);
    }
  });
}

Candidate SteppedRun::finish() {
  advance(program_->node_count());
  const measure::OutputComparison comparison(candidate_.graph);
  candidate_.noise = candidate_.fitted_noise = comparison.nothing();
  for (std::size_t s = 0; s < sample_count(); ++s)
    comparison.add(network_->read(s < run_.fitted ? frames_[s] : judged_[s - run_.fitted]),
                   run_.outputs[s],
                   s < run_.first_judged() ? candidate_.fitted_noise : candidate_.noise);
  if (sample_count() < run_.inputs.size()) {
    frames_.clear();
    candidate_.noise = output_noise(*program_, candidate_.graph, run_);
  }
  frames_.clear();
  judged_.clear();
  network_.reset();
  program_.reset();
  return std::move(candidate_);
}

Candidate run_in_step(Candidate draft, const quant::Plan& plan, const Target& target,
                      const FloatRun& run, bool match_means) {
  return SteppedRun(std::move(draft), plan, target, run, match_means, InStep::Fitted).finish();
}

}  // namespace espquant::strategy
