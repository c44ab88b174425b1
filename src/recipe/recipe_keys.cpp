#include "recipe/recipe_keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace espquant::recipe {

void check_number(std::string_view path, double value, Range range) {
  const bool inside = range.ends_only ? value == range.least || value == range.most
                                      : value >= range.least && value <= range.most;
  if (inside) return;
  std::string expected = fmt::format("{}", range.least);
  if (range.most == Range{}.most)
    expected += " or more";
  else
    expected += fmt::format(" {} {}", range.ends_only ? "or" : "to", range.most);
  throw Error(ErrorCode::Usage, fmt::format("{}: {}, expected {}", path, value, expected));
}

std::string_view section_of(std::string_view path) {
  const std::size_t dot = path.find('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}
std::string_view key_of(std::string_view path) {
  return path.substr(path.rfind('.') + 1);  // npos + 1 is 0
}

std::vector<std::string> recipe_keys() {
  std::vector<std::string> keys;
  const Recipe recipe;
  visit_keys(recipe, [&](std::string_view path, auto&&...) { keys.emplace_back(path); });
  return keys;
}

std::vector<std::string> layer_keys() {
  std::vector<std::string> keys;
  const Recipe::LayerRule rule;
  visit_layer_keys(rule, [&](std::string_view key, auto&&...) { keys.emplace_back(key); });
  return keys;
}

std::string nearest_key(std::string_view path) {
  // A name that is right in the wrong section tells more than a near one in this section.
  const std::vector<std::string> keys = recipe_keys();
  std::vector<std::string> same_name, same_section, names;
  for (const std::string& key : keys) {
    if (key_of(key) == key_of(path)) same_name.push_back(key);
    if (section_of(key) == section_of(path)) same_section.emplace_back(key_of(key));
    names.emplace_back(key_of(key));
  }
  if (!same_name.empty()) {
    const std::string nearest = nearest_name(path, same_name);
    return nearest.empty() ? same_name.front() : nearest;
  }
  const std::string sibling = nearest_name(key_of(path), same_section);
  if (!sibling.empty())
    return section_of(path).empty() ? sibling : fmt::format("{}.{}", section_of(path), sibling);
  const std::string near_name = nearest_name(key_of(path), names);
  const auto found = std::find(names.begin(), names.end(), near_name);
  return found == names.end() ? "" : keys[static_cast<std::size_t>(found - names.begin())];
}

Error unknown_key(std::string_view line, std::string_view path, const std::string& nearest,
                  std::span<const std::string> known) {
  return Error(ErrorCode::Usage, fmt::format("{}there is no key '{}'", line, path))
      .remedy(nearest.empty() ? fmt::format("Known: {}", fmt::join(known, ", "))
                              : fmt::format("Did you mean '{}'?", nearest));
}

}  // namespace espquant::recipe
