#pragma once

#include <CLI/CLI.hpp>

#include "job/network.h"

/// The options of every command that opens an .onnx.
namespace espquant::cli {

/// --input-shape, --inputs and --outputs.
void add_network_options(CLI::App& command, job::NetworkOptions& options);
/// --cut-tail.
void add_cut_tail(CLI::App& command, job::NetworkOptions& options);

}  // namespace espquant::cli
