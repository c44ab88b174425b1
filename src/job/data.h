#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "calib/calibrate.h"
#include "data/dataset.h"
#include "graph/graph.h"
#include "job/tell.h"

namespace espquant::job {

/// Where a command's data come from and how they become the network's inputs.
struct DataOptions {
  /// A file or folder; what to call `arrays` where those are given.
  std::filesystem::path path;
  /// In memory, as those of an .npz.
  std::shared_ptr<const data::NamedArrays> arrays;
  /// key=value settings of the preprocessing, and a TOML file with the same keys.
  std::vector<std::string> preprocess;
  std::filesystem::path preprocess_file;
  /// A file with the names of the classes in the network's order.
  std::filesystem::path classes;
  std::int64_t count = 0;  ///< 0: all
  std::int64_t seed = 0;   ///< 0: `count` samples evenly spread; else drawn at random
};

/// What data for a network must fit. Throws Error(Malformed) for one without inputs.
std::vector<data::InputSpec> input_specs(const Graph& network);

struct Data {
  std::unique_ptr<data::Dataset> dataset;
  data::Preprocess preprocess;
  std::vector<std::size_t> chosen;
  /// That the network tells apart; 0 where it is not known.
  std::int64_t class_count = 0;
  /// Hears what there is to say of the data.
  Tell tell = ignored;

  /// Refers to this object.
  calib::SampleSource source() const;
  /// Labels of the chosen samples; empty when there are none, or, with a note, when they mean
  /// nothing to the network. Which folder is which class is noted, too.
  std::vector<std::int64_t> labels() const;
};

/// `stored`, overridden by the file of the options, overridden by their key=value settings. Throws
/// Error(Usage) for a key that one of these gives twice.
data::Settings given_settings(const DataOptions& options, const data::Settings& stored);

/// The names in the file of the options; none without one.
std::vector<std::string> class_names(const DataOptions& options);

/// Opens the data for the inputs of `network`. `stored` and `classes` are settings and names found
/// in a model's metadata; the options override.
Data open_data(const DataOptions& options, const Graph& network, const Tell& tell,
               const data::Settings& stored = {}, std::span<const std::string> classes = {});

/// The same for a network that is to be quantized. Where it fixes a batch of several and the data
/// are samples of one, its batch becomes one, which is told.
Data open_data_for(const DataOptions& options, Graph& network, const Tell& tell);

}  // namespace espquant::job
