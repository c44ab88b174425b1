#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "data/dataset.h"
#include "data/npz.h"

/// The kinds of sources behind open_dataset().
namespace espquant::data {

std::unique_ptr<Dataset> open_npy_dataset(const std::filesystem::path& path,
                                          std::span<const InputSpec> inputs,
                                          const Preprocess& preprocess);
std::unique_ptr<Dataset> open_npz_dataset(const std::filesystem::path& path,
                                          std::span<const InputSpec> inputs,
                                          const Preprocess& preprocess);
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& path,
                                           const InputSpec& input, const Preprocess& preprocess,
                                           std::span<const std::string> classes);
std::unique_ptr<Dataset> open_single_image(const std::filesystem::path& path,
                                           const InputSpec& input, const Preprocess& preprocess);

std::unique_ptr<Dataset> arrays_as_dataset(const NamedArrays& arrays,
                                           std::span<const InputSpec> inputs,
                                           const Preprocess& preprocess);

/// The array, of those with these names, that feeds `input`, one of `inputs`. Throws Error(BadData)
/// where there is none.
std::string array_for(const std::vector<std::string>& names, const InputSpec& input,
                      std::span<const InputSpec> inputs);
std::vector<std::string> names_of(const NamedArrays& arrays);

/// The first picture of a folder, or the one that the path names; nothing where there is none.
std::optional<std::filesystem::path> first_picture(const std::filesystem::path& path);

/// Class numbers from an array of them, (N) or (N,1), or from one-hot rows (N,K). Throws
/// Error(BadData).
std::vector<std::int64_t> class_labels(const Tensor& array);

/// The input's shape for one sample: extents that the network leaves open are 1.
Shape sample_shape(const InputSpec& input);

/// Throws Error(BadData) when the network takes no pictures of the preprocess's size and layout.
void check_takes_images(const InputSpec& input, const Preprocess& preprocess);

}  // namespace espquant::data
