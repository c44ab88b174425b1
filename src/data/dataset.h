#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "data/preprocess.h"

namespace espquant::data {

using NamedArrays = std::map<std::string, Tensor>;

/// Inputs of a network, sample by sample. Reading a sample changes nothing, so threads may share a
/// data set.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual std::size_t size() const = 0;

  /// One float32 tensor per input of the network, in their order, of the input's shape, extents
  /// that it leaves open (-1) being 1. Throws Error(BadData) naming the file, the array and the
  /// sample for NaN and infinity, or what reading its file throws.
  std::vector<Tensor> sample(std::size_t index) const;

  /// What a message calls a sample: a file's name below the folder, or "sample 7".
  virtual std::string sample_name(std::size_t index) const;

  /// The class of each sample, if the source knows them: from 0, none negative. Throws
  /// Error(BadData) for an array of labels that are neither class numbers nor one-hot.
  virtual std::optional<std::vector<std::int64_t>> labels() const { return std::nullopt; }

  /// The names of the classes by their numbers, where folders have them; else empty.
  const std::vector<std::string>& classes() const { return classes_; }

  /// Whether samples are pictures, which are prepared, and not inputs as they are.
  virtual bool holds_pictures() const { return true; }

  /// The picture of a sample before it is prepared: uint8 (H,W,1) or (H,W,3) in RGB order. Of a
  /// data set that holds pictures. Throws what reading its file throws.
  virtual Tensor picture(std::size_t index) const = 0;

  /// What was left out or looks unintended in the source.
  const std::vector<std::string>& warnings() const { return warnings_; }

 protected:
  virtual std::vector<Tensor> read(std::size_t index) const = 0;
  /// The array that feeds input number `input`; "" where none has a name.
  virtual std::string array_name(std::size_t /*input*/) const { return {}; }

  std::vector<std::string> warnings_, classes_;

 private:
  friend std::unique_ptr<Dataset> open_dataset(const std::filesystem::path&,
                                               std::span<const InputSpec>, const Preprocess&,
                                               std::span<const std::string>);
  friend std::unique_ptr<Dataset> open_arrays(const NamedArrays&, std::string_view,
                                              std::span<const InputSpec>, const Preprocess&);
  std::string path_;
};

/// Opens, by what `path` is:
///
/// * a folder of JPEG and PNG images, searched recursively, in the order of their paths. When all
/// of them lie in
///   sub-folders, those are the classes: numbered by their places in `classes` if there are any,
///   else by their names if all names are whole numbers, else by their sorted order. Folders called
///   like parts of a data set (images, labels, train, val, ...) are no classes, which is a warning.
///   Names that start with a dot are passed over.
/// * one JPEG or PNG image
/// * .npy: the first axis counts the samples
/// * .npz: arrays named as the inputs; for a network of one input also a single array of any name
/// beside the labels,
///   or one named images, image, x, data, specs, features, input or inputs. Labels: an array
///   labels, label, y, targets or target, of class numbers or one-hot rows.
///
/// uint8 arrays (N,H,W), (N,H,W,1), (N,H,W,3), (N,1,H,W) and (N,3,H,W) are images (RGB) and are
/// preprocessed; arrays of other types are ready inputs, of shape [N] + the input's shape, where
/// axes of extent 1 may be missing or stand elsewhere; or of the input's shape with the samples
/// along an axis that has extent 1 there: a state (layers,1,H) as (layers,N,H). The first reading
/// goes before the second. Elements of 64 bits are held as float32, others as they are in the file;
/// samples are converted one at a time, and images of a folder are decoded when asked for.
///
/// Throws Error(BadData) for what does not fit the inputs (both shapes named), Error(Unsupported)
/// for other files, and what the readers throw.
std::unique_ptr<Dataset> open_dataset(const std::filesystem::path& path,
                                      std::span<const InputSpec> inputs,
                                      const Preprocess& preprocess,
                                      std::span<const std::string> classes = {});

/// Arrays in memory, which are read as those of an .npz are. Their elements are shared. Throws as
/// open_dataset(); `called` is what messages call them.
std::unique_ptr<Dataset> open_arrays(const NamedArrays& arrays, std::string_view called,
                                     std::span<const InputSpec> inputs,
                                     const Preprocess& preprocess);

/// One name per line, in the order of the network's outputs; blank lines do not count. Throws
/// Error(BadData) for a name that comes twice and for none at all.
std::vector<std::string> read_class_names(const std::filesystem::path& path);

/// The axis of an array that counts samples of shape `sample`, by the rules of open_dataset;
/// nothing where the array holds none.
std::optional<std::size_t> sample_axis(const Shape& array, const Shape& sample);

/// The elements at one index of that axis, under the sample's shape.
Tensor sample_of(const Tensor& array, std::size_t axis, std::size_t index, Shape shape);

/// `count` of the indices below `size`, ascending, all if there are fewer: evenly spread, or drawn
/// by `seed`.
std::vector<std::size_t> pick(std::size_t size, std::size_t count,
                              std::optional<std::uint64_t> seed = std::nullopt);

/// Reads the chosen samples and says what suggests a wrong preprocessing: no sample varies, or all
/// are the same; values that hardly vary beside their mean, that look like unscaled pixels, or
/// further than 8 standard deviations from the mean. Empty when nothing does.
std::vector<std::string> suspicious_values(const Dataset& dataset,
                                           std::span<const InputSpec> inputs,
                                           std::span<const std::size_t> samples);

}  // namespace espquant::data
