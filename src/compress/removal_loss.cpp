#include "compress/removal_loss.h"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <algorithm>
#include <limits>

#include "base/parallel.h"
#include "quant/weights.h"

namespace espquant::compress {
namespace {

using Matrix = Eigen::MatrixXd;

// Of the mean variance of the inputs: keeps the inverse in bounds, and what is fitted from
// following the samples' own noise.
constexpr double kRemovalRidge = 1e-3;

/// A layer that reads channels, as they go.
class ReadingLayer {
 public:
  ReadingLayer(const Graph& graph, const Node& n, const calib::Covariance& covariance,
               const std::vector<double>& sensitivity) {
    const quant::WeightRows rows = quant::weight_rows(graph, n);
    const auto k = static_cast<Eigen::Index>(rows.columns);
    weights_ =
        Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
            rows.values.data(), static_cast<Eigen::Index>(rows.rows), k)
            .cast<double>();
    Matrix c =
        Eigen::Map<const Eigen::MatrixXf>(covariance.second_moment.data(), k, k).cast<double>();
    const Eigen::Map<const Eigen::VectorXd> mean(covariance.mean.data(), k);
    c -= mean * mean.transpose();
    const double variance = std::max(c.trace() / static_cast<double>(k), 1e-30);
    counts_ = Eigen::Map<const Eigen::VectorXd>(sensitivity.data(),
                                                static_cast<Eigen::Index>(sensitivity.size()));
    if (!(counts_.sum() > 0)) {
      // Nothing is known of the way to the outputs: the layer's own noise to signal.
      const double signal = (weights_ * c).cwiseProduct(weights_).sum();
      counts_ = Eigen::VectorXd::Constant(weights_.rows(), signal > 0 ? 1 / signal : 1);
    }
    c.diagonal().array() += kRemovalRidge * variance;
    inverse_ = c.llt().solve(Matrix::Identity(k, k));
    const Shape& shape = graph.value(n.inputs[1]).constant.shape();
    taps_ = n.op == "Conv" ? static_cast<Eigen::Index>(element_count(shape) / (shape[0] * shape[1]))
                           : 1;
  }

  /// The columns of the channels that a class has in the layer's input.
  std::vector<Eigen::Index> columns_of(std::span<const Channels::Class> classes,
                                       Channels::Class c) const {
    std::vector<Eigen::Index> columns;
    for (std::size_t i = 0; i < classes.size(); ++i)
      if (classes[i] == c)
        for (Eigen::Index t = 0; t < taps_; ++t)
          columns.push_back(static_cast<Eigen::Index>(i) * taps_ + t);
    return columns;
  }

  double loss_without(const std::vector<Eigen::Index>& columns) const {
    const Matrix w = part(weights_, columns);
    return counts_.dot((w * inner(columns)).cwiseProduct(w).rowwise().sum());
  }

  /// Refits what is left.
  void remove(const std::vector<Eigen::Index>& columns) {
    const Matrix across = part(inverse_, columns), step = inner(columns);
    const Matrix gone = part(weights_, columns) * step;
    weights_.noalias() -= gone * across.transpose();
    inverse_.noalias() -= across * step * across.transpose();
    for (Eigen::Index i : columns) {
      weights_.col(i).setZero();
      inverse_.row(i).setZero();
      inverse_.col(i).setZero();
      // Never asked for again, and harmless.
      inverse_(i, i) = 1;
    }
  }

 private:
  static Matrix part(const Matrix& m, const std::vector<Eigen::Index>& columns) {
    Matrix p(m.rows(), static_cast<Eigen::Index>(columns.size()));
    for (std::size_t i = 0; i < columns.size(); ++i)
      p.col(static_cast<Eigen::Index>(i)) = m.col(columns[i]);
    return p;
  }
  /// (C^-1_SS)^-1
  Matrix inner(const std::vector<Eigen::Index>& columns) const {
    const auto n = static_cast<Eigen::Index>(columns.size());
    Matrix s(n, n);
    for (Eigen::Index i = 0; i < n; ++i)
      for (Eigen::Index j = 0; j < n; ++j)
        s(i, j) =
            inverse_(columns[static_cast<std::size_t>(i)], columns[static_cast<std::size_t>(j)]);
    return s.llt().solve(Matrix::Identity(n, n));
  }

  Matrix weights_, inverse_;
  Eigen::VectorXd counts_;
  Eigen::Index taps_ = 1;
};

struct Reading {
  ReadingLayer layer;
  std::vector<std::vector<Eigen::Index>> columns;  ///< by class of the group
};

/// Sum of squares of the weights that make each class.
std::vector<double> magnitudes(const Graph& graph, const Channels& channels,
                               const Channels::Group& group) {
  std::vector<double> sums(group.classes.size(), 0.0);
  for (NodeId id : group.writers) {
    const quant::WeightRows rows = quant::weight_rows(graph, graph.node(id));
    const auto classes = channels.classes_of(graph.node(id).outputs[0]);
    for (std::size_t r = 0; r < classes.size(); ++r) {
      const auto at = std::find(group.classes.begin(), group.classes.end(), classes[r]);
      if (at == group.classes.end()) continue;
      for (float w : rows.row(static_cast<std::int64_t>(r)))
        sums[static_cast<std::size_t>(at - group.classes.begin())] +=
            static_cast<double>(w) * static_cast<double>(w);
    }
  }
  return sums;
}

RemovalCurve curve_of(const Graph& graph, const Channels& channels, const Channels::Group& group,
                      std::vector<Reading> readings, Importance importance) {
  const std::size_t count = group.classes.size();
  std::vector<double> magnitude;
  if (importance == Importance::Magnitude) magnitude = magnitudes(graph, channels, group);
  std::vector<bool> gone(count, false);
  RemovalCurve curve;
  curve.loss.push_back(0);
  for (std::size_t step = 0; step < count; ++step) {
    std::vector<double> losses(count, std::numeric_limits<double>::infinity());
    const auto loss_without = [&](std::size_t c) {
      double loss = 0;
      for (const Reading& reading : readings)
        if (!reading.columns[c].empty()) loss += reading.layer.loss_without(reading.columns[c]);
      return loss;
    };
    std::size_t best = 0;
    if (importance == Importance::Magnitude) {
      for (std::size_t c = 0; c < count; ++c)
        if (!gone[c]) losses[c] = magnitude[c];
      best =
          static_cast<std::size_t>(std::min_element(losses.begin(), losses.end()) - losses.begin());
      losses[best] = loss_without(best);
    } else {
      for (std::size_t c = 0; c < count; ++c)
        if (!gone[c]) losses[c] = loss_without(c);
      best =
          static_cast<std::size_t>(std::min_element(losses.begin(), losses.end()) - losses.begin());
    }
    gone[best] = true;
    curve.order.push_back(group.classes[best]);
    curve.loss.push_back(curve.loss.back() + std::max(losses[best], 0.0));
    for (Reading& reading : readings)
      if (!reading.columns[best].empty()) reading.layer.remove(reading.columns[best]);
  }
  return curve;
}

}  // namespace

std::vector<RemovalCurve> removal_curves(const Graph& graph, const Channels& channels,
                                         const std::map<NodeId, calib::Covariance>& covariances,
                                         const Sensitivities& sensitivities,
                                         Importance importance) {
  std::vector<RemovalCurve> curves(channels.groups().size());
  parallel_for(static_cast<std::int64_t>(curves.size()), [&](std::int64_t g) {
    const Channels::Group& group = channels.groups()[static_cast<std::size_t>(g)];
    std::vector<Reading> readings;
    for (NodeId id : group.readers) {
      const auto known = covariances.find(id);
      if (known == covariances.end()) return;
      const Node& n = graph.node(id);
      Reading& reading = readings.emplace_back(
          Reading{ReadingLayer(graph, n, known->second, sensitivities.at(id)), {}});
      for (Channels::Class c : group.classes)
        reading.columns.push_back(reading.layer.columns_of(channels.classes_of(n.inputs[0]), c));
    }
    curves[static_cast<std::size_t>(g)] =
        curve_of(graph, channels, group, std::move(readings), importance);
  });
  return curves;
}

}  // namespace espquant::compress
