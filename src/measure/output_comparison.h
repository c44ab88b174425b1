#pragma once

#include <vector>

#include "graph/graph.h"
#include "measure/answers.h"
#include "measure/output_noise.h"
#include "measure/output_parts.h"

namespace espquant::measure {

/// Compares what candidates put out with what the float network does.
///
/// Probabilities that a Softmax makes are compared as the scores before it, up to the constant that
/// it takes out: behind it, the few samples of a comparison that are undecided outweigh all others.
/// Outputs, and parts of one output, are told apart (OutputNoise).
class OutputComparison {
 public:
  explicit OutputComparison(const Graph& network);

  /// Of no sample yet.
  const OutputNoise& nothing() const { return nothing_; }
  /// One sample's outputs, all of them, into what began as nothing().
  void add(std::span<const Tensor> actual, std::span<const Tensor> expected,
           OutputNoise& into) const;
  /// The same of one sample.
  OutputNoise of(std::span<const Tensor> actual, std::span<const Tensor> expected) const;
  /// One sample's differences, actual less expected, of the values as they are: into as many as
  /// nothing() has parts.
  void add_errors(std::span<const Tensor> actual, std::span<const Tensor> expected,
                  std::span<OutputErrors> into) const;
  /// Of no sample yet.
  std::vector<OutputErrors> no_errors() const;
  /// Of all samples, in order.
  OutputNoise of_all(std::span<const std::vector<Tensor>> actual,
                     std::span<const std::vector<Tensor>> expected) const;

 private:
  struct Output {
    bool probabilities = false;
    OutputParts parts;
    /// Into OutputNoise::parts().
    std::size_t first_part = 0;
  };
  std::vector<Output> outputs_;
  OutputNoise nothing_;
};

/// What is compared of an output: scores where `network` makes probabilities of them, else the
/// values.
std::vector<Tensor> compared_values(const Graph& network, std::span<const Tensor> outputs);

}  // namespace espquant::measure
