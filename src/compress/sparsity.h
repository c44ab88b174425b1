#pragma once

#include <optional>
#include <string>
#include <vector>

#include "calib/calibrate.h"

namespace espquant::compress {

struct SparsityOptions {
  /// Of all weights that may go; fewer where `most_loss` is reached before.
  double share = 0.5;
  /// Noise to signal at the outputs, in closed form.
  std::optional<double> most_loss = {};
  /// Output channels that lose a weight together; 1: each for itself.
  std::int64_t block = 1;
  /// Samples that second moments are gathered from.
  std::int64_t samples = 128;
};

struct SparseLayer {
  std::string layer;
  std::int64_t weights = 0, zeros = 0;
};

struct Sparsified {
  Graph graph;
  std::vector<SparseLayer> layers;
  std::int64_t weights = 0, zeros = 0;
  double loss = 0;
};

/// Sets weights to zero, those first that the network's outputs miss least once the others of their
/// filter have been fitted anew: w^2 / [C^-1]_kk (Hassibi and Stork 1993), each filter weighted by
/// what it does to the outputs, so that layers lose different shares. In steps; after each, every
/// filter is fitted to its original output in closed form. Layers whose inputs' second moments are
/// not known stay as they are.
Sparsified sparsify(const Graph& graph, const calib::SampleSource& source,
                    const SparsityOptions& options);

/// Zeros among the weights of layers, and all of them.
std::pair<std::int64_t, std::int64_t> count_zeros(const Graph& graph);

}  // namespace espquant::compress
