#pragma once

#include <limits>
#include <vector>

#include "calib/calibrate.h"
#include "graph/graph.h"

namespace espquant::strategy {

/// Numbers from `low` to `high`; without bound where infinite.
struct Range {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();

  float clamp(float x) const { return x < low ? low : x > high ? high : x; }
  /// The larger magnitude of both ends.
  float reach() const;
  bool is_bounded() const;
  bool operator==(const Range&) const = default;
};

/// What a network's activations are, by ValueId.
struct Observed {
  /// Infinities included, NaN not.
  std::vector<Range> extents;
  /// The smallest magnitude other than 0.
  std::vector<float> least;
  /// Of what a Softmax reads: the least of its rows' largest elements. Rows that are masked
  /// throughout by so much that float32 does not see their scores do not count, unless all are.
  std::vector<float> lowest_row;
  /// Whether there are such rows: float32 makes equal probabilities of them.
  std::vector<bool> has_lost_rows;

  /// As if each lay within -1 and 1.
  static Observed nothing(const Graph& network);
};

/// Over `count` samples of `source`, evenly spread.
Observed observe(const Graph& network, const calib::SampleSource& source, std::int64_t count);

/// What of each activation decides anything: elements beyond its range may as well stand at its
/// end, nothing behind them tells the difference in so many bits. Bounded where all readers
/// saturate or take the largest: Softmax, Sigmoid, Exp, Clip, ReduceMax, ..., also through nodes
/// that move, add or scale.
class DecisiveRanges {
 public:
  DecisiveRanges(const Graph& network, const Observed& observed, int bits);

  Range of(ValueId v) const { return ranges_[static_cast<std::size_t>(v)]; }
  /// Of an operand by that reader alone, of constants, too.
  Range of_operand(NodeId reader, std::size_t input) const;

 private:
  Range extent(ValueId v) const;
  float largest_sum(const Node& n) const;
  Range of_sum(const Node& n, std::size_t input, Range out) const;
  Range of_product(const Node& n, std::size_t input, Range out) const;
  Range of_function(const Node& n, Range out) const;

  const Graph& network_;
  const Observed& observed_;
  int bits_;
  std::vector<Range> ranges_;
};

/// True when every element of the outputs is one of the first input, or new (Pad, InsertZeros).
bool only_moves_data(const Node& n);

/// From the least to the largest element.
Range extent_of(const Tensor& constant);

}  // namespace espquant::strategy
