#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "espdl/model.h"
#include "graph/graph.h"
#include "job/data.h"
#include "survey/survey.h"
#include "target/target.h"

/// Opening an .onnx: which part of it, and of what size.
namespace espquant::job {

struct NetworkOptions {
  /// NAME=1,3,224,224; the name may be left out where there is one input.
  std::vector<std::string> input_shapes;
  /// Names of values or nodes at which the network is cut.
  std::vector<std::string> inputs, outputs;
  /// Cut off what the chip cannot run, where that is only a tail or a head.
  bool cut_tail = false;
};

/// The options that make this cut, as a shell takes them.
std::string options_of(const survey::Cut& cut);

/// The network as the options say, with whatever extents the file and they leave open. Errors carry
/// the file's name.
Graph read_network(const std::filesystem::path& path, const NetworkOptions& options);
/// The same with what can be imported of a network that cannot be as a whole: see
/// onnx::ImportOptions::refused.
Graph read_network(const std::filesystem::path& path, const NetworkOptions& options,
                   std::vector<Error>& refused);

/// The same as it is quantized with `data`, but not simplified: with all shapes, those that the
/// file leaves open as the data have them; checked; without outputs that are constants. What was
/// done to it that nobody asked for is told.
Graph import_network(const std::filesystem::path& path, const NetworkOptions& options,
                     const DataOptions& data, const Target& target, const Tell& tell);

/// The same, simplified, for comparison with `model`, an .espdl that was made of it: cut and sized
/// as the model is unless the options say otherwise. Where that takes one sample and the network
/// fixes a batch of several, the batch becomes one.
Graph load_network(const std::filesystem::path& path, const NetworkOptions& options,
                   const espdl::Model& model);

}  // namespace espquant::job
