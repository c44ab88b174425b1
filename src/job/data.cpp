#include "job/data.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "measure/evaluate.h"
#include "passes/single_batch.h"

namespace espquant::job {
namespace {

/// "0 palm, 1 fist, ..."
std::string numbered(const std::vector<std::string>& classes) {
  constexpr std::size_t kMost = 24;
  std::string text;
  for (std::size_t i = 0; i < std::min(classes.size(), kMost); ++i)
    if (!classes[i].empty())
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", i, classes[i]);
  if (classes.size() > kMost) text += fmt::format(" and {} more", classes.size() - kMost);
  return text;
}

}  // namespace

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
    tell(fmt::format("the labels are left out: {}", error.what()));
  }
  if (!all) return picked;
  for (std::size_t i : chosen) picked.push_back(all->at(i));
  const std::int64_t last = *std::max_element(picked.begin(), picked.end());
  if (class_count > 0 && last >= class_count) {
    const std::int64_t first = *std::min_element(picked.begin(), picked.end());
    tell(fmt::format(
        "the labels are left out: they go from {} to {}, the network tells {} classes apart, which "
        "are 0 to {}",
        first, last, class_count, class_count - 1));
    return {};
  }
  const std::string names = numbered(dataset->classes());
  if (!names.empty()) tell("classes by the names of folders: " + names);
  return picked;
}

data::Settings given_settings(const DataOptions& options, const data::Settings& stored) {
  data::Settings settings = stored;
  if (!options.preprocess_file.empty())
    settings = data::overridden(settings, data::read_settings(options.preprocess_file));
  return data::overridden(settings, data::parse_settings(options.preprocess));
}

std::vector<std::string> class_names(const DataOptions& options) {
  if (options.classes.empty()) return {};
  return data::read_class_names(options.classes);
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

Data open_data(const DataOptions& options, const Graph& network, const Tell& tell,
               const data::Settings& stored, std::span<const std::string> classes) {
  const std::vector<data::InputSpec> inputs = input_specs(network);
  Data data;
  data.tell = tell;
  data.preprocess = data::preprocess_for(inputs.front(), given_settings(options, stored));
  const std::vector<std::string> given = class_names(options);
  data.class_count = measure::class_count(network);
  if (!given.empty() && data.class_count > 0 &&
      static_cast<std::int64_t>(given.size()) != data.class_count)
    throw Error(ErrorCode::BadData, fmt::format("{} names of classes, the network tells {} apart",
                                                given.size(), data.class_count))
        .file(options.classes.string());
  data.dataset = options.arrays ? data::open_arrays(*options.arrays, options.path.string(), inputs,
                                                    data.preprocess)
                                : data::open_dataset(options.path, inputs, data.preprocess,
                                                     given.empty() ? classes : given);
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

Data open_data_for(const DataOptions& options, Graph& network, const Tell& tell) {
  try {
    return open_data(options, network, tell);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::BadData) throw;
    Graph single = network;
    const std::int64_t batch = passes::set_batch_to_one(single);
    if (batch == 1) throw;
    Data data = open_data(options, single, tell);
    network = std::move(single);
    tell(fmt::format("the network's batch of {} is set to 1", batch));
    return data;
  }
}

}  // namespace espquant::job
