#pragma once

#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "sim/program.h"

namespace espquant::measure {

/// The order in which an .espdl stores the axes of a network's tensor of `shape` (N,C,H,W): as its
/// metadata say, else whichever of the network's own order and channels-last gives the stored
/// shape. Throws Error(BadData) where neither does.
std::vector<std::int64_t> stored_order(const sim::Program& program, std::size_t tensor,
                                       const Shape& shape);

/// `real` (any order) as the integers, or floats, of tensor description `desc`, rounded as the
/// chip's assign() does.
void store(std::span<const float> real, const sim::TensorDesc& desc, const Target& target,
           std::byte* into);

/// The real values of a tensor of the chip.
void load(const std::byte* stored, const sim::TensorDesc& desc, std::span<float> into);

/// Runs a Program on float inputs in the network's layout and gives float outputs in the network's
/// layout.
class SimulatedNetwork {
 public:
  /// Matches inputs and outputs of `network` (names, shapes) with those of the program: by name,
  /// else by position. Inputs that no node of the network reads may be missing in the program.
  /// Throws Error(BadData) where they do not fit.
  SimulatedNetwork(const sim::Program& program, const Graph& network);

  const sim::Program& program() const { return program_; }
  /// `inputs` in the order of network.inputs(); the result in the order of network.outputs().
  std::vector<Tensor> run(std::span<const Tensor> inputs, sim::Program::Frame& frame) const;
  /// Only sets the inputs.
  void feed(std::span<const Tensor> inputs, sim::Program::Frame& frame) const;
  /// Only reads the outputs, of a frame that has run.
  std::vector<Tensor> read(sim::Program::Frame& frame) const;

 private:
  struct Port {
    std::size_t tensor;
    Shape shape;
    std::vector<std::int64_t> order;
  };
  const sim::Program& program_;
  std::vector<Port> inputs_, outputs_;
  /// Inputs of the network, and which of them each of inputs_ is.
  std::size_t given_inputs_ = 0;
  std::vector<std::size_t> positions_;
};

}  // namespace espquant::measure
