#include "cli/calibration_data.h"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "base/error.h"
#include "passes/single_batch.h"

namespace espquant::cli {

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

Data open_data(const DataOptions& options, const Graph& network, const data::Settings& stored) {
  std::vector<data::InputSpec> inputs;
  for (ValueId v : network.inputs()) {
    const Value& input = network.value(v);
    inputs.push_back(
        {input.name, *input.shape, input.given != DType::Undefined || !is_float(input.dtype)});
  }
  if (inputs.empty()) throw Error(ErrorCode::Malformed, "the network has no input");
  data::Settings settings = stored;
  const auto append = [&](const data::Settings& more) {
    settings.insert(settings.end(), more.begin(), more.end());
  };
  if (!options.preprocess_file.empty()) append(data::read_settings(options.preprocess_file));
  append(data::parse_settings(options.preprocess));
  Data data;
  data.preprocess = data::preprocess_for(inputs.front(), settings);
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
