#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "calib/calibrate.h"
#include "train/augment.h"
#include "train/fake_quant.h"

namespace espquant::train {

/// What the outputs of the two networks are compared by.
enum class Distance : std::uint8_t {
  Squares,  ///< squared differences, of scores around their mean
  Scores,   ///< the divergence of the probabilities that scores make (Kullback and Leibler)
};

/// One network, and what of it is rounded to the chip's grid while it trains.
struct Student {
  Graph graph;
  std::map<ValueId, Grid> activations = {};
  /// Of parameters.
  std::map<ValueId, TensorGrids> weights = {};
};

struct DistillSettings {
  std::int64_t steps = 500;
  std::int64_t batch = 32;
  /// By how much of its usual size a weight moves in a step at most; of weights on a grid, by how
  /// many of its steps.
  double rate = 0.01;
  Distance distance = Distance::Squares;
  /// Beside the outputs, of what the last layer reads: 0 leaves it out.
  double features = 0;
  Augmentation augmentation = {};
  std::uint64_t seed = 1;
  /// Weights that are zero stay zero.
  bool keep_zeros = false;
  /// Where this is a part of a longer training: the steps done before, and all; 0: these steps.
  std::int64_t done = 0, total = 0;
  /// Called after every step; false ends the training there.
  std::function<bool(std::int64_t done, std::int64_t total, double loss)> progress = {};
};

struct Distilled {
  /// With the parameters as trained: on their grids where they have one.
  Graph graph;
  std::int64_t steps = 0;
  /// Means over the first and the last steps.
  double loss_before = 0, loss_after = 0;
};

/// The network with a Softmax at the end of an output taken off: training compares scores.
Graph without_last_softmax(Graph graph);

/// Trains the weights and biases of `student` to put out what `teacher`, a float network of the
/// same inputs and outputs, does for samples of `source`: no labels are needed (Hinton et al.
/// 2015). Batches are drawn by the seed; the result does not depend on the number of threads.
/// Throws as train::Network.
Distilled distill(const Graph& teacher, const Student& student, const calib::SampleSource& source,
                  const DistillSettings& settings);

}  // namespace espquant::train
