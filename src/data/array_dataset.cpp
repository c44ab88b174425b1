#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "data/dataset_sources.h"

namespace espquant::data {
namespace {

constexpr std::array<std::string_view, 5> kLabelNames = {"labels", "label", "y", "targets",
                                                         "target"};
constexpr std::array<std::string_view, 8> kDataNames = {"images", "image",    "x",     "data",
                                                        "specs",  "features", "input", "inputs"};

/// The samples of one input of the network.
class Column {
 public:
  Column(Tensor array, const InputSpec& input, const Preprocess& preprocess)
      : array_(std::move(array)), shape_(sample_shape(input)), preprocess_(preprocess) {
    if (array_.rank() == 0 || array_.size() == 0)
      throw Error(ErrorCode::BadData,
                  fmt::format("an array of shape {} holds no samples", to_string(array_.shape())));
    if (array_.dtype() == DType::UInt8 &&
        !(input.integers && sample_axis(array_.shape(), shape_))) {
      pictures_ = true;
      check_images(input);
    } else {
      check_ready(input);
    }
  }

  bool holds_pictures() const { return pictures_; }

  std::size_t size() const { return static_cast<std::size_t>(array_.shape()[sample_axis_]); }

  Tensor read(std::size_t index) const {
    if (!pictures_) return sample_of(array_, sample_axis_, index, shape_).cast(DType::Float32);
    return apply(preprocess_, picture(index)).reshaped(shape_);
  }

  Tensor picture(std::size_t index) const {
    const Tensor pixels = sample_of(array_, 0, index, pixel_shape_);
    const std::array<std::int64_t, 3> rows_columns_channels = {1, 2, 0};
    return planes_ ? pixels.transposed(rows_columns_channels) : pixels;
  }

 private:
  void check_images(const InputSpec& input) {
    check_takes_images(input, preprocess_);
    const Shape& s = array_.shape();
    if (s.size() == 3) {
      pixel_shape_ = {s[1], s[2], 1};
    } else if (s.size() == 4 && (is_channel_count(s[3]) || is_channel_count(s[1]))) {
      pixel_shape_ = {s[1], s[2], s[3]};
      planes_ = !is_channel_count(s[3]);
    } else {
      throw Error(ErrorCode::BadData,
                  fmt::format("uint8 images of shape {}, expected (N,H,W), (N,H,W,1 or 3) or "
                              "(N,1 or 3,H,W)",
                              to_string(s)));
    }
  }

  void check_ready(const InputSpec& input) {
    if (const auto axis = sample_axis(array_.shape(), shape_)) {
      sample_axis_ = *axis;
      return;
    }
    Error error(ErrorCode::BadData, fmt::format("an array of shape {} for an input of shape {}",
                                                to_string(array_.shape()), to_string(input.shape)));
    Shape given(array_.shape().begin() + 1, array_.shape().end()), wanted = shape_;
    for (Shape* s : {&given, &wanted}) {
      std::erase(*s, 1);
      std::ranges::sort(*s);
    }
    Shape expected = shape_;
    expected.insert(expected.begin(), array_.shape().front());
    std::string remedy = given == wanted
                             ? "transpose it to the input's order of axes"
                             : fmt::format(
                                   "the first axis counts samples, the others must be the input's: "
                                   "{} for {} samples (axes of extent 1 may be left out)",
                                   to_string(expected), array_.shape().front());
    if (shape_.size() > 1 && shape_.front() > 1)
      remedy +=
          fmt::format("; if {} is a batch, export the network for a batch of one", shape_.front());
    throw error.remedy(remedy);
  }

  Tensor array_;
  Shape shape_;
  Preprocess preprocess_;
  Shape pixel_shape_;
  std::size_t sample_axis_ = 0;
  /// Bytes to be prepared, not inputs as they are.
  bool pictures_ = false;
  /// Pixels stand as (C,H,W).
  bool planes_ = false;
};

class ArrayDataset : public Dataset {
 public:
  /// `names` of the arrays; none for a file of a single one.
  ArrayDataset(std::vector<Column> columns, std::vector<std::string> names, Tensor labels)
      : columns_(std::move(columns)), names_(std::move(names)), labels_(std::move(labels)) {}

  bool holds_pictures() const override { return columns_.front().holds_pictures(); }
  std::size_t size() const override { return columns_.front().size(); }
  Tensor picture(std::size_t index) const override {
    ESPQUANT_ASSERT(holds_pictures(), "a data set without pictures");
    return columns_.front().picture(index);
  }
  std::optional<std::vector<std::int64_t>> labels() const override {
    if (!labels_.defined()) return std::nullopt;
    return class_labels(labels_);
  }

 protected:
  std::vector<Tensor> read(std::size_t index) const override {
    std::vector<Tensor> tensors;
    for (const Column& column : columns_) tensors.push_back(column.read(index));
    return tensors;
  }
  std::string array_name(std::size_t input) const override {
    return input < names_.size() ? names_[input] : "";
  }

 private:
  std::vector<Column> columns_;
  std::vector<std::string> names_;
  Tensor labels_;
};

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// The first of `names` that are present and that no input is called; else "".
std::string_view first_present(const std::vector<std::string>& present,
                               std::span<const std::string_view> names,
                               std::span<const InputSpec> inputs) {
  for (const std::string_view name : names)
    if (has(present, name) && std::ranges::find(inputs, name, &InputSpec::name) == inputs.end())
      return name;
  return {};
}

}  // namespace

std::optional<std::size_t> sample_axis(const Shape& array, const Shape& sample) {
  if (array.empty()) return std::nullopt;
  Shape given(array.begin() + 1, array.end()), wanted = sample;
  std::erase(given, 1);
  std::erase(wanted, 1);
  if (given == wanted) return 0;
  if (array.size() != sample.size()) return std::nullopt;
  for (std::size_t axis = 1; axis < sample.size(); ++axis) {
    Shape one = array;
    one[axis] = 1;
    if (one == sample) return axis;
  }
  return std::nullopt;
}

Tensor sample_of(const Tensor& array, std::size_t axis, std::size_t index, Shape shape) {
  Tensor out(array.dtype(), std::move(shape));
  std::size_t outer = 1;
  for (std::size_t i = 0; i < axis; ++i) outer *= static_cast<std::size_t>(array.shape()[i]);
  const auto extent = static_cast<std::size_t>(array.shape()[axis]);
  if (outer == 0) return out;
  const std::size_t run = out.byte_size() / outer;
  for (std::size_t i = 0; i < outer; ++i)
    std::ranges::copy(array.bytes().subspan((i * extent + index) * run, run),
                      out.mutable_bytes().begin() + static_cast<std::ptrdiff_t>(i * run));
  return out;
}

std::string array_for(const std::vector<std::string>& names, const InputSpec& input,
                      std::span<const InputSpec> inputs) {
  if (has(names, input.name)) return input.name;
  if (inputs.size() == 1) {
    const std::string_view labels = first_present(names, kLabelNames, inputs);
    std::vector<std::string> others = names;
    std::erase(others, labels);
    if (others.size() == 1) return others.front();
    for (const std::string_view name : kDataNames)
      if (has(names, name) && name != labels) return std::string(name);
  }
  Error error(ErrorCode::BadData,
              fmt::format("no array for the input; there are {}",
                          names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
  const std::string near = nearest_name(input.name, names);
  error.tensor(input.name)
      .remedy(near.empty() ? "name the array as the input"
                           : fmt::format("rename '{}', if that is it", near));
  throw error;
}

std::unique_ptr<Dataset> open_npy_dataset(const std::filesystem::path& path,
                                          std::span<const InputSpec> inputs,
                                          const Preprocess& preprocess) {
  std::vector<Column> columns;
  columns.emplace_back(read_npy(path, Wide::ToFloat32), inputs.front(), preprocess);
  return std::make_unique<ArrayDataset>(std::move(columns), std::vector<std::string>(), Tensor());
}

namespace {

/// `read` gives the array of one of the names.
std::unique_ptr<Dataset> dataset_of(const std::vector<std::string>& present,
                                    const std::function<Tensor(const std::string&, Wide)>& read,
                                    std::span<const InputSpec> inputs,
                                    const Preprocess& preprocess) {
  ESPQUANT_ASSERT(!inputs.empty(), "a network without inputs");
  const std::string labels_name(first_present(present, kLabelNames, inputs));
  std::vector<Column> columns;
  std::vector<std::string> names;
  for (const InputSpec& input : inputs) {
    const std::string source = array_for(present, input, inputs);
    try {
      columns.emplace_back(read(source, Wide::ToFloat32), input, preprocess);
    } catch (Error& error) {
      throw error.tensor(source);
    }
    names.push_back(source);
    if (columns.back().size() != columns.front().size())
      throw Error(ErrorCode::BadData, fmt::format("{} samples, the first input has {}",
                                                  columns.back().size(), columns.front().size()))
          .tensor(source);
  }
  Tensor labels;
  if (!labels_name.empty()) {
    labels = read(labels_name, Wide::Kept);
    if (labels.rank() == 0 || static_cast<std::size_t>(labels.shape()[0]) != columns.front().size())
      throw Error(ErrorCode::BadData,
                  fmt::format("labels of shape {} for {} samples", to_string(labels.shape()),
                              columns.front().size()))
          .tensor(labels_name);
  }
  return std::make_unique<ArrayDataset>(std::move(columns), std::move(names), std::move(labels));
}

}  // namespace

std::unique_ptr<Dataset> open_npz_dataset(const std::filesystem::path& path,
                                          std::span<const InputSpec> inputs,
                                          const Preprocess& preprocess) {
  const Npz npz = Npz::open(path);
  return dataset_of(
      npz.names(), [&](const std::string& name, Wide wide) { return npz.read(name, wide); }, inputs,
      preprocess);
}

std::unique_ptr<Dataset> arrays_as_dataset(const NamedArrays& arrays,
                                           std::span<const InputSpec> inputs,
                                           const Preprocess& preprocess) {
  return dataset_of(
      names_of(arrays), [&](const std::string& name, Wide) { return arrays.at(name); }, inputs,
      preprocess);
}

std::vector<std::string> names_of(const NamedArrays& arrays) {
  std::vector<std::string> names;
  for (const auto& [name, array] : arrays) names.push_back(name);
  return names;
}

std::vector<std::int64_t> class_labels(const Tensor& array) {
  const auto refuse = [&](std::int64_t row) {
    throw Error(ErrorCode::BadData,
                fmt::format("the label of sample {} is neither a class number nor one-hot", row));
  };
  if (array.rank() < 1 || array.rank() > 2)
    throw Error(ErrorCode::BadData, fmt::format("labels of shape {}", to_string(array.shape())))
        .remedy("give class numbers (N) or one-hot rows (N,K)");
  const Tensor as_double = array.cast(DType::Float64);
  const auto values = as_double.data<double>();
  const std::int64_t samples = array.shape()[0], columns = array.rank() == 2 ? array.shape()[1] : 1;
  constexpr double kMaxClass = 1 << 24;
  std::vector<std::int64_t> labels;
  for (std::int64_t row = 0; row < samples; ++row) {
    const auto of_row =
        values.subspan(static_cast<std::size_t>(row * columns), static_cast<std::size_t>(columns));
    if (columns == 1) {
      const double v = of_row.front();
      if (!(v >= 0 && v <= kMaxClass) || v != std::floor(v)) refuse(row);
      labels.push_back(static_cast<std::int64_t>(v));
    } else {
      const auto zeros = std::ranges::count(of_row, 0.0), ones = std::ranges::count(of_row, 1.0);
      if (ones != 1 || zeros != columns - 1) refuse(row);
      labels.push_back(std::ranges::find(of_row, 1.0) - of_row.begin());
    }
  }
  return labels;
}

}  // namespace espquant::data
