#pragma once

#include <deque>
#include <optional>

#include "cost/latency.h"
#include "passes/pass_manager.h"
#include "recipe/recipe.h"
#include "strategy/candidate.h"

namespace espquant::strategy {

/// Called when a stage begins and as it goes on; total is 0 where the length is unknown.
using StageProgress =
    std::function<void(std::string_view stage, std::int64_t done, std::int64_t total)>;

/// What is done about means that the chip's rounding and clipping shift, see SteppedRun.
enum class Means : std::uint8_t {
  AsTheyAre,
  MatchOrUndo,  ///< matched, and undone where the result is noisier
};

/// Fewer samples to judge on than this tell little: below twice as many, samples that fitted judge.
inline constexpr std::int64_t kLeastJudgedSamples = 32;
/// Biases are corrected on fewer, but weights fitted to them would follow their noise.
inline constexpr std::int64_t kLeastReconstructionSamples = 16;

/// A calibrated float network, from which candidates are made by different settings without looking
/// at the data again.
class Workbench {
 public:
  /// Calibrates `network` (simplified) on all samples of `source`, with their labels if there are
  /// any. Settings given to make() may differ in widths of layers and in switches, not in target
  /// or methods.
  Workbench(Graph network, quant::Settings settings, calib::SampleSource source,
            std::span<const std::int64_t> labels = {}, const StageProgress& progress = {});

  /// For trials of another network in place of that of `other`, which must outlive it: calibrated
  /// on the samples that `other` fits to, and judged on those that it has held out, against what
  /// `other` puts out in float. Exponents in doubt are looked at on fewer of them.
  Workbench(Graph network, const Workbench& other);

  /// On which board and how many cores milliseconds are estimated: the usual board's unless said.
  void estimate_with(cost::LatencyOptions latency) { latency_ = std::move(latency); }
  const cost::LatencyOptions& latency() const { return latency_; }
  /// Whether they are those of the model as schedule::optimize makes it for latency.
  void estimate_rearranged(bool rearranged) { rearranged_ = rearranged; }
  /// Of one run of a lowered candidate, by these.
  double milliseconds_of(const espdl::Model& model, const Target& target) const;

  const Graph& network() const { return network_; }
  const quant::Settings& settings() const { return settings_; }
  const quant::Plan& plan() const { return *plan_; }
  const quant::Calibration& calibration() const { return calibration_; }
  /// All calibration samples, and their labels if there are any.
  const calib::SampleSource& source() const { return source_; }
  std::span<const std::int64_t> labels() const { return labels_; }
  /// The samples that candidates are fitted to, and what the float network makes of them (on a
  /// bench for trials, the other's).
  const FloatRun& run() const { return run_; }
  /// Adds samples to judge on, as far as there are enough: what candidates gain on those that they
  /// were fitted to is partly chance.
  void hold_out();

  /// Of source(), ascending; none where there are too few samples to hold any out.
  std::vector<std::int64_t> judged_samples() const { return pick_samples().judged; }
  /// Likewise, those that candidates are fitted to.
  std::vector<std::int64_t> fitted_samples() const { return pick_samples().fitted; }

  /// Calibration samples that are neither fitted to nor judged on, at most as many as are fitted
  /// to; none where they would be too few to tell anything.
  calib::SampleSource unseen() const;

  /// A part of run(), for a first look at many candidates: so many samples to fit to, and to judge
  /// on.
  FloatRun part_of_run(std::int64_t count) const;

  /// Quantizes and lowers; the noise is not known yet.
  Candidate draft(const quant::Settings& settings) const;

  /// A draft with the noise at its outputs on the samples to judge on, its means matched and its
  /// weights fitted unless they are to stay as they are; nothing is undone. The last few are
  /// remembered: valid until another is asked for.
  const Candidate& judged(const quant::Settings& settings, Means means);
  /// Remembers it as that.
  void keep(const quant::Settings& settings, Means means, Candidate candidate);
  /// The same, undone if it is noisier on the samples to judge on and `means` says so.
  Candidate make(const quant::Settings& settings, Means means);
  /// The settings, without fitting weights where that makes more noise on the samples to judge on.
  /// Only looked at where the noise there is clearly more than on the samples fitted to: else there
  /// is little that fitting could have gained by chance.
  quant::Settings with_fitting_settled(const quant::Settings& settings, Means means);

 private:
  void calibrate(const ops::Executor& executor, const calib::Watch& watch);
  void measure_step_noise(std::size_t most_samples);
  void gather_covariances(const ops::Executor& executor);
  struct PickedSamples {
    std::vector<std::int64_t> fitted, judged;
  };
  PickedSamples pick_samples() const;
  bool reconstructs() const;

  Graph network_;
  cost::LatencyOptions latency_;
  bool rearranged_ = false;
  quant::Settings settings_;
  calib::SampleSource source_;
  std::vector<std::int64_t> labels_;
  std::optional<quant::Plan> plan_;
  quant::Calibration calibration_;
  FloatRun run_;
  bool held_out_ = false;
  struct Judged {
    quant::Settings settings;
    Means means;
    Candidate candidate;
  };
  /// The one asked for last at the end.
  std::deque<Judged> judged_;
};

/// What `recipe` asks of every layer of `network` (simplified), but for its mixed section. Throws
/// Error(Usage) where a pattern matches no layer.
quant::Settings settings_of(const recipe::Recipe& recipe, const Graph& network,
                            const Target& target);

/// Layers whose own name, or that of a tensor they write, matches one of the patterns.
std::vector<std::string> matching_layers(const Graph& network,
                                         std::span<const std::string> patterns);

/// `count` of `size` indices, evenly spread.
std::vector<std::int64_t> evenly_spread(std::int64_t size, std::int64_t count);

}  // namespace espquant::strategy
