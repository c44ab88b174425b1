#pragma once

#include <map>
#include <vector>

#include "calib/calibrate.h"
#include "quant/plan.h"

namespace espquant::quant {

/// How much the relative error of a value counts where it shares an exponent with others: as much
/// as its readers lose by it.
///
/// The result of an Add or Sub carries the errors of its operands as they are, so an operand counts
/// by its signal over that of the result; where nearly equal operands cancel, by more than 1. The
/// operands of a Concat meet different weights of the layers behind it: each counts by its part of
/// what such a layer sees, its signal times the mean square of the weights that it meets. What only
/// moves data, and Relu and Clip, are looked through. Of several readers the one that loses most
/// decides. A value that no such node reads counts as 1.
///
/// Signals are those of the calibration, powers of two cancel; the readers' own sums are taken as
/// if the operands were independent.
class Shares {
 public:
  Shares(const Graph& graph, const Plan& plan, const calib::Statistics& statistics);

  /// Among the values that share its exponent.
  double of(ValueId v) const { return shares_[static_cast<std::size_t>(v)]; }
  /// Of an operand, by that one reader `n`, which is an Add, Sub or Concat.
  double of_operand(ValueId v, NodeId n) const;

 private:
  /// What a reader behind a Concat sees: the weights that the elements of each operand meet, and
  /// how much the reader's relative loss counts.
  struct View {
    std::vector<double> weights;
    double share = 1;
    /// The reader has the result among other operands: what it loses is relative to their sum.
    double of_signal = 0;
  };

  void gather_signals(const std::vector<NodeId>& order);
  double signal(ValueId v) const;
  double by_reader(ValueId v, NodeId n) const;
  void look_at_concat(NodeId n);
  std::vector<View> views_of(const Node& concat) const;

  const Graph& graph_;
  const Plan& plan_;
  const calib::Statistics& statistics_;
  std::vector<double> signals_, shares_;
  /// By Concat and operand index.
  std::map<NodeId, std::vector<double>> concats_;
};

}  // namespace espquant::quant
