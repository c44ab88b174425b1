#pragma once

#include "cli/commands.h"
#include "job/check_network.h"

namespace espquant::cli {

/// What `check` is asked of an .onnx.
struct NetworkCheck {
  job::NetworkCheckJob job;
  bool json = false;
};

/// Shows what the chip makes of each node, and what a run costs; the exit code is 1 where it cannot
/// run one.
void check_network(const NetworkCheck& command, Context& context);

}  // namespace espquant::cli
