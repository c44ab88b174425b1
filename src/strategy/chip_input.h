#pragma once

#include <deque>
#include <optional>

#include "calib/output_samples.h"
#include "lower/lower.h"
#include "quant/reconstruction.h"
#include "sim/program.h"

namespace espquant::strategy {

/// The input of a weighted layer as the chip has it, in frames that are about to run the layer.
class ChipInput {
 public:
  /// `order` is that of what the layer reads. Nothing where that is not an integer tensor.
  static std::optional<ChipInput> of(const Graph& graph, const Node& layer, lower::Order order,
                                     const sim::Program& program);

  /// Mean over the frames under each weight of a filter, see quant::InputMeans.
  std::vector<double> mean_under_weights(std::deque<sim::Program::Frame>& frames) const;

  /// What the filters see at the positions of `outputs`, beside these times `factor`. The halves
  /// are the frames of even and of odd number.
  quant::LayerEvidence evidence(std::deque<sim::Program::Frame>& frames,
                                const calib::OutputSamples& outputs, float factor) const;

 private:
  ChipInput(const Graph& graph, const Node& layer, lower::Order order, const sim::Program& program,
            std::size_t tensor)
      : graph_(graph),
        layer_(layer),
        order_(std::move(order)),
        program_(program),
        tensor_(tensor) {}

  const Shape& shape() const { return *graph_.value(layer_.inputs[0]).shape; }
  std::vector<float> mean(std::deque<sim::Program::Frame>& frames) const;

  const Graph& graph_;
  const Node& layer_;
  lower::Order order_;
  const sim::Program& program_;
  std::size_t tensor_;
};

}  // namespace espquant::strategy
