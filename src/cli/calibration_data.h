#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "calib/calibrate.h"
#include "data/dataset.h"
#include "graph/graph.h"

namespace espquant::cli {

/// Where a command's data come from and how they become the network's inputs.
struct DataOptions {
  std::filesystem::path path;
  /// key=value settings of the preprocessing, and a TOML file with the same keys.
  std::vector<std::string> preprocess;
  std::filesystem::path preprocess_file;
  std::int64_t count = 0;  ///< 0: all
  std::int64_t seed = 0;   ///< 0: `count` samples evenly spread; else drawn at random
};

/// --calib.
CLI::Option* add_calib(CLI::App& command, std::filesystem::path& path);
/// --data: what a command measures on.
CLI::Option* add_data(CLI::App& command, std::filesystem::path& path, const std::string& text);
/// --count: on how many samples of it. 0, and the default, is what `otherwise` says.
CLI::Option* add_count(CLI::App& command, std::int64_t& count, const std::string& otherwise);
/// --preprocess and --preprocess-file; `otherwise` says what holds without them.
void add_preprocess(CLI::App& command, DataOptions& options, const std::string& otherwise);

struct Data {
  std::unique_ptr<data::Dataset> dataset;
  data::Preprocess preprocess;
  std::vector<std::size_t> chosen;

  /// Refers to this object.
  calib::SampleSource source() const;
  /// Labels of the chosen samples; empty when there are none.
  std::vector<std::int64_t> labels() const;
};

/// `stored`, overridden by the file of the options, overridden by their key=value settings. Throws
/// Error(Usage) for a key that one of these gives twice.
data::Settings given_settings(const DataOptions& options, const data::Settings& stored);

/// What data for a network must fit. Throws Error(Malformed) for one without inputs.
std::vector<data::InputSpec> input_specs(const Graph& network);

/// Opens the data for the inputs of `network`. `stored` are settings found in a model's metadata;
/// the options override.
Data open_data(const DataOptions& options, const Graph& network, const data::Settings& stored = {});

/// The same for a network that is to be quantized. Where it fixes a batch of several and the data
/// are samples of one, its batch becomes one, which is said on stderr.
Data open_data_for(const DataOptions& options, Graph& network);

}  // namespace espquant::cli
