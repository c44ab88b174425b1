#include "cli/calibration_data.h"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "base/error.h"
#include "cli/validators.h"
#include "passes/single_batch.h"

namespace espquant::cli {

CLI::Option* add_calib(CLI::App& command, std::filesystem::path& path) {
  return command.add_option("--calib", path, "Calibration data: .npz, .npy, or a folder of images")
      ->type_name("DATA");
}

CLI::Option* add_data(CLI::App& command, std::filesystem::path& path, const std::string& text) {
  return command.add_option("--data", path, text)->type_name("DATA");
}

CLI::Option* add_count(CLI::App& command, std::int64_t& count, const std::string& otherwise) {
  return command
      .add_option("--count", count,
                  fmt::format("Measure on at most this many samples, evenly spread (default: {})",
                              otherwise))
      ->check(whole_number(1))
      ->type_name("N");
}

void add_preprocess(CLI::App& command, DataOptions& options, const std::string& otherwise) {
  command
      .add_option("--preprocess", options.preprocess,
                  fmt::format("How pictures are prepared, by the keys below; may be repeated "
                              "(default: {})",
                              otherwise))
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command
      .add_option("--preprocess-file", options.preprocess_file,
                  "The same keys in a TOML file; --preprocess overrides it")
      ->type_name("FILE");
}

calib::SampleSource Data::source() const {
  return {static_cast<std::int64_t>(chosen.size()),
          [this](std::int64_t i) { return dataset->sample(chosen[static_cast<std::size_t>(i)]); }};
}

std::vector<std::int64_t> Data::labels() const {
  std::vector<std::int64_t> picked;
  std::optional<std::vector<std::int64_t>> all;
  try {
    all = dataset->labels();
  } catch (const Error& error) {
    // What the labels mean is unknown, but the rest of the evaluation does not need them.
    fmt::print(stderr, "espquant: note: the labels are left out: {}\n", error.what());
  }
  if (!all) return picked;
  for (std::size_t i : chosen) picked.push_back(all->at(i));
  return picked;
}

data::Settings given_settings(const DataOptions& options, const data::Settings& stored) {
  data::Settings settings = stored;
  if (!options.preprocess_file.empty())
    settings = data::overridden(settings, data::read_settings(options.preprocess_file));
  return data::overridden(settings, data::parse_settings(options.preprocess));
}

std::vector<data::InputSpec> input_specs(const Graph& network) {
  std::vector<data::InputSpec> inputs;
  for (ValueId v : network.inputs()) {
    const Value& input = network.value(v);
    inputs.push_back({input.name, input.shape.value_or(Shape()),
                      input.given != DType::Undefined || !is_float(input.dtype)});
  }
  if (inputs.empty()) throw Error(ErrorCode::Malformed, "the network has no input");
  return inputs;
}

Data open_data(const DataOptions& options, const Graph& network, const data::Settings& stored) {
  const std::vector<data::InputSpec> inputs = input_specs(network);
  Data data;
  data.preprocess = data::preprocess_for(inputs.front(), given_settings(options, stored));
  data.dataset = data::open_dataset(options.path, inputs, data.preprocess);
  const std::size_t size = data.dataset->size();
  data.chosen = data::pick(
      size, options.count > 0 ? static_cast<std::size_t>(options.count) : size,
      options.seed != 0 ? std::optional(static_cast<std::uint64_t>(options.seed)) : std::nullopt);
  if (data.chosen.empty())
    throw Error(ErrorCode::BadData, "holds no samples")
        .file(options.path.string())
        .remedy("Give at least a few dozen inputs");
  return data;
}

Data open_data_for(const DataOptions& options, Graph& network) {
  try {
    return open_data(options, network);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::BadData) throw;
    Graph single = network;
    const std::int64_t batch = passes::set_batch_to_one(single);
    if (batch == 1) throw;
    Data data = open_data(options, single);
    network = std::move(single);
    fmt::print(stderr, "espquant: note: the network's batch of {} is set to 1\n", batch);
    return data;
  }
}

}  // namespace espquant::cli
