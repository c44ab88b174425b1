#pragma once

#include <CLI/CLI.hpp>

#include "job/board.h"

namespace espquant::cli {

/// --board and --cores.
void add_board(CLI::App& command, job::BoardOptions& options);

}  // namespace espquant::cli
