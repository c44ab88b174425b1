#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measure/noise.h"

namespace espquant::measure {

/// The noise of a network's outputs, each apart, and of one output each part apart whose signal is
/// of another size: where boxes of a hundred pixels stand beside probabilities of a hundredth,
/// their sum says nothing of the probabilities.
class OutputNoise {
 public:
  /// What stands together in one output, as it was put together by Concat.
  struct Part {
    /// Which of the network's outputs, and its name.
    std::size_t output = 0;
    std::string output_name;
    /// The tensors that it is made of; empty where the output has no other part.
    std::string name;
    Noise noise;
    double elements = 0;
    /// Of the probabilities, where `noise` is that of the scores that they are made of.
    std::optional<Noise> probabilities;

    /// Mean square of the float signal.
    double power() const { return elements > 0 ? noise.signal / elements : 0; }
  };

  OutputNoise() = default;
  explicit OutputNoise(std::vector<Part> parts) : parts_(std::move(parts)) {}

  std::vector<Part>& parts() { return parts_; }
  const std::vector<Part>& parts() const { return parts_; }
  /// Of the same outputs.
  void add(const OutputNoise& other);

  /// The parts, those of one output together whose root mean squares are less than an order of
  /// magnitude apart; in the order of outputs, the smallest signal first.
  std::vector<Part> groups() const;
  /// Which parts() each of these is made of.
  std::vector<std::vector<std::size_t>> grouping() const;
  /// The group that loses most; groups without a signal do not count unless there is no other.
  /// Nothing where there are no outputs.
  std::optional<Part> worst() const;
  /// Of that group; 0 where there is none.
  double ratio() const;
  /// The mean of the groups' ratios: adds up over independent causes, as ratio() does not.
  double mean_ratio() const;
  /// Whether the worst group, or where that is no worse the mean, is less than `share` of that of
  /// `other`.
  bool is_below(double share, const OutputNoise& other) const;
  bool is_finite() const;

 private:
  std::vector<Part> parts_;
};

}  // namespace espquant::measure
