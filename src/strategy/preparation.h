#pragma once

#include <deque>
#include <memory>

#include "strategy/balanced.h"
#include "strategy/stopwatch.h"

namespace espquant::strategy {

/// What recipes for one network and the same samples have in common, each part made when it is
/// first asked for and kept: the simplified network and the calibrated Workbench of it.
class Preparation {
 public:
  /// `labels` of the samples, or none.
  Preparation(Graph imported, calib::SampleSource source, std::vector<std::int64_t> labels = {})
      : imported_(std::move(imported)), source_(std::move(source)), labels_(std::move(labels)) {}

  struct Simplified {
    std::vector<std::string> disabled_passes, unrolled;
    Graph network;
    std::vector<passes::PassRecord> passes;
  };

  const calib::SampleSource& source() const { return source_; }
  std::span<const std::int64_t> labels() const { return labels_; }
  const Graph& imported() const { return imported_; }
  /// The float network after rewriting, recurrent layers named in `unrolled` as ordinary operators
  /// where that is possible. Throws what passes::simplify throws. Valid as long as this object.
  const Simplified& simplified(const std::vector<std::string>& disabled_passes,
                               const std::vector<std::string>& unrolled = {});
  /// Of the network so simplified; one for settings that are equal but for the widths of weights,
  /// which calibration does not see. Throws as Workbench.
  std::shared_ptr<Workbench> workbench(const Simplified& network, const quant::Settings& settings,
                                       const StageProgress& progress = {});

  struct Equalized {
    std::shared_ptr<Workbench> bench;
    std::vector<EqualizationTrial> trials;
  };
  /// The network of `plain` equalized as balance() does, under `settings`, and calibrated again
  /// where that changed it. Where there is one way only, widths of weights decide nothing, and the
  /// noise that it is said to make is that under the settings which asked first.
  const Equalized& equalized(const std::shared_ptr<Workbench>& plain,
                             const quant::Settings& settings,
                             const recipe::Recipe::Equalization& equalization, Means means,
                             Stopwatch& watch);
  /// Lets go of all benches but the last `count` that were asked for; those in use live on.
  void keep_benches(std::size_t count);

 private:
  struct EqualizedBench {
    std::shared_ptr<Workbench> plain;
    quant::Settings settings;
    recipe::Recipe::Equalization equalization;
    Means means;
    Equalized made;
  };
  struct Bench {
    const Simplified* network;
    std::shared_ptr<Workbench> bench;
  };

  Graph imported_;
  calib::SampleSource source_;
  std::vector<std::int64_t> labels_;
  /// Elements of a deque stay where they are.
  std::deque<Simplified> simplified_;
  /// The one asked for last at the end.
  std::deque<Bench> benches_;
  std::deque<EqualizedBench> equalized_;
};

}  // namespace espquant::strategy
