#include "calib/output_errors.h"

#include <algorithm>
#include <memory>

#include "base/parallel.h"
#include "ops/op.h"

namespace espquant::calib {
namespace {

/// Noise and signal of one reader, per step.
struct ReaderError {
  std::vector<double> noise;
  double signal = 0;

  void add(const ReaderError& other) {
    noise.resize(other.noise.size());
    for (std::size_t i = 0; i < noise.size(); ++i) noise[i] += other.noise[i];
    signal += other.signal;
  }
  double relative(std::size_t step) const { return signal > 0 ? noise[step] / signal : 0; }
};

/// The nodes on one way from a value to a reader that changes numbers, the reader and its
/// activation included, as a network of one input.
class Reader {
 public:
  Reader(const Graph& network, ValueId from, std::span<const NodeId> way)
      : executor_(extract(network, from, way)) {}

  ReaderError measure(const Tensor& x, std::span<const float> steps, int max_q) const {
    ops::Executor::Workspace workspace(executor_);
    const auto run = [&](const Tensor& in) { return executor_.run({&in, 1}, workspace); };
    const std::vector<Tensor> exact = run(x);
    ReaderError error;
    for (const Tensor& y : exact) error.signal += sum_of_squares(y.data<float>());
    Tensor rounded(DType::Float32, x.shape());
    for (float step : steps) {
      round_to_step(x.data<float>(), step, max_q, rounded.mutable_data<float>());
      const std::vector<Tensor> actual = run(rounded);
      double noise = 0;
      for (std::size_t i = 0; i < exact.size(); ++i)
        noise += squared_difference(actual[i].data<float>(), exact[i].data<float>());
      error.noise.push_back(noise);
    }
    return error;
  }

 private:
  static Graph extract(const Graph& network, ValueId from, std::span<const NodeId> way) {
    Graph part;
    part.opset = network.opset;
    std::vector<ValueId> copies(network.value_count(), kNone);
    const auto copy_of = [&](ValueId v) {
      if (v == kNone) return kNone;
      ValueId& copy = copies[static_cast<std::size_t>(v)];
      const Value& value = network.value(v);
      if (copy == kNone)
        copy = value.is_constant() ? part.add_constant(value.name, value.constant)
                                   : part.add_value(value.name, value.dtype, value.shape);
      return copy;
    };
    part.add_input(copy_of(from));
    for (NodeId id : way) {
      const Node& n = network.node(id);
      std::vector<ValueId> inputs, outputs;
      for (ValueId v : n.inputs) inputs.push_back(copy_of(v));
      for (ValueId v : n.outputs) outputs.push_back(copy_of(v));
      const NodeId copy = part.add_node(n.op, n.name, inputs, outputs, n.attributes);
      part.node(copy).domain = n.domain;
    }
    for (ValueId v : network.node(way.back()).outputs)
      if (v != kNone) part.add_output(copy_of(v));
    return part;
  }

  ops::Executor executor_;
};

/// All that reads one value.
struct Readers {
  std::vector<std::unique_ptr<Reader>> readers;
  /// Something reads the value itself, together with others or not at all.
  bool itself = false;
};

bool is_float(const Graph& graph, const Node& n) {
  return std::all_of(n.outputs.begin(), n.outputs.end(), [&](ValueId v) {
    return v == kNone || graph.value(v).dtype == DType::Float32;
  });
}

// The node is a function of `v` alone.
bool reads_only(const Graph& graph, const Node& n, ValueId v) {
  return std::all_of(n.inputs.begin(), n.inputs.end(), [&](ValueId in) {
    return in == kNone || in == v || graph.value(in).is_constant();
  });
}

NodeId activation_behind(const Graph& graph, const Node& n) {
  if (n.outputs.size() != 1 || n.outputs[0] == kNone || graph.is_output(n.outputs[0])) return kNone;
  const auto& consumers = graph.value(n.outputs[0]).consumers;
  if (consumers.size() != 1) return kNone;
  const Node& next = graph.node(consumers[0]);
  return (next.op == "Relu" || next.op == "Clip") && reads_only(graph, next, n.outputs[0])
             ? consumers[0]
             : kNone;
}

Readers readers_of(const Graph& graph, ValueId value) {
  struct Place {
    ValueId at;
    std::vector<NodeId> way;
  };
  Readers found;
  std::vector<Place> open{{value, {}}};
  while (!open.empty()) {
    const Place place = std::move(open.back());
    open.pop_back();
    std::vector<NodeId> consumers = graph.value(place.at).consumers;
    std::sort(consumers.begin(), consumers.end());
    consumers.erase(std::unique(consumers.begin(), consumers.end()), consumers.end());
    if (consumers.empty() || graph.is_output(place.at)) found.itself = true;
    for (NodeId id : consumers) {
      const Node& n = graph.node(id);
      const ops::OpDef* def = ops::find_op(n.op);
      if (def != nullptr && def->quant == ops::QuantRule::None) continue;
      if (def == nullptr || !is_float(graph, n) || !reads_only(graph, n, place.at)) {
        found.itself = true;
        continue;
      }
      std::vector<NodeId> way = place.way;
      way.push_back(id);
      if (def->quant == ops::QuantRule::PassThrough) {
        for (ValueId out : n.outputs)
          if (out != kNone) open.push_back({out, way});
        continue;
      }
      if (const NodeId activation = activation_behind(graph, n); activation != kNone)
        way.push_back(activation);
      found.readers.push_back(std::make_unique<Reader>(graph, value, way));
    }
  }
  return found;
}

/// One per reader; the value itself last, where it counts.
std::vector<ReaderError> measure(const Readers& readers, const ops::Executor::View& view,
                                 const Request& request) {
  std::vector<ReaderError> errors;
  if (!readers.readers.empty()) {
    const Tensor x = view.to_tensor();
    for (const auto& reader : readers.readers)
      errors.push_back(reader->measure(x, request.steps, request.max_q));
  }
  if (readers.itself) {
    ReaderError& error = errors.emplace_back();
    error.noise.resize(request.steps.size());
    add_step_errors(view.data, request.steps, request.max_q, error.noise);
    error.signal = sum_of_squares(view.data);
  }
  return errors;
}

}  // namespace

void measure_output_errors(const ops::Executor& executor, const SampleSource& source,
                           std::span<const Request> requests, std::int64_t samples,
                           Statistics& into) {
  const Graph& graph = executor.graph();
  ESPQUANT_ASSERT(into.values.size() == graph.value_count(), "statistics of another network");
  samples = std::min(samples, source.count);
  if (samples <= 0)
    throw Error(ErrorCode::BadData, "no calibration samples")
        .remedy("Give at least a few dozen typical inputs");

  std::vector<Readers> readers(graph.value_count());
  const std::size_t requested = std::min(requests.size(), readers.size());
  parallel_for(static_cast<std::int64_t>(requested), [&](std::int64_t v) {
    if (!requests[static_cast<std::size_t>(v)].steps.empty())
      readers[static_cast<std::size_t>(v)] = readers_of(graph, static_cast<ValueId>(v));
  });

  // By sample and value, so that sums can be made in order.
  std::vector<std::vector<std::vector<ReaderError>>> measured(static_cast<std::size_t>(samples));
  parallel_for(samples, [&](std::int64_t s) {
    auto& mine = measured[static_cast<std::size_t>(s)];
    mine.resize(graph.value_count());
    ops::Executor::Workspace workspace(executor);
    const std::vector<Tensor> inputs = source.sample(s * source.count / samples);
    (void)executor.run(inputs, workspace, [&](const ops::Executor::View& view) {
      const auto v = static_cast<std::size_t>(view.value);
      if (v < requested && !requests[v].steps.empty())
        mine[v] = measure(readers[v], view, requests[v]);
    });
  });

  for (std::size_t v = 0; v < requested; ++v) {
    std::vector<ReaderError> total;
    for (const auto& sample : measured) {
      total.resize(sample[v].size());
      for (std::size_t r = 0; r < total.size(); ++r) total[r].add(sample[v][r]);
    }
    auto& errors = into.values[v].output_errors;
    errors.assign(total.empty() ? 0 : requests[v].steps.size(), 0.0);
    for (std::size_t i = 0; i < errors.size(); ++i)
      for (const ReaderError& reader : total) errors[i] += reader.relative(i);
  }
}

}  // namespace espquant::calib
