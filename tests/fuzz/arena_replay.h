#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cost/memory_plan.h"
#include "sim/kernel.h"

/// A second opinion on what a chip computes: the kernels of the simulator, one node after the
/// other, on memory that is laid out as the runtime's planner does and really written over.
namespace espquant::test {

class ArenaReplay {
 public:
  /// `model` must outlive it. Throws what the planner and the operators throw.
  ArenaReplay(const espdl::Model& model, const Target& target, const sim::Options& options = {});

  /// One frame: writes the inputs (every input of the model, in its type and shape), runs, and
  /// reads the outputs when all is done, as an application does. Streaming operators go on from the
  /// frame before.
  std::map<std::string, Tensor> run(const std::map<std::string, Tensor>& inputs);

 private:
  struct Place {
    cost::Memory memory = cost::Memory::Psram;
    std::size_t offset = 0;
    sim::TensorDesc desc;
  };
  struct Step {
    const espdl::Node* node = nullptr;
    std::vector<const espdl::Constant*> constants;
    std::unique_ptr<sim::Kernel> kernel;
  };

  std::byte* address(const Place& place);
  void prepare(const espdl::Node& node, const Target& target, const sim::Options& options);
  void run(const Step& step);

  const espdl::Model& model_;
  std::map<std::string, Place> places_;
  std::vector<Step> steps_;
  std::vector<std::byte> internal_, psram_;
  sim::Workspace workspace_;
};

}  // namespace espquant::test
