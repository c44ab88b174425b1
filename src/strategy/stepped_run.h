#pragma once

#include <deque>
#include <memory>

#include "measure/simulate.h"
#include "strategy/candidate.h"

namespace espquant::strategy {

class ChipInput;

/// Which of a FloatRun's samples go through in step.
enum class InStep : std::uint8_t {
  All,
  Fitted,  ///< those to judge on follow one by one, when the candidate is finished
};

/// The samples of a FloatRun going through a candidate's simulated network in step, node after
/// node. On the way biases may be set so that every layer's mean output is the float network's,
/// given the inputs that the chip really computes, each layer seeing the corrections before it
/// (empirical bias correction, Nagel et al. 2019, appendix D); and, where the run knows the outputs
/// of layers, weights fitted to these inputs (see quant::reconstruct).
class SteppedRun {
 public:
  /// Before the first node of `draft`. `plan`, `target` and `run` must outlive it.
  SteppedRun(Candidate draft, const quant::Plan& plan, const Target& target, const FloatRun& run,
             bool match_means, InStep samples = InStep::All);
  SteppedRun(const SteppedRun&) = delete;
  SteppedRun& operator=(const SteppedRun&) = delete;

  /// Nodes that have run.
  std::size_t position() const { return position_; }
  /// The number of nodes at the front in which `other`, which has not begun, would do the same, and
  /// behind which it could go on from this one's tensors.
  std::size_t shared_nodes(const SteppedRun& other) const;
  /// Puts a run that has not begun where `trunk` stands, which must not be beyond shared_nodes():
  /// what the two have in common up to there is taken over, not computed again.
  void go_on_from(SteppedRun& trunk);

  /// Runs nodes until `position` of them have.
  void advance(std::size_t position);
  /// Rounds what a tensor holds now as if it had 8 bits of `step` (real, in the tensor's scale).
  void narrow(const std::string& tensor, float step);
  /// Runs the rest. The result knows its noise on the samples to judge on, where there are any,
  /// else on those it was fitted to; the run is over.
  Candidate finish();

 private:
  void prepare();
  void find_layers();
  /// The inputs, unless they are there already.
  void feed();
  std::size_t sample_count() const { return frames_.size() + judged_.size(); }
  void for_each_frame(const std::function<void(std::size_t, sim::Program::Frame&)>& visit);
  void match(std::size_t node, NodeId layer);
  void reconstruct(std::size_t node, NodeId layer, const ChipInput& input,
                   const calib::OutputSamples& outputs);
  /// Puts the weights of the graph's layer into the model.
  void store_filter(std::size_t node, const Node& n);
  void take_parameters(const SteppedRun& trunk);
  void take_tensors(SteppedRun& trunk);

  /// As it was drafted: what other drafts are compared with.
  espdl::Model drafted_;
  Candidate candidate_;
  const quant::Plan& plan_;
  const Target& target_;
  const FloatRun& run_;
  bool match_means_;
  InStep samples_;
  quant::MeanOutputs wanted_;
  std::unique_ptr<sim::Program> program_;
  std::unique_ptr<measure::SimulatedNetwork> network_;
  /// Of the samples that the candidate is fitted to, and of those to judge on, if these go in step.
  std::deque<sim::Program::Frame> frames_, judged_;
  /// By worker.
  std::vector<sim::Scratch> scratch_;
  /// Layers whose means are matched, by index of the program's node.
  std::map<std::size_t, NodeId> layers_;
  std::size_t position_ = 0;
  bool fed_ = false;
};

/// The candidate after all of its nodes: a SteppedRun by itself.
Candidate run_in_step(Candidate draft, const quant::Plan& plan, const Target& target,
                      const FloatRun& run, bool match_means);

}  // namespace espquant::strategy
