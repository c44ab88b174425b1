#include "compress/refit.h"

#include <algorithm>
#include <numeric>

#include "base/parallel.h"
#include "base/per_worker.h"
#include "calib/output_samples.h"
#include "quant/reconstruction.h"

namespace espquant::compress {
namespace {

std::vector<NodeId> layers_of(const Graph& graph) {
  std::vector<NodeId> layers;
  for (NodeId id : graph.topological_order())
    if (has_weights(graph, graph.node(id)) && graph.node(id).op != "MatMul") layers.push_back(id);
  return layers;
}

/// Runs `graph` on the samples and shows each value that is computed.
void run_all(const ops::Executor& executor, const std::vector<std::vector<Tensor>>& inputs,
             const std::function<void(std::int64_t, const ops::Executor::View&)>& see) {
  PerWorker<ops::Executor::Workspace> workspaces(executor);
  parallel_for(static_cast<std::int64_t>(inputs.size()), [&](std::int64_t i) {
    ops::Executor::Workspace& workspace = workspaces.mine();
    static_cast<void>(executor.run(inputs[static_cast<std::size_t>(i)], workspace,
                                   [&](const ops::Executor::View& view) { see(i, view); }));
  });
}

/// The Add that alone takes what a layer makes, and its other operand.
struct JoiningAdd {
  NodeId add = kNone;
  ValueId other = kNone;
};
JoiningAdd joining_add(const Graph& graph, const Node& layer) {
  const ValueId out = layer.outputs[0];
  if (graph.value(out).consumers.size() != 1 || graph.is_output(out)) return {};
  const NodeId id = graph.value(out).consumers.front();
  const Node& add = graph.node(id);
  if (add.op != "Add" || add.inputs.size() != 2) return {};
  const ValueId other = add.inputs[0] == out ? add.inputs[1] : add.inputs[0];
  if (other == out || graph.value(other).is_constant() || graph.value(other).producer == kNone ||
      graph.value(other).shape != graph.value(out).shape)
    return {};
  return {id, other};
}

class Refitter {
 public:
  Refitter(Graph& smaller, const Graph& original,
           const std::function<std::vector<std::size_t>(ValueId)>& kept_of,
           std::vector<std::vector<Tensor>> inputs)
      : graph_(smaller), original_(original), kept_of_(kept_of), inputs_(std::move(inputs)) {
    const auto order = graph_.topological_order();
    rank_.assign(graph_.node_count(), 0);
    for (std::size_t i = 0; i < order.size(); ++i) rank_[static_cast<std::size_t>(order[i])] = i;
  }

  void run(const calib::Progress& progress, const std::vector<NodeId>* only) {
    std::vector<NodeId> layers = layers_of(graph_);
    if (only != nullptr)
      std::erase_if(layers, [&](NodeId id) {
        return std::find(only->begin(), only->end(), id) == only->end();
      });
    watch_original(layers);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (progress)
        progress(static_cast<std::int64_t>(i), static_cast<std::int64_t>(layers.size()));
      if (wanted_.contains(layers[i]) && reads_change(layers[i])) fit(layers[i]);
    }
  }

 private:
  std::int64_t samples() const { return static_cast<std::int64_t>(inputs_.size()); }

  /// What the float network makes where the layers put out.
  void watch_original(const std::vector<NodeId>& layers) {
    wanted_ = calib::room_for_outputs(original_, layers, samples());
    for (NodeId id : layers) {
      const JoiningAdd join = joining(id);
      if (join.add == kNone || !wanted_.contains(id)) continue;
      calib::OutputSamples room = wanted_.at(id);
      wanted_.emplace(join.add, std::move(room));
    }
    const ops::Executor executor(original_);
    run_all(executor, inputs_, [&](std::int64_t i, const ops::Executor::View& view) {
      calib::keep_outputs(original_, view, i, wanted_);
    });
  }

  /// Only with what is settled before the layer is.
  JoiningAdd joining(NodeId id) const {
    const JoiningAdd join = joining_add(graph_, graph_.node(id));
    if (join.add == kNone) return {};
    const NodeId producer = graph_.value(join.other).producer;
    const bool settled =
        rank_[static_cast<std::size_t>(producer)] < rank_[static_cast<std::size_t>(id)];
    return settled && is_alive_in_original(join.add) ? join : JoiningAdd{};
  }
  bool is_alive_in_original(NodeId id) const {
    return static_cast<std::size_t>(id) < original_.node_count() && original_.node(id).alive;
  }

  /// The network up to the layer, without what it does not read.
  Graph part_before(NodeId id, ValueId other) const {
    Graph part = graph_;
    std::vector<ValueId> outputs{graph_.node(id).inputs[0]};
    if (other != kNone && other != outputs.front()) outputs.push_back(other);
    part.set_outputs(outputs);
    part.remove_dead();
    return part;
  }

  /// Whether anything is missing before the layer.
  bool reads_change(NodeId id) const {
    const Graph part = part_before(id, joining(id).other);
    for (NodeId n : part.topological_order()) {
      const Node& node = part.node(n);
      if (!is_alive_in_original(n) || original_.node(n).inputs != node.inputs) return true;
      for (ValueId v : node.outputs)
        if (v != kNone && original_.value(v).shape != part.value(v).shape) return true;
    }
    return original_.node(id).inputs[0] != graph_.node(id).inputs[0] || joining(id).add != kNone;
  }

  void fit(NodeId id) {
    const Node& n = graph_.node(id);
    const JoiningAdd join = joining(id);
    const Graph part = part_before(id, join.other);
    const ops::Executor executor(part);
    const calib::Patches patches(graph_, n);
    const calib::OutputSamples& target = wanted_.at(join.add != kNone ? join.add : id);
    const std::int64_t each = target.choice.per_sample, width = patches.width();
    const std::vector<std::size_t> kept = kept_channels(n.outputs[0], target.channels);
    const auto channels = static_cast<std::int64_t>(kept.size());
    calib::LayerOutputs other;
    if (join.other != kNone) {
      calib::OutputSamples room;
      room.choice = target.choice;
      room.channels = channels;
      room.values.resize(static_cast<std::size_t>(samples() * each * channels));
      other.emplace(graph_.value(join.other).producer, std::move(room));
    }
    quant::LayerEvidence evidence;
    evidence.positions = samples() * each;
    evidence.first_half = (samples() + 1) / 2 * each;
    evidence.taps = patches.taps();
    evidence.channels = patches.channels();
    evidence.inputs.resize(static_cast<std::size_t>(evidence.positions * width));
    evidence.outputs.resize(static_cast<std::size_t>(evidence.positions * channels));
    const auto slot = [&](std::int64_t s) {
      return (s % 2 == 0 ? s / 2 : (samples() + 1) / 2 + s / 2) * each;
    };
    run_all(executor, inputs_, [&](std::int64_t s, const ops::Executor::View& view) {
      if (view.value == join.other) calib::keep_outputs(part, view, s, other);
      if (view.value != n.inputs[0]) return;
      for (std::int64_t i = 0; i < each; ++i)
        patches.copy(view.data.data(), view.channels_last, target.choice.position(i, s),
                     evidence.inputs.data() + (slot(s) + i) * width);
    });
    for (std::int64_t s = 0; s < samples(); ++s)
      for (std::int64_t i = 0; i < each; ++i) {
        const float* from = target.at(s, i);
        const float* without = other.empty() ? nullptr : other.begin()->second.at(s, i);
        float* to = evidence.outputs.data() + (slot(s) + i) * channels;
        for (std::int64_t c = 0; c < channels; ++c)
          to[c] = from[kept[static_cast<std::size_t>(c)]] - (without == nullptr ? 0.F : without[c]);
      }
    settle(id, std::move(evidence));
  }

  std::vector<std::size_t> kept_channels(ValueId v, std::int64_t before) const {
    std::vector<std::size_t> kept = kept_of_(v);
    if (kept.empty()) {
      kept.resize(static_cast<std::size_t>(before));
      std::iota(kept.begin(), kept.end(), std::size_t{0});
    }
    return kept;
  }

  /// Means of [positions][columns].
  static std::vector<double> column_means(std::span<const float> values, std::int64_t columns) {
    std::vector<double> means(static_cast<std::size_t>(columns), 0.0);
    for (std::size_t i = 0; i < values.size(); ++i)
      means[i % means.size()] += static_cast<double>(values[i]);
    for (double& m : means) m /= static_cast<double>(values.size()) / static_cast<double>(columns);
    return means;
  }

  void settle(NodeId id, quant::LayerEvidence evidence) {
    const Node& n = graph_.node(id);
    const quant::WeightRows rows = quant::weight_rows(graph_, n);
    const std::int64_t taps = evidence.taps;
    const std::vector<double> in = column_means(evidence.inputs, taps * evidence.channels);
    const std::vector<double> out = column_means(evidence.outputs, rows.rows);
    const std::int64_t channels = evidence.channels, per_group = rows.columns / taps;
    const quant::Reconstruction fitted = quant::reconstruct(rows, std::move(evidence));
    quant::set_weight_rows(graph_, n, quant::by_channel(rows, fitted.rows.values, taps));
    if (n.input(2) == kNone) return;
    Tensor& bias = graph_.value(n.inputs[2]).constant;
    if (bias.size() != rows.rows) return;
    auto b = bias.mutable_data<float>();
    const double beta =
        n.op == "Gemm" ? static_cast<double>(n.attributes.get_float("beta", 1.F)) : 1;
    for (std::int64_t r = 0; r < rows.rows; ++r) {
      double sum = out[static_cast<std::size_t>(r)];
      const std::int64_t group = r / rows.rows_per_group;
      for (std::int64_t t = 0; t < taps; ++t)
        for (std::int64_t c = 0; c < per_group; ++c)
          sum -= static_cast<double>(
                     fitted.rows
                         .values[static_cast<std::size_t>(r * rows.columns + t * per_group + c)]) *
                 in[static_cast<std::size_t>(t * channels + group * per_group + c)];
      b[static_cast<std::size_t>(r)] = static_cast<float>(sum / beta);
    }
  }

  Graph& graph_;
  const Graph& original_;
  const std::function<std::vector<std::size_t>(ValueId)>& kept_of_;
  std::vector<std::vector<Tensor>> inputs_;
  std::vector<std::size_t> rank_;
  calib::LayerOutputs wanted_;
};

}  // namespace

void refit(Graph& smaller, const Graph& original,
           const std::function<std::vector<std::size_t>(ValueId)>& kept_of,
           const calib::SampleSource& source, std::int64_t samples, const calib::Progress& progress,
           const std::vector<NodeId>* only) {
  const std::int64_t count = std::min(samples, source.count);
  std::vector<std::vector<Tensor>> inputs(static_cast<std::size_t>(count));
  parallel_for(count, [&](std::int64_t i) {
    inputs[static_cast<std::size_t>(i)] = source.sample(i * source.count / count);
  });
  Refitter(smaller, original, kept_of, std::move(inputs)).run(progress, only);
}

}  // namespace espquant::compress
