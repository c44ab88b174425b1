#pragma once

#include "strategy/noise_sources.h"
#include "strategy/stepped_run.h"
#include "strategy/workbench.h"

namespace espquant::strategy {

/// Candidates that differ from a common base in a few layers each, compared on the same samples.
/// What a candidate has in common with the base is simulated once for all, as far as they are asked
/// for in the order in which their layers run.
class Trials {
 public:
  /// `bench` must outlive it, and have held out samples (Workbench::hold_out). Where means are
  /// matched at all, that is always worth it in a comparison.
  Trials(const Workbench& bench, quant::Settings base, Means means)
      : Trials(bench, std::move(base), means, bench.run()) {}
  /// On other samples, which must outlive it.
  Trials(const Workbench& bench, quant::Settings base, Means means, const FloatRun& run);

  /// As bench.judged() gives it, whatever was asked for before.
  Candidate make(const quant::Settings& settings);
  /// The same of several, some of them side by side: `visit` gets each, in their order.
  void make_each(std::span<const quant::Settings> all,
                 const std::function<void(std::size_t, Candidate)>& visit);
  /// Noise of the base with one tensor rounded to 8 bits, for each; see SteppedRun::narrow.
  /// Quickest in the order in which they are written.
  struct Narrowing {
    std::string tensor;
    float step = 0;
  };
  std::vector<measure::OutputNoise> narrow_each(std::span<const Narrowing> all);
  /// Makes these settings the base of what comes.
  void rebase(quant::Settings base);

 private:
  std::unique_ptr<SteppedRun> run_of(Candidate draft) const;
  /// Puts a run that has not begun where the trunk must part with it.
  void branch(SteppedRun& run);
  using Runs = std::vector<std::unique_ptr<SteppedRun>>;
  /// Finishes `count` runs, some of them side by side: as `start` gives those from `first` to
  /// `end`.
  static void finish_each(std::size_t count,
                          const std::function<Runs(std::size_t first, std::size_t end)>& start,
                          const std::function<void(std::size_t, Candidate)>& visit);

  const Workbench& bench_;
  const FloatRun& run_;
  quant::Settings base_;
  bool match_means_;
  /// Of the base, as far as candidates have needed it.
  std::unique_ptr<SteppedRun> trunk_;
};

/// Rounding each of `tensors`, in the network of `wide` settings, to the 8 bits that it has by
/// `narrow`.
std::vector<Trials::Narrowing> narrowings_of(const Workbench& bench,
                                             std::span<const SharedTensor> tensors,
                                             const quant::Settings& narrow,
                                             const quant::Settings& wide);

}  // namespace espquant::strategy
