#pragma once

#include <filesystem>
#include <string>

#include "cli/board_options.h"
#include "cli/commands.h"
#include "cli/network_options.h"

namespace espquant::cli {

/// What `check` is asked of an .onnx.
struct NetworkCheck {
  std::filesystem::path model;
  job::NetworkOptions network;
  /// Empty: esp32s3, and the newest release.
  std::string target, espdl;
  job::BoardOptions board;
  bool json = false;
};

/// Shows what the chip makes of each node, and what a run costs; the exit code is 1 where it cannot
/// run one.
void check_network(const NetworkCheck& command, Context& context);

}  // namespace espquant::cli
