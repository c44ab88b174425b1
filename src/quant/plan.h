#pragma once

#include <vector>

#include "calib/calibrate.h"
#include "quant/groups.h"
#include "quant/settings.h"
#include "quant/widths.h"

namespace espquant::quant {

/// Factors between powers of two that a scale group may take: 2^(j / kFactorsPerOctave).
inline constexpr int kFactorsPerOctave = 4;

/// What is known of the tensors before the data are seen: which share exponents, which may be
/// scaled, and which least significant bits are worth trying for each.
struct Plan {
  ValueSets exponents;
  ScaleGroups scales;
  /// By scale-group representative: the cap (upper Clip bound) that the group carries, or 0.
  std::vector<float> cap;
  /// By ValueId: the value is rounded when the chip writes it, so its quantization error counts.
  /// Others are moved, or never written.
  std::vector<bool> rounded;
  /// By ValueId: a value that is only moved, but rounded to another exponent by an Add, Sub or
  /// Concat that reads it.
  std::vector<bool> rounded_by_reader;
  /// By ValueId: how its exponent is chosen.
  std::vector<Method> methods;
  std::vector<double> percentiles;
  /// By ValueId, or empty: what takes 16 bits whatever the width of all layers, since 8 bits cannot
  /// hold it (scores_beyond_8_bits, part_uneven_outputs).
  std::vector<bool> wide;
  /// By ValueId: results of the network: outputs, and scores before a Softmax that makes one.
  std::vector<bool> results;
  /// By ValueId: those among them of which the largest carries the answer: a vector of scores, and
  /// what a Softmax reads. Where they are clipped they tie. Auto is Sqnr for them, and for other
  /// results Mse.
  std::vector<bool> scores;
  /// By ValueId, for calib::gather.
  std::vector<calib::Request> requests;

  bool uses(Method method) const;
};

/// `ranges` comes from calib::scan over a few samples; the windows of steps are laid around it.
Plan make_plan(const Graph& graph, const Settings& settings, const calib::Statistics& ranges);

/// Sets plan.methods and plan.percentiles as `settings` say. The statistics must have what the
/// methods need.
void choose_methods(const Graph& graph, const Settings& settings, Plan& plan);

/// Values whose error is least at the edge of the window that was tried, because the first samples
/// did not show the range of the rest: the plan's windows are moved there. Returns true when
/// another pass over the data is needed.
bool widen_plan(Plan& plan, const Settings& settings, const calib::Statistics& gathered);

}  // namespace espquant::quant
