#include "compress/sparsity.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <numeric>

#include "base/parallel.h"
#include "calib/covariance.h"
#include "compress/channels.h"
#include "compress/sensitivity.h"
#include "quant/weights.h"

namespace espquant::compress {
namespace {

using Dense = Eigen::MatrixXd;

constexpr double kSparsityRidge = 1e-3;
constexpr double kSparsityStep = 0.1;
constexpr std::int64_t kSparsitySamples = 64;
/// Of a layer's weights: a filter without any says nothing.
constexpr double kMostOfALayer = 0.95;

/// A layer whose weights go one after the other.
class ThinnedLayer {
 public:
  ThinnedLayer(const Graph& graph, NodeId id, const calib::Covariance& covariance,
               std::vector<double> counts, std::int64_t block)
      : id_(id), rows_(quant::weight_rows(graph, graph.node(id))), counts_(std::move(counts)) {
    block_ = rows_.rows_per_group % block == 0 ? block : 1;
    const auto k = static_cast<Eigen::Index>(rows_.columns);
    for (std::int64_t g = 0; g < covariance.groups; ++g) {
      Dense c =
          Eigen::Map<const Eigen::MatrixXf>(covariance.moment_of(g).data(), k, k).cast<double>();
      const Eigen::Map<const Eigen::VectorXd> mean(covariance.mean_of(g).data(), k);
      c -= mean * mean.transpose();
      c.diagonal().array() += kSparsityRidge * std::max(c.trace() / static_cast<double>(k), 1e-30);
      inverse_diagonal_.push_back(c.llt().solve(Dense::Identity(k, k)).diagonal());
      moments_.push_back(std::move(c));
      means_.push_back(mean);
    }
    original_ = rows_.values;
    kept_.assign(rows_.values.size(), true);
    for (std::size_t i = 0; i < kept_.size(); ++i) kept_[i] = original_[i] != 0;
    if (!(std::accumulate(counts_.begin(), counts_.end(), 0.0) > 0)) count_by_signal();
  }

  struct Unit {
    double score = 0;
    std::size_t layer = 0;
    std::int64_t row = 0, column = 0;
  };
  /// What may still go, and what each weight of it would cost.
  void add_units(std::size_t layer, std::vector<Unit>& into) const {
    for (std::int64_t r = 0; r < rows_.rows; r += block_)
      for (std::int64_t k = 0; k < rows_.columns; ++k) {
        double score = 0;
        std::int64_t alive = 0;
        for (std::int64_t i = r; i < r + block_; ++i) {
          if (!kept_[at(i, k)]) continue;
          const double w = static_cast<double>(rows_.values[at(i, k)]);
          score += counts_[static_cast<std::size_t>(i)] * w * w / inverse_diagonal_[group(i)][k];
          ++alive;
        }
        if (alive > 0) into.push_back({score / static_cast<double>(alive), layer, r, k});
      }
  }
  /// How many weights go with it; 0 where the layer has lost enough.
  std::int64_t remove(const Unit& unit) {
    if (static_cast<double>(zeros() + block_) > kMostOfALayer * static_cast<double>(size()))
      return 0;
    std::int64_t gone = 0;
    for (std::int64_t i = unit.row; i < unit.row + block_; ++i) {
      gone += kept_[at(i, unit.column)] ? 1 : 0;
      kept_[at(i, unit.column)] = false;
    }
    zeros_ += gone;
    return gone;
  }

  /// Fits what is left of every filter to the original's output; the noise that stays.
  double refit() {
    std::vector<double> losses(static_cast<std::size_t>(rows_.rows), 0.0);
    parallel_for(rows_.rows,
                 [&](std::int64_t r) { losses[static_cast<std::size_t>(r)] = refit_row(r); });
    loss_ = std::accumulate(losses.begin(), losses.end(), 0.0);
    return loss_;
  }

  void store(Graph& graph) const {
    const Node& n = graph.node(id_);
    quant::set_weight_rows(graph, n, rows_.values);
    if (n.input(2) == kNone || !graph.value(n.inputs[2]).is_constant()) return;
    Tensor& bias = graph.value(n.inputs[2]).constant;
    if (bias.size() != rows_.rows) return;
    auto b = bias.mutable_data<float>();
    for (std::int64_t r = 0; r < rows_.rows; ++r) {
      double shift = 0;
      for (std::int64_t k = 0; k < rows_.columns; ++k)
        shift += (static_cast<double>(original_[at(r, k)]) -
                  static_cast<double>(rows_.values[at(r, k)])) *
                 means_[group(r)][k];
      b[static_cast<std::size_t>(r)] += static_cast<float>(shift);
    }
  }

  std::int64_t size() const { return static_cast<std::int64_t>(kept_.size()); }
  std::int64_t zeros() const {
    return static_cast<std::int64_t>(std::count(kept_.begin(), kept_.end(), false));
  }
  NodeId id() const { return id_; }

 private:
  std::size_t at(std::int64_t r, std::int64_t k) const {
    return static_cast<std::size_t>(r * rows_.columns + k);
  }
  std::size_t group(std::int64_t r) const {
    return static_cast<std::size_t>(r / rows_.rows_per_group);
  }
  Eigen::VectorXd row(const std::vector<float>& values, std::int64_t r) const {
    return Eigen::Map<const Eigen::VectorXf>(values.data() + r * rows_.columns,
                                             static_cast<Eigen::Index>(rows_.columns))
        .cast<double>();
  }
  void count_by_signal() {
    double signal = 0;
    for (std::int64_t r = 0; r < rows_.rows; ++r) {
      const Eigen::VectorXd w = row(original_, r);
      signal += w.dot(moments_[group(r)] * w);
    }
    counts_.assign(static_cast<std::size_t>(rows_.rows), signal > 0 ? 1 / signal : 1);
  }

  double refit_row(std::int64_t r) {
    const Dense& c = moments_[group(r)];
    std::vector<Eigen::Index> kept;
    for (std::int64_t k = 0; k < rows_.columns; ++k)
      if (kept_[at(r, k)]) kept.push_back(static_cast<Eigen::Index>(k));
    if (static_cast<std::int64_t>(kept.size()) == rows_.columns) return 0;
    const Eigen::VectorXd wanted = row(original_, r), target = c * wanted;
    const auto n = static_cast<Eigen::Index>(kept.size());
    Dense part(n, n);
    Eigen::VectorXd right(n);
    for (Eigen::Index j = 0; j < n; ++j) {
      for (Eigen::Index i = 0; i < n; ++i)
        part(i, j) = c(kept[static_cast<std::size_t>(i)], kept[static_cast<std::size_t>(j)]);
      right[j] = target[kept[static_cast<std::size_t>(j)]];
    }
    const Eigen::VectorXd solved = n > 0 ? Eigen::VectorXd(part.llt().solve(right)) : right;
    std::fill_n(rows_.values.begin() + r * rows_.columns, rows_.columns, 0.0F);
    for (Eigen::Index i = 0; i < n; ++i)
      rows_.values[at(r, kept[static_cast<std::size_t>(i)])] = static_cast<float>(solved[i]);
    const Eigen::VectorXd missing = wanted - row(rows_.values, r);
    return counts_[static_cast<std::size_t>(r)] * missing.dot(c * missing);
  }

  NodeId id_;
  quant::WeightRows rows_;
  std::vector<float> original_;
  std::vector<bool> kept_;
  std::vector<double> counts_;
  std::vector<Dense> moments_;
  std::vector<Eigen::VectorXd> means_, inverse_diagonal_;
  std::int64_t block_ = 1, zeros_ = 0;
  double loss_ = 0;
};

std::vector<ThinnedLayer> layers_to_thin(const Graph& graph, const calib::SampleSource& source,
                                         const SparsityOptions& options) {
  std::vector<NodeId> nodes;
  for (NodeId id : graph.topological_order())
    if (has_weights(graph, graph.node(id))) nodes.push_back(id);
  const auto covariances =
      calib::gather_covariance(ops::Executor(graph), source, nodes, options.samples);
  const Sensitivities sensitivities = output_sensitivities(graph, nodes, source, kSparsitySamples);
  std::vector<ThinnedLayer> layers;
  for (NodeId id : nodes)
    if (const auto known = covariances.find(id); known != covariances.end())
      layers.emplace_back(graph, id, known->second, sensitivities.at(id), options.block);
  return layers;
}

}  // namespace

Sparsified sparsify(const Graph& graph, const calib::SampleSource& source,
                    const SparsityOptions& options) {
  std::vector<ThinnedLayer> layers = layers_to_thin(graph, source, options);
  Sparsified result;
  result.graph = graph;
  for (const ThinnedLayer& layer : layers) result.weights += layer.size();
  double share = 0;
  while (share < options.share - 1e-9) {
    share = std::min(share + kSparsityStep, options.share);
    const std::vector<ThinnedLayer> before =
        options.most_loss ? layers : std::vector<ThinnedLayer>();
    std::vector<ThinnedLayer::Unit> units;
    std::int64_t zeros = 0;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      layers[l].add_units(l, units);
      zeros += layers[l].zeros();
    }
    std::stable_sort(units.begin(), units.end(),
                     [](const auto& a, const auto& b) { return a.score < b.score; });
    const auto wanted = static_cast<std::int64_t>(share * static_cast<double>(result.weights));
    for (const auto& unit : units) {
      if (zeros >= wanted) break;
      zeros += layers[unit.layer].remove(unit);
    }
    double loss = 0;
    for (ThinnedLayer& layer : layers) loss += layer.refit();
    if (options.most_loss && loss > *options.most_loss) {
      layers = before;
      break;
    }
    result.loss = loss;
  }
  for (const ThinnedLayer& layer : layers) {
    layer.store(result.graph);
    result.layers.push_back({graph.node(layer.id()).name, layer.size(), layer.zeros()});
    result.zeros += layer.zeros();
  }
  return result;
}

std::pair<std::int64_t, std::int64_t> count_zeros(const Graph& graph) {
  std::int64_t zeros = 0, all = 0;
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (!has_weights(graph, n)) continue;
    const Tensor& weights = graph.value(n.inputs[1]).constant;
    all += weights.size();
    for (float w : weights.data<float>()) zeros += w == 0 ? 1 : 0;
  }
  return {zeros, all};
}

}  // namespace espquant::compress
