#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include "base/error.h"
#include "base/text.h"
#include "recipe/recipe_keys.h"

/// From a TOML value to a member of a recipe. Each read() throws Error(Usage) that names `path` for
/// a wrong type and for an impossible value.
namespace espquant::recipe {

/// "line 3: " of a file; nothing of an override.
inline std::string line_of(const toml::node& node) {
  const auto line = node.source().begin.line;
  return line == 0 ? "" : fmt::format("line {}: ", line);
}

inline std::string_view type_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

inline Error wrong_value(std::string_view path, const toml::node& node, std::string_view found,
                         std::string_view expected) {
  return Error(ErrorCode::Usage,
               fmt::format("{}{}: {}, expected {}", line_of(node), path, found, expected));
}
inline Error wrong_type(std::string_view path, const toml::node& node, std::string_view expected) {
  return wrong_value(path, node, type_of(node), expected);
}

inline void read(std::string_view path, const toml::node& node, std::string& to) {
  const auto* text = node.as_string();
  if (text == nullptr) throw wrong_type(path, node, "a string");
  to = text->get();
}

inline void read(std::string_view path, const toml::node& node, bool& to) {
  const auto* value = node.as_boolean();
  if (value == nullptr) throw wrong_type(path, node, "true or false");
  to = value->get();
}

inline void read(std::string_view path, const toml::node& node, std::vector<std::string>& to) {
  const auto* list = node.as_array();
  if (list == nullptr) throw wrong_type(path, node, "a list of strings: [\"a\", \"b\"]");
  to.clear();
  for (const toml::node& element : *list) read(path, element, to.emplace_back());
}

template <typename Integer>
requires std::is_integral_v<Integer>
void read(std::string_view path, const toml::node& node, Integer& to, Range range) {
  const auto* value = node.as_integer();
  if (value == nullptr) throw wrong_type(path, node, "a whole number");
  check_number(line_of(node) + std::string(path), static_cast<double>(value->get()), range);
  to = static_cast<Integer>(value->get());
}

inline void read(std::string_view path, const toml::node& node, double& to, Range range) {
  const auto value = node.is_number() ? node.value<double>() : std::nullopt;
  if (!value) throw wrong_type(path, node, "a number");
  check_number(line_of(node) + std::string(path), *value, range);
  to = *value;
}

template <typename Enum>
requires std::is_enum_v<Enum>
void read(std::string_view path, const toml::node& node, Enum& to) {
  std::string text;
  read(path, node, text);
  std::vector<std::string> known;
  for (const auto& [name, value] : names_of(to)) {
    if (name == text) {
      to = value;
      return;
    }
    known.emplace_back(name);
  }
  Error error =
      wrong_value(path, node, fmt::format("'{}'", text), fmt::format("{}", fmt::join(known, ", ")));
  const std::string nearest = nearest_name(text, known);
  if (!nearest.empty()) error.remedy(fmt::format("Did you mean '{}'?", nearest));
  throw error;
}

template <typename T, typename... Ranges>
void read(std::string_view path, const toml::node& node, std::optional<T>& to, Ranges... range) {
  T value{};
  read(path, node, value, range...);
  to = std::move(value);
}

}  // namespace espquant::recipe
