#include "job/port_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "base/error.h"
#include "lower/lower.h"

namespace espquant::job {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool is_permutation(std::vector<std::int64_t> axes, std::size_t rank) {
  std::sort(axes.begin(), axes.end());
  std::vector<std::int64_t> all(rank);
  std::iota(all.begin(), all.end(), std::int64_t{0});
  return axes == all;
}

}  // namespace

data::Settings preprocess_settings(const espdl::Model& model) {
  // Written by earlier versions for inputs that take no pictures.
  if (model.metadata_value("width") == "0") return {};
  const data::Settings known = data::to_settings({});
  data::Settings settings;
  for (const auto& entry : model.metadata)
    if (std::any_of(known.begin(), known.end(),
                    [&](const auto& setting) { return setting.first == entry.first; }))
      settings.push_back(entry);
  return settings;
}

std::vector<std::string> stored_classes(const espdl::Model& model) {
  const std::string text = model.metadata_value(kClassesKey);
  return text.empty() ? std::vector<std::string>() : split(text, '\n');
}

std::optional<std::vector<std::int64_t>> layout_of(const espdl::Model& model,
                                                   std::string_view tensor, std::size_t rank) {
  const std::string text = model.metadata_value(lower::layout_key(tensor));
  if (text.empty()) return std::nullopt;
  std::vector<std::int64_t> perm;
  for (const std::string& axis : split(text, ',')) {
    std::int64_t number = -1;
    std::from_chars(axis.data(), axis.data() + axis.size(), number);
    perm.push_back(number);
  }
  if (!is_permutation(perm, rank))
    throw Error(ErrorCode::Malformed,
                fmt::format("layout '{}' is no order of its {} axes", text, rank))
        .tensor(tensor)
        .remedy("Quantize the network again");
  return perm;
}

bool takes_integers(const espdl::Model& model, std::string_view input) {
  return !model.metadata_value(lower::type_key(input)).empty();
}

Shape network_shape(const Shape& stored, std::span<const std::int64_t> perm) {
  Shape shape(stored.size());
  for (std::size_t i = 0; i < stored.size(); ++i)
    shape[static_cast<std::size_t>(perm[i])] = stored[i];
  return shape;
}

}  // namespace espquant::job
