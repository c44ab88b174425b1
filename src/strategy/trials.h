#pragma once

#include "strategy/stepped_run.h"
#include "strategy/workbench.h"

namespace espquant::strategy {

/// Candidates that differ from a common base in a few layers each, compared on the same samples.
/// What a candidate has in common with the base is simulated once for all, as far as they are asked
/// for in the order in which their layers run.
class Trials {
 public:
  /// `bench` and `run` must outlive it. `means` is AsTheyAre or Match.
  Trials(const Workbench& bench, quant::Settings base, Means means, lower::Options options,
         const FloatRun& run);

  const quant::Settings& base() const { return base_; }
  /// As bench.make() gives it, whatever was asked for before.
  Candidate make(const quant::Settings& settings);
  /// Makes these settings the base of what comes.
  void rebase(quant::Settings base);

 private:
  void start();

  const Workbench& bench_;
  quant::Settings base_;
  Means means_;
  lower::Options options_;
  const FloatRun& run_;
  /// Of the base, as far as candidates have needed it.
  std::unique_ptr<SteppedRun> trunk_;
};

}  // namespace espquant::strategy
