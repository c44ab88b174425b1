#include <fmt/format.h>
#include <fmt/ranges.h>

#include "recipe/recipe_keys.h"

namespace espquant::recipe {
namespace {

// What follows is a value in TOML and in JSON alike.
std::string value_text(const std::string& value) { return quoted_text(value); }
std::string value_text(bool value) { return value ? "true" : "false"; }
template <typename Integer>
requires std::is_integral_v<Integer> std::string value_text(Integer value) {
  return fmt::to_string(value);
}
// The shortest text that reads back as the same number; with a point, for TOML tells 4 from 4.0.
std::string value_text(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}
std::string value_text(const std::vector<std::string>& values) {
  std::vector<std::string> texts;
  for (const std::string& value : values) texts.push_back(quoted_text(value));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}
template <typename Enum>
requires std::is_enum_v<Enum> std::string value_text(Enum value) {
  return quoted_text(name_in_recipe(value));
}

template <typename T>
std::optional<std::string> text_if_set(const T& member) {
  return value_text(member);
}
template <typename T>
std::optional<std::string> text_if_set(const std::optional<T>& member) {
  if (!member) return std::nullopt;
  return value_text(*member);
}

std::string json_object(const std::vector<std::string>& members) {
  return fmt::format("{{{}}}", fmt::join(members, ", "));
}
std::string json_member(std::string_view key, std::string_view value) {
  return fmt::format("{}: {}", quoted_text(key), value);
}

}  // namespace

std::string quoted_text(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (c == '\n')
      out += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + '"';
}

std::string to_toml(const Recipe& recipe) {
  std::string out, section;
  visit_keys(recipe, [&](std::string_view path, const auto& member, auto...) {
    if (section_of(path) != section) {
      section = section_of(path);
      out += fmt::format("\n[{}]\n", section);
    }
    if (const auto text = text_if_set(member)) out += fmt::format("{} = {}\n", key_of(path), *text);
  });
  for (const Recipe::LayerRule& rule : recipe.layers) {
    out += "\n[[layer]]\n";
    visit_layer_keys(rule, [&](std::string_view key, const auto& member, auto...) {
      if (const auto text = text_if_set(member)) out += fmt::format("{} = {}\n", key, *text);
    });
  }
  return out;
}

std::string to_json(const Recipe& recipe) {
  std::vector<std::string> top, inner, rules;
  std::string section;
  const auto close_section = [&] {
    if (!section.empty()) top.push_back(json_member(section, json_object(inner)));
    inner.clear();
  };
  visit_keys(recipe, [&](std::string_view path, const auto& member, auto...) {
    if (section_of(path) != section) {
      close_section();
      section = section_of(path);
    }
    if (const auto text = text_if_set(member))
      (section.empty() ? top : inner).push_back(json_member(key_of(path), *text));
  });
  close_section();
  for (const Recipe::LayerRule& rule : recipe.layers) {
    std::vector<std::string> members;
    visit_layer_keys(rule, [&](std::string_view key, const auto& member, auto...) {
      if (const auto text = text_if_set(member)) members.push_back(json_member(key, *text));
    });
    rules.push_back(json_object(members));
  }
  if (!rules.empty())
    top.push_back(json_member("layer", fmt::format("[{}]", fmt::join(rules, ", "))));
  return json_object(top);
}

}  // namespace espquant::recipe
