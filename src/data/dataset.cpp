#include "data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/pipe.h"
#include "base/random.h"
#include "data/dataset_sources.h"
#include "data/image.h"

namespace espquant::data {
namespace {

const InputSpec& only_input(std::span<const InputSpec> inputs) {
  if (inputs.size() != 1)
    throw Error(
        ErrorCode::BadData,
        fmt::format("one array or image per sample, the network has {} inputs", inputs.size()))
        .remedy("give an .npz file with an array for each input");
  return inputs.front();
}

}  // namespace

std::vector<Tensor> Dataset::sample(std::size_t index) const {
  ESPQUANT_ASSERT(index < size(), "a sample beyond the end of the data set");
  std::vector<Tensor> tensors = read(index);
  for (std::size_t input = 0; input < tensors.size(); ++input) {
    const auto values = tensors[input].data<float>();
    const auto bad = std::ranges::find_if(values, [](float v) { return !std::isfinite(v); });
    if (bad != values.end())
      throw Error(ErrorCode::BadData, fmt::format("{} contains {} (element {})", sample_name(index),
                                                  *bad, bad - values.begin()))
          .file(path_)
          .tensor(array_name(input))
          .remedy("remove the sample, or repair what computed it");
  }
  return tensors;
}

std::string Dataset::sample_name(std::size_t index) const {
  return fmt::format("sample {}", index);
}

Shape sample_shape(const InputSpec& input) {
  Shape shape = input.shape;
  std::ranges::replace_if(
      shape, [](std::int64_t extent) { return extent < 0; }, 1);
  return shape;
}

void check_takes_images(const InputSpec& input, const Preprocess& p) {
  const bool fits =
      p.width > 0 && element_count(sample_shape(input)) == p.width * p.height * p.channels();
  if (!fits)
    throw Error(ErrorCode::BadData, fmt::format("images for an input of shape {}, which takes none",
                                                to_string(input.shape)))
        .tensor(input.name)
        .remedy("give arrays of float32 of the input's shape (.npy, .npz)");
}

namespace {

std::unique_ptr<Dataset> open_source(const std::filesystem::path& path,
                                     std::span<const InputSpec> inputs,
                                     const Preprocess& preprocess,
                                     std::span<const std::string> classes) {
  if (std::filesystem::is_directory(path))
    return open_image_folder(path, only_input(inputs), preprocess, classes);
  require_no_pipe(path);
  if (!std::filesystem::exists(path)) throw Error(ErrorCode::Io, "no such file or folder");
  if (path.extension() == ".npz") return open_npz_dataset(path, inputs, preprocess);
  if (path.extension() == ".npy") {
    only_input(inputs);
    return open_npy_dataset(path, inputs, preprocess);
  }
  if (has_image_extension(path)) return open_single_image(path, only_input(inputs), preprocess);
  throw Error(ErrorCode::Unsupported, fmt::format("data of type '{}'", path.extension().string()))
      .remedy("give a folder of JPEG or PNG images, one image, an .npy or an .npz file");
}

}  // namespace

std::unique_ptr<Dataset> open_dataset(const std::filesystem::path& path,
                                      std::span<const InputSpec> inputs,
                                      const Preprocess& preprocess,
                                      std::span<const std::string> classes) try {
  auto dataset = open_source(path, inputs, preprocess, classes);
  dataset->path_ = path.string();
  return dataset;
} catch (Error& error) {
  if (error.file().empty()) error.file(path.string());
  throw;
}

std::unique_ptr<Dataset> open_arrays(const NamedArrays& arrays, std::string_view called,
                                     std::span<const InputSpec> inputs,
                                     const Preprocess& preprocess) try {
  auto dataset = arrays_as_dataset(arrays, inputs, preprocess);
  dataset->path_ = called;
  return dataset;
} catch (Error& error) {
  throw error.file(called);
}

std::vector<std::size_t> pick(std::size_t size, std::size_t count,
                              std::optional<std::uint64_t> seed) {
  count = std::min(count, size);
  std::vector<std::size_t> chosen(count);
  if (!seed) {
    for (std::size_t i = 0; i < count; ++i) chosen[i] = i * size / count;
    return chosen;
  }
  std::vector<std::size_t> all(size);
  std::iota(all.begin(), all.end(), std::size_t{0});
  Random random(*seed);
  for (std::size_t i = 0; i < count; ++i) std::swap(all[i], all[i + random.below(size - i)]);
  std::copy_n(all.begin(), count, chosen.begin());
  std::ranges::sort(chosen);
  return chosen;
}

namespace {

/// Mean and spread of one input over samples, by Welford's recurrence.
struct Spread {
  double count = 0, mean = 0, squares = 0, least = 0, most = 0;
  bool varies = false, whole = true, repeats = true;
  std::vector<float> first;

  void add(std::span<const float> values) {
    if (count == 0 && !values.empty()) {
      least = most = values.front();
      first.assign(values.begin(), values.end());
    } else {
      repeats = repeats && std::ranges::equal(first, values);
    }
    for (const float v : values) {
      count += 1;
      const double before = v - mean;
      mean += before / count;
      squares += before * (v - mean);
      least = std::min<double>(least, v);
      most = std::max<double>(most, v);
      varies |= v != values.front();
      whole &= v == std::floor(v);
    }
  }
  /// Pictures have about their mean, and never a hundredth of it.
  static constexpr double kLeastShare = 0.01;

  double deviation() const { return count > 0 ? std::sqrt(squares / count) : 0; }
};

}  // namespace

std::vector<std::string> suspicious_values(const Dataset& dataset,
                                           std::span<const InputSpec> inputs,
                                           std::span<const std::size_t> samples) {
  std::vector<Spread> spreads(inputs.size());
  for (const std::size_t index : samples) {
    const std::vector<Tensor> tensors = dataset.sample(index);
    for (std::size_t i = 0; i < tensors.size(); ++i) spreads.at(i).add(tensors[i].data<float>());
  }
  std::vector<std::string> found;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Spread& s = spreads[i];
    if (s.count == 0) continue;
    const auto warn = [&](std::string text) {
      found.push_back(fmt::format("input '{}': {}", inputs[i].name, std::move(text)));
    };
    const double reach = std::max(s.most - s.mean, s.mean - s.least);
    if (!s.varies) {
      warn(fmt::format("every sample is constant ({:.4g} and the like)", s.least));
    } else if (s.repeats && samples.size() > 1) {
      warn(fmt::format("all of {} samples are the same", samples.size()));
    } else if (s.deviation() < Spread::kLeastShare * std::abs(s.mean)) {
      warn(fmt::format("values from {:.4g} to {:.4g} hardly vary beside their mean of {:.4g}",
                       s.least, s.most, s.mean));
    } else if (s.whole && s.least >= 0 && s.most > 100 && s.most <= 255) {
      warn(fmt::format("whole numbers up to {} look like pixels that are not scaled", s.most));
    } else if (reach > 8 * s.deviation()) {
      warn(fmt::format(
          "values from {:.4g} to {:.4g} reach {:.0f} standard deviations from their mean", s.least,
          s.most, reach / s.deviation()));
    }
  }
  return found;
}

}  // namespace espquant::data
