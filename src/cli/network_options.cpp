#include "cli/network_options.h"

namespace espquant::cli {

void add_network_options(CLI::App& command, job::NetworkOptions& options) {
  constexpr const char* kGroup = "Network";
  command
      .add_option("--input-shape", options.input_shapes,
                  "Shape of an input whose extents the .onnx leaves open (default: that of the "
                  "data): NAME=1,3,224,224, once for each input")
      ->allow_extra_args(false)
      ->type_name("NAME=SHAPE")
      ->group(kGroup);
  command
      .add_option("--inputs", options.inputs,
                  "Begin the .onnx at these values or nodes, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAMES")
      ->group(kGroup);
  command
      .add_option("--outputs", options.outputs,
                  "End the .onnx at these values or nodes, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAMES")
      ->group(kGroup);
}

void add_cut_tail(CLI::App& command, job::NetworkOptions& options) {
  command
      .add_flag("--cut-tail", options.cut_tail,
                "Leave what the chip cannot run to the application, where that is only decoding "
                "behind the last layer (espquant check shows where)")
      ->group("Network");
}

}  // namespace espquant::cli
