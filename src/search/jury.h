#pragma once

#include <optional>
#include <vector>

#include "calib/calibrate.h"
#include "sim/program.h"

namespace espquant::search {

/// What a simulated network does on a jury's samples.
struct Verdict {
  double noise = 0;
  /// Of parts of the samples, dealt in turn; none where there are too few.
  std::vector<double> part_noises;
  /// Fractions, where the network gives class scores, and the samples have labels.
  std::optional<double> accuracy, reference_accuracy, agreement;
  /// Below the float network's accuracy, or half of the samples that were lost if that is more:
  /// what the chip gets right by chance may hide what it loses. Without labels, 1 - agreement.
  std::optional<double> accuracy_drop;
};

/// Samples that candidates are measured on again and again: what the float network makes of each
/// is computed once. Inputs are kept as far as memory allows, else read again.
class Jury {
 public:
  /// `samples` of `source`, with the labels of all samples of it, or none. `network` (simplified)
  /// is the reference.
  Jury(const Graph& network, calib::SampleSource source, std::vector<std::int64_t> labels,
       std::vector<std::int64_t> samples);

  std::int64_t size() const { return static_cast<std::int64_t>(samples_.size()); }
  Verdict of(const sim::Program& program) const;

 private:
  std::vector<Tensor> inputs_of(std::size_t i) const;

  const Graph& network_;
  calib::SampleSource source_;
  std::vector<std::int64_t> labels_;
  std::vector<std::int64_t> samples_;
  std::vector<std::vector<Tensor>> inputs_, outputs_;
  bool scores_ = false;
};

/// Where a search's samples go: those that decide, and those that only confirm.
struct Panel {
  std::vector<std::int64_t> deciding, confirming;
};

/// `samples` dealt in turn to both, at most `most` (0: any number) to the deciding ones; all to
/// these where there are fewer than `least` for each.
Panel panel_of(const std::vector<std::int64_t>& samples, std::int64_t most, std::int64_t least);

}  // namespace espquant::search
