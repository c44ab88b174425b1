#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "schedule/optimize.h"
#include "strategy/workbench.h"

/// What commands share that write quantized models.
namespace espquant::cli {

/// --name: of the files. It cannot lead out of the folder.
void add_name(CLI::App& command, std::string& name);

/// --fit.
void add_fit(CLI::App& command, std::optional<schedule::Goal>& goal);

/// --no-compile-req.
void add_compile_request_flag(CLI::App& command, bool& compile_request);

/// A bar on stderr for the stage that goes on, until the result is destroyed.
strategy::StageProgress show_stages(bool quiet);

}  // namespace espquant::cli
