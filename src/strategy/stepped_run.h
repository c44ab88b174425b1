#pragma once

#include <deque>
#include <memory>

#include "strategy/candidate.h"
#include "strategy/simulate.h"

namespace espquant::strategy {

/// All samples of a FloatRun going through a candidate's simulated network in step, node after
/// node. On the way biases may be set so that every layer's mean output is the float network's,
/// given the inputs that the chip really computes, each layer seeing the corrections before it
/// (empirical bias correction, Nagel et al. 2019, appendix D).
class SteppedRun {
 public:
  /// Before the first node of `draft`. `plan`, `target` and `run` must outlive it.
  SteppedRun(Candidate draft, const quant::Plan& plan, const Target& target, const FloatRun& run,
             bool match_means);
  /// Of another draft, standing where `trunk` stands, which must not be beyond shared_nodes(): what
  /// the two have in common up to there is taken over, not computed again.
  SteppedRun(Candidate draft, SteppedRun& trunk);
  SteppedRun(const SteppedRun&) = delete;
  SteppedRun& operator=(const SteppedRun&) = delete;

  /// Nodes that have run.
  std::size_t position() const { return position_; }
  /// The number of nodes at the front in which a run of `draft` would do the same, and behind which
  /// it could go on from this one's tensors.
  std::size_t shared_nodes(const Candidate& draft) const;

  /// Runs nodes until `position` of them have.
  void advance(std::size_t position);
  /// Runs the rest. The result knows its noise; the run is over.
  Candidate finish();

 private:
  void prepare();
  void find_layers();
  void feed();
  void match(std::size_t node, NodeId layer);
  void take_biases(const SteppedRun& trunk);
  void take_tensors(SteppedRun& trunk);

  /// As it was drafted: what other drafts are compared with.
  espdl::Model drafted_;
  Candidate candidate_;
  const quant::Plan& plan_;
  const Target& target_;
  const FloatRun& run_;
  bool match_means_;
  quant::MeanOutputs wanted_;
  std::unique_ptr<sim::Program> program_;
  std::unique_ptr<SimulatedNetwork> network_;
  std::deque<sim::Program::Frame> frames_;
  /// Layers whose means are matched, by index of the program's node.
  std::map<std::size_t, NodeId> layers_;
  std::size_t position_ = 0;
};

/// The candidate with its means matched on the samples of `run`.
Candidate match_means(Candidate draft, const quant::Plan& plan, const Target& target,
                      const FloatRun& run);

}  // namespace espquant::strategy
