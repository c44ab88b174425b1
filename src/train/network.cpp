#include "train/network.h"

#include <algorithm>
#include <mutex>

#include "base/parallel.h"
#include "ops/dnnl_primitives.h"

namespace espquant::train {
namespace {

// Blocks of several samples make better use of the kernels, as long as the cache holds them.
constexpr std::int64_t kBlock = 4;
constexpr std::int64_t kLargeActivations = std::int64_t{4} << 20;

bool has_one_axis_convolution(const Graph& graph) {
  for (NodeId n : graph.topological_order()) {
    const Node& node = graph.node(n);
    if (node.op == "Conv" && graph.value(node.inputs[0]).shape->size() == 3) return true;
  }
  return false;
}

}  // namespace

struct Network::Impl {
  struct Slot {
    Layout layout;
    bool is_constant = false, is_float = false;
    /// In the workspace, in floats; gradients only where something needs them.
    std::size_t offset = 0, gradient = 0;
    bool has_gradient = false;
    int parameter = -1;
  };

  struct Step {
    NodeId node;
    std::unique_ptr<Kernel> kernel;
    bool goes_back = false;
    std::size_t prepared = 0;
    std::vector<Grid> grids;  ///< of output 0: none or one
  };

  Graph graph;
  Options options;
  std::int64_t block = kBlock;
  std::vector<Slot> slots;
  std::vector<Step> steps;
  std::size_t floats = 0, gradient_begin = 0, gradient_end = 0, scratch = 0, prepared = 0;
  std::vector<std::size_t> parameter_offset;
  std::size_t parameter_floats = 0;

  struct Workspace {
    std::shared_ptr<std::byte[]> memory, scratch;
    float* floats() { return reinterpret_cast<float*>(memory.get()); }
  };
  mutable std::mutex mutex;
  mutable std::vector<Workspace> idle;

  Slot& slot(ValueId v) { return slots[static_cast<std::size_t>(v)]; }
  const Slot& slot(ValueId v) const { return slots[static_cast<std::size_t>(v)]; }

  void describe_values();
  void find_gradients();
  void make_steps();
  std::unique_ptr<Kernel> make_kernel(const Node& node) const;
  NodeProblem problem_of(const Node& node) const;
  Workspace take() const;
  void give_back(Workspace w) const;
  double run_block(Workspace& w, std::span<const float* const> constants, const float* prepared,
                   std::int64_t lane, std::int64_t first, const Feed& feed, const Loss& loss,
                   const Probe& probe, float* into) const;
  std::vector<const float*> constants_of(std::span<const Tensor> parameters) const;
};

void Network::Impl::describe_values() {
  const bool three_axes = has_one_axis_convolution(graph);
  slots.resize(graph.value_count());
  for (std::size_t v = 0; v < slots.size(); ++v) {
    const Value& value = graph.value(static_cast<ValueId>(v));
    Slot& s = slots[v];
    if (!value.shape && !value.is_constant()) continue;
    s.layout.shape = value.is_constant() ? value.constant.shape() : *value.shape;
    s.is_constant = value.is_constant();
    s.is_float = value.dtype == DType::Float32;
    const std::size_t rank = s.layout.shape.size();
    s.layout.channels_last =
        !s.is_constant && (rank == 4 || (rank == 3 && three_axes)) && s.layout.elements() > 0;
  }
  for (std::size_t p = 0; p < options.parameters.size(); ++p) {
    Slot& s = slot(options.parameters[p]);
    ESPQUANT_ASSERT(s.is_constant && s.is_float, "a parameter must be a float constant");
    s.parameter = static_cast<int>(p);
    parameter_offset.push_back(parameter_floats);
    parameter_floats += static_cast<std::size_t>(s.layout.elements());
  }
}

void Network::Impl::find_gradients() {
  // What depends on a parameter or leads to what is probed, and what the loss depends on.
  std::vector<bool> trained(slots.size(), false), matters(slots.size(), false);
  for (ValueId v : options.parameters) trained[static_cast<std::size_t>(v)] = true;
  for (ValueId v : options.probed) trained[static_cast<std::size_t>(v)] = true;
  const auto order = graph.topological_order();
  for (NodeId n : order) {
    const Node& node = graph.node(n);
    const bool any = std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) {
      return v != kNone && trained[static_cast<std::size_t>(v)];
    });
    for (ValueId v : node.outputs)
      if (any && v != kNone) trained[static_cast<std::size_t>(v)] = true;
  }
  for (ValueId v : options.watched) matters[static_cast<std::size_t>(v)] = true;
  for (auto n = order.rbegin(); n != order.rend(); ++n) {
    const Node& node = graph.node(*n);
    const bool any = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      return v != kNone && matters[static_cast<std::size_t>(v)];
    });
    for (ValueId v : node.inputs)
      if (any && v != kNone) matters[static_cast<std::size_t>(v)] = true;
  }
  for (std::size_t v = 0; v < slots.size(); ++v)
    slots[v].has_gradient = slots[v].is_float && trained[v] && matters[v];
  for (ValueId v : options.watched)
    if (slot(v).is_float) slot(v).has_gradient = true;
}

NodeProblem Network::Impl::problem_of(const Node& node) const {
  NodeProblem p{graph, node, block, {}, {}, {}, {}, {}};
  for (ValueId v : node.inputs) {
    p.inputs.push_back(v == kNone ? Layout{} : slot(v).layout);
    p.is_constant.push_back(v != kNone && slot(v).is_constant);
    p.wanted.push_back(v != kNone && slot(v).has_gradient);
    p.alone.push_back(v != kNone && !slot(v).is_constant && graph.value(v).consumers.size() == 1 &&
                      std::find(options.watched.begin(), options.watched.end(), v) ==
                          options.watched.end());
  }
  for (ValueId v : node.outputs) p.outputs.push_back(v == kNone ? Layout{} : slot(v).layout);
  return p;
}

std::unique_ptr<Kernel> Network::Impl::make_kernel(const Node& node) const {
  const NodeProblem p = problem_of(node);
  const auto is_plain = [&](ValueId v) { return v != kNone && slot(v).is_float; };
  if (std::all_of(node.outputs.begin(), node.outputs.end(), is_plain)) {
    for (const auto make :
         {make_convolution, make_product, make_elementwise, make_pool, make_movement})
      if (auto kernel = make(p)) return kernel;
  }
  if (std::find(p.wanted.begin(), p.wanted.end(), true) != p.wanted.end() &&
      ops::op_of(node).gradient == nullptr)
    throw Error(ErrorCode::Unsupported, "operator " + node.op + " has no gradient")
        .node(node.name)
        .remedy("Leave training out, or cut the network behind this node");
  for (ValueId v : node.inputs)
    if (v != kNone && !slot(v).is_constant && !slot(v).is_float)
      throw Error(ErrorCode::Unsupported, "training does not pass values that are not floats")
          .node(node.name)
          .remedy("Leave training out, or cut the network behind this node");
  return make_reference(p);
}

void Network::Impl::make_steps() {
  const auto aligned = [](std::size_t n) { return (n + 15) / 16 * 16; };
  for (Slot& s : slots) {
    if (s.is_constant || !s.is_float || s.layout.shape.empty()) continue;
    s.offset = floats;
    floats += aligned(static_cast<std::size_t>(s.layout.elements() * block));
  }
  // Gradients that are written need no zeros first.
  std::vector<bool> written(slots.size(), false);
  for (NodeId n : graph.topological_order()) {
    const Node& node = graph.node(n);
    Step step{n, make_kernel(node), false, prepared, {}};
    for (ValueId v : node.outputs) step.goes_back |= v != kNone && slot(v).has_gradient;
    bool any = false;
    for (ValueId v : node.inputs) any |= v != kNone && slot(v).has_gradient;
    step.goes_back &= any;
    if (const auto grid = options.activations.find(node.outputs[0]);
        grid != options.activations.end())
      step.grids.push_back(grid->second);
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      if (step.goes_back && node.inputs[i] != kNone && step.kernel->overwrites(i))
        written[static_cast<std::size_t>(node.inputs[i])] = true;
    prepared += aligned(step.kernel->prepared_floats());
    scratch = std::max(scratch, step.kernel->scratch_bytes());
    steps.push_back(std::move(step));
  }
  gradient_begin = gradient_end = floats;
  for (const bool zeros_first : {true, false}) {
    for (std::size_t v = 0; v < slots.size(); ++v) {
      Slot& s = slots[v];
      if (s.is_constant || !s.has_gradient || written[v] == zeros_first) continue;
      s.gradient = floats;
      floats += aligned(static_cast<std::size_t>(s.layout.elements() * block));
    }
    if (zeros_first) gradient_end = floats;
  }
}

Network::Network(const Graph& graph, Options options) : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  m.graph = graph;
  m.options = std::move(options);
  if (m.options.watched.empty())
    m.options.watched.assign(graph.outputs().begin(), graph.outputs().end());
  m.describe_values();
  m.find_gradients();
  std::int64_t activations = 0;
  for (const Impl::Slot& s : m.slots)
    if (!s.is_constant) activations += s.layout.shape.empty() ? 0 : 8 * s.layout.elements();
  m.block = m.options.block > 0 ? m.options.block : activations > kLargeActivations ? 1 : kBlock;
  const ops::exec::SingleThreaded alone;
  m.make_steps();
}
Network::~Network() = default;

std::int64_t Network::batch_unit() const { return kLanes * impl_->block; }

std::size_t Network::workspace_bytes() const {
  return impl_->floats * sizeof(float) + impl_->scratch;
}

Network::Impl::Workspace Network::Impl::take() const {
  {
    const std::lock_guard lock(mutex);
    if (!idle.empty()) {
      Workspace w = std::move(idle.back());
      idle.pop_back();
      return w;
    }
  }
  return {allocate_bytes(floats * sizeof(float)),
          allocate_bytes(std::max<std::size_t>(scratch, 64))};
}

void Network::Impl::give_back(Workspace w) const {
  const std::lock_guard lock(mutex);
  idle.push_back(std::move(w));
}

std::vector<const float*> Network::Impl::constants_of(std::span<const Tensor> parameters) const {
  std::vector<const float*> constants(slots.size(), nullptr);
  for (std::size_t v = 0; v < slots.size(); ++v) {
    if (!slots[v].is_constant || !slots[v].is_float) continue;
    const Tensor& t = slots[v].parameter >= 0
                          ? parameters[static_cast<std::size_t>(slots[v].parameter)]
                          : graph.value(static_cast<ValueId>(v)).constant;
    constants[v] = t.data<float>().data();
  }
  return constants;
}

double Network::Impl::run_block(Workspace& w, std::span<const float* const> constants,
                                const float* prepared_data, std::int64_t lane, std::int64_t first,
                                const Feed& feed, const Loss& loss, const Probe& probe,
                                float* into) const {
  float* memory = w.floats();
  std::fill(memory + gradient_begin, memory + gradient_end, 0.0F);
  const auto data_of = [&](ValueId v) -> float* {
    if (v == kNone || slot(v).is_constant || !slot(v).is_float) return nullptr;
    return memory + slot(v).offset;
  };
  const auto gradient_of = [&](ValueId v) -> float* {
    if (v == kNone || !slot(v).has_gradient) return nullptr;
    const Slot& s = slot(v);
    if (s.is_constant)
      return s.parameter < 0 ? nullptr
                             : into + parameter_offset[static_cast<std::size_t>(s.parameter)];
    return memory + s.gradient;
  };
  const auto elements = [&](ValueId v) {
    return static_cast<std::size_t>(slot(v).layout.elements());
  };
  std::vector<std::vector<std::int64_t>> order(slots.size());
  const auto order_of = [&](ValueId v) -> const std::vector<std::int64_t>& {
    auto& known = order[static_cast<std::size_t>(v)];
    if (known.empty()) known = slot(v).layout.element_of_position();
    return known;
  };

  for (std::int64_t s = 0; s < block; ++s) {
    const std::vector<Tensor> inputs = feed(first + s);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const ValueId v = graph.inputs()[i];
      float* to = data_of(v) + static_cast<std::size_t>(s) * elements(v);
      const auto from = inputs[i].data<float>();
      const auto& places = order_of(v);
      for (std::size_t k = 0; k < places.size(); ++k)
        to[k] = from[static_cast<std::size_t>(places[k])];
    }
  }
  for (ValueId v : graph.inputs())
    if (const auto grid = options.activations.find(v); grid != options.activations.end())
      round_to(grid->second, {data_of(v), elements(v) * static_cast<std::size_t>(block)});

  std::vector<const float*> in;
  std::vector<float*> out, in_gradient;
  std::vector<const float*> out_gradient;
  const auto bind = [&](const Step& step) {
    const Node& node = graph.node(step.node);
    in.clear();
    out.clear();
    in_gradient.clear();
    out_gradient.clear();
    for (ValueId v : node.inputs) {
      in.push_back(v == kNone            ? nullptr
                   : slot(v).is_constant ? constants[static_cast<std::size_t>(v)]
                                         : data_of(v));
      in_gradient.push_back(gradient_of(v));
    }
    for (ValueId v : node.outputs) {
      out.push_back(data_of(v));
      out_gradient.push_back(gradient_of(v));
    }
    return Pass{in, out, prepared_data + step.prepared, out_gradient, in_gradient, w.scratch.get()};
  };
  for (const Step& step : steps) {
    step.kernel->forward(bind(step));
    const ValueId v = graph.node(step.node).outputs[0];
    if (!step.grids.empty())
      round_to(step.grids.front(), {data_of(v), elements(v) * static_cast<std::size_t>(block)});
  }

  double total = 0;
  for (std::int64_t s = 0; s < block; ++s) {
    std::vector<Tensor> watched, gradients;
    for (ValueId v : options.watched) {
      Tensor t(DType::Float32, slot(v).layout.shape);
      const float* from = data_of(v) + static_cast<std::size_t>(s) * elements(v);
      auto to = t.mutable_data<float>();
      const auto& places = order_of(v);
      for (std::size_t k = 0; k < places.size(); ++k)
        to[static_cast<std::size_t>(places[k])] = from[k];
      watched.push_back(std::move(t));
      gradients.emplace_back(DType::Float32, slot(v).layout.shape);
    }
    total += loss(first + s, watched, gradients);
    for (std::size_t i = 0; i < watched.size(); ++i) {
      const ValueId v = options.watched[i];
      float* to = gradient_of(v) + static_cast<std::size_t>(s) * elements(v);
      const auto from = gradients[i].data<float>();
      const auto& places = order_of(v);
      for (std::size_t k = 0; k < places.size(); ++k)
        to[k] += from[static_cast<std::size_t>(places[k])];
    }
  }

  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (!step->goes_back) continue;
    const ValueId v = graph.node(step->node).outputs[0];
    if (!step->grids.empty() && slot(v).has_gradient) {
      const std::size_t count = elements(v) * static_cast<std::size_t>(block);
      block_saturated(step->grids.front(), {data_of(v), count}, {gradient_of(v), count});
    }
    step->kernel->backward(bind(*step));
  }
  if (probe)
    for (std::size_t p = 0; p < options.probed.size(); ++p) {
      const ValueId v = options.probed[p];
      for (std::int64_t s = 0; s < block; ++s)
        probe(lane, p, first + s, slot(v).layout,
              {gradient_of(v) + static_cast<std::size_t>(s) * elements(v), elements(v)});
    }
  return total;
}

Network::Result Network::run(std::span<const Tensor> parameters, std::int64_t batch,
                             const Feed& feed, const Loss& loss, const Probe& probe) const {
  const Impl& m = *impl_;
  ESPQUANT_ASSERT(batch % batch_unit() == 0, "a batch is a multiple of batch_unit()");
  const std::vector<const float*> constants = m.constants_of(parameters);
  std::vector<float> prepared(m.prepared);
  parallel_for(static_cast<std::int64_t>(m.steps.size()), [&](std::int64_t i) {
    const Impl::Step& step = m.steps[static_cast<std::size_t>(i)];
    if (step.kernel->prepared_floats() == 0) return;
    std::vector<const float*> in;
    for (ValueId v : m.graph.node(step.node).inputs)
      in.push_back(v == kNone ? nullptr : constants[static_cast<std::size_t>(v)]);
    step.kernel->prepare(in, prepared.data() + step.prepared);
  });
  std::vector<std::vector<float>> lanes(static_cast<std::size_t>(kLanes));
  std::vector<double> losses(static_cast<std::size_t>(kLanes), 0.0);
  parallel_for(kLanes, [&](std::int64_t lane) {
    auto& sums = lanes[static_cast<std::size_t>(lane)];
    sums.assign(m.parameter_floats, 0.0F);
    Impl::Workspace w = m.take();
    for (std::int64_t first = lane * m.block; first < batch; first += batch_unit())
      losses[static_cast<std::size_t>(lane)] +=
          m.run_block(w, constants, prepared.data(), lane, first, feed, loss, probe, sums.data());
    m.give_back(std::move(w));
  });
  Result result;
  for (double l : losses) result.loss += l;
  for (std::size_t p = 0; p < m.options.parameters.size(); ++p) {
    const auto count = static_cast<std::size_t>(m.slot(m.options.parameters[p]).layout.elements());
    auto& sum = result.gradients.emplace_back(count, 0.0F);
    for (const auto& lane : lanes)
      for (std::size_t k = 0; k < count; ++k) sum[k] += lane[m.parameter_offset[p] + k];
  }
  return result;
}

}  // namespace espquant::train
