#include "data/open_extents.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "data/dataset_sources.h"
#include "data/image.h"

namespace espquant::data {
namespace {

namespace fs = std::filesystem;

bool agrees(std::span<const std::int64_t> open, std::span<const std::int64_t> extents) {
  return std::ranges::equal(
      open, extents, [](std::int64_t a, std::int64_t b) { return b > 0 && (a == b || a < 0); });
}

/// `array` counts samples along its first axis: in front of the input's axes, or in place of a
/// batch.
std::optional<Shape> shape_in_array(const Shape& array, const Shape& open) {
  if (array.size() == open.size() + 1) {
    const auto rest = std::span(array).subspan(1);
    if (agrees(open, rest)) return Shape(rest.begin(), rest.end());
  }
  if (array.size() == open.size() && !open.empty() && (open.front() < 0 || open.front() == 1) &&
      agrees(std::span(open).subspan(1), std::span(array).subspan(1))) {
    Shape shape = array;
    shape.front() = 1;
    return shape;
  }
  return std::nullopt;
}

std::optional<Shape> shape_of_picture(std::int64_t height, std::int64_t width, const Shape& open) {
  if (open.size() == 3) return shape_in_array({1, height, width}, open);
  if (open.size() != 4) return std::nullopt;
  // As default_preprocess(): channels where their number is that of pictures.
  const bool nchw = is_channel_count(open[1]);
  if (!nchw && !is_channel_count(open[3])) return std::nullopt;
  return shape_in_array(nchw ? Shape{1, open[1], height, width} : Shape{1, height, width, open[3]},
                        open);
}

/// Bytes (N,H,W), (N,H,W,C) and (N,C,H,W).
std::optional<Shape> shape_of_pictures(const Shape& array, const Shape& open) {
  if (array.size() == 3) return shape_of_picture(array[1], array[2], open);
  if (array.size() != 4) return std::nullopt;
  const bool last = is_channel_count(array[3]);
  if (!last && !is_channel_count(array[1])) return std::nullopt;
  return shape_of_picture(array[last ? 1 : 2], array[last ? 2 : 3], open);
}

std::optional<Shape> shape_in(DType dtype, const Shape& array, const InputSpec& input) {
  std::optional<Shape> shape = shape_in_array(array, input.shape);
  if (!shape && dtype == DType::UInt8) shape = shape_of_pictures(array, input.shape);
  return shape;
}

std::optional<Shape> shape_in(const NpyHeader& header, const InputSpec& input) {
  return shape_in(header.dtype, header.shape, input);
}

std::int64_t pixels_of(const Settings& settings, std::string_view key, std::int64_t otherwise) {
  for (const auto& [name, text] : settings) {
    std::int64_t value = 0;
    if (name == key &&
        std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc())
      otherwise = value;
  }
  return otherwise;
}

}  // namespace

std::vector<std::optional<Shape>> extents_of_data(const fs::path& path,
                                                  std::span<const InputSpec> inputs,
                                                  const Settings& settings) {
  std::vector<std::optional<Shape>> shapes(inputs.size());
  if (path.extension() == ".npz" && !fs::is_directory(path)) {
    const Npz npz = Npz::open(path);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      shapes[i] = shape_in(npz.header(array_for(npz.names(), inputs[i], inputs)), inputs[i]);
    return shapes;
  }
  if (inputs.size() != 1) return shapes;
  if (path.extension() == ".npy" && !fs::is_directory(path)) {
    shapes[0] = shape_in(read_npy_header(path), inputs[0]);
  } else if (const auto picture = first_picture(path)) {
    std::int64_t height = pixels_of(settings, "height", 0), width = pixels_of(settings, "width", 0);
    if (height == 0 || width == 0) {
      const Shape pixels = read_image(*picture).shape();
      height = pixels[0];
      width = pixels[1];
    }
    shapes[0] = shape_of_picture(height, width, inputs[0].shape);
  }
  return shapes;
}

std::vector<std::optional<Shape>> extents_of_data(const NamedArrays& arrays,
                                                  std::span<const InputSpec> inputs) {
  const std::vector<std::string> names = names_of(arrays);
  std::vector<std::optional<Shape>> shapes;
  for (const InputSpec& input : inputs) {
    const Tensor& array = arrays.at(array_for(names, input, inputs));
    shapes.push_back(shape_in(array.dtype(), array.shape(), input));
  }
  return shapes;
}

}  // namespace espquant::data
