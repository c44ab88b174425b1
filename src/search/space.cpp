#include "search/space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/toml_text.h"
#include "search/embedded_space.h"

namespace espquant::search {
namespace {

struct NamedNode {
  std::string name;
  const toml::node* node;
};

/// In the order of the file; toml++ sorts keys by name.
std::vector<NamedNode> in_file_order(const toml::table& table) {
  std::vector<NamedNode> nodes;
  for (const auto& [key, node] : table) nodes.push_back({std::string(key.str()), &node});
  std::stable_sort(nodes.begin(), nodes.end(), [](const NamedNode& a, const NamedNode& b) {
    const auto &x = a.node->source().begin, &y = b.node->source().begin;
    return std::pair(x.line, x.column) < std::pair(y.line, y.column);
  });
  return nodes;
}

Error space_error(const toml::node& node, std::string_view message,
                  std::span<const std::string> known, std::string_view found) {
  Error error(ErrorCode::Usage, fmt::format("line {}: {}", node.source().begin.line, message));
  const std::string nearest = nearest_name(found, known);
  if (!nearest.empty())
    error.remedy(fmt::format("Did you mean '{}'?", nearest));
  else if (!known.empty())
    error.remedy(fmt::format("Known: {}", fmt::join(known, ", ")));
  return error;
}

std::vector<std::string> texts_of(const toml::node& node, std::string_view key) {
  std::vector<std::string> texts;
  const toml::array* list = node.as_array();
  bool right = list != nullptr;
  if (right)
    for (const toml::node& element : *list) {
      right = right && element.is_string();
      if (right) texts.push_back(element.as_string()->get());
    }
  if (!right)
    throw space_error(node, fmt::format("{}: expected a list of strings: [\"a\", \"b\"]", key), {},
                      "");
  if (texts.empty())
    throw space_error(node, fmt::format("{}: the list is empty: nothing is left", key), {}, "");
  return texts;
}

template <typename E>
E named(const toml::node& node, std::span<const std::pair<std::string_view, E>> names) {
  const std::string text = node.value_or(std::string());
  for (const auto& [name, value] : names)
    if (name == text) return value;
  throw Error(ErrorCode::Internal, fmt::format("space.toml: '{}' means nothing", text));
}

constexpr std::pair<std::string_view, Cost> kCosts[] = {{"plan", Cost::Plan},
                                                        {"candidate", Cost::Candidate},
                                                        {"calibration", Cost::Calibration},
                                                        {"training", Cost::Training}};
constexpr std::pair<std::string_view, Need> kNeeds[] = {
    {"caps", Need::Caps}, {"w8a16", Need::W8A16}, {"wide", Need::Wide}};

Choice choice_from(const std::string& name, const toml::table& table) {
  Choice choice{name, Cost::Candidate, {}};
  for (const NamedNode& entry : in_file_order(table)) {
    if (entry.name == "cost")
      choice.cost = named<Cost>(*entry.node, kCosts);
    else if (const toml::array* sets = entry.node->as_array()) {
      Value& value = choice.values.emplace_back();
      value.name = entry.name;
      for (const toml::node& set : *sets) value.sets.push_back(set.value_or(std::string()));
    }
  }
  if (const toml::table* needs = table["needs"].as_table())
    for (Value& value : choice.values)
      if (const toml::node* need = needs->get(value.name)) value.need = named<Need>(*need, kNeeds);
  return choice;
}

/// Leaves what `wanted` names, in the order in which it was.
void narrow(std::string_view key, const toml::node& node, std::vector<std::string>& names) {
  const std::vector<std::string> wanted = texts_of(node, key);
  for (const std::string& name : wanted)
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw space_error(node, fmt::format("{}: there is no '{}'", key, name), names, name);
  std::erase_if(names, [&](const std::string& name) {
    return std::find(wanted.begin(), wanted.end(), name) == wanted.end();
  });
}

void narrow_choice(const toml::node& node, Choice& choice) {
  std::vector<std::string> names;
  for (const Value& value : choice.values) names.push_back(value.name);
  narrow(choice.name, node, names);
  std::erase_if(choice.values, [&](const Value& value) {
    return std::find(names.begin(), names.end(), value.name) == names.end();
  });
}

void take_widths(const std::vector<std::string>& widths, Space& space) {
  const auto has = [&](std::string_view name) {
    return std::find(widths.begin(), widths.end(), name) != widths.end();
  };
  space.w8a16 = has("w8a16");
  space.wide = has("16");
}

Space parse_whole() {
  const toml::table table = parse_toml(space_text());
  Space space;
  space.start = texts_of(*table.get("start"), "start");
  space.layers = texts_of(*table.get("layers"), "layers");
  take_widths(texts_of(*table.get("widths"), "widths"), space);
  for (const NamedNode& entry : in_file_order(*table["choice"].as_table()))
    space.choices.push_back(choice_from(entry.name, *entry.node->as_table()));
  return space;
}

}  // namespace

std::size_t Space::index_of(std::string_view choice) const {
  for (std::size_t i = 0; i < choices.size(); ++i)
    if (choices[i].name == choice) return i;
  throw Error(ErrorCode::Internal, fmt::format("there is no choice '{}'", choice));
}

std::string_view space_text() { return embedded_space().front().text; }

Space whole_space() {
  static const Space space = parse_whole();
  return space;
}

Space narrowed_space(std::string_view text, std::string_view where) try {
  const toml::table table = parse_toml(text);
  Space space = whole_space();
  std::vector<std::string> known{"start", "widths", "layers"};
  for (const Choice& choice : space.choices) known.push_back(choice.name);
  for (const NamedNode& entry : in_file_order(table)) {
    if (entry.name == "start") {
      space.start = texts_of(*entry.node, entry.name);  // recipes of the user's own, too
    } else if (entry.name == "layers") {
      space.layers = texts_of(*entry.node, entry.name);
    } else if (entry.name == "widths") {
      std::vector<std::string> widths{"8", "w8a16", "16"};
      narrow(entry.name, *entry.node, widths);
      take_widths(widths, space);
    } else {
      const auto choice = std::find_if(space.choices.begin(), space.choices.end(),
                                       [&](const Choice& c) { return c.name == entry.name; });
      if (choice == space.choices.end())
        throw space_error(*entry.node, fmt::format("there is no choice '{}'", entry.name), known,
                          entry.name);
      narrow_choice(*entry.node, *choice);
    }
  }
  return space;
} catch (Error& error) {
  throw error.file(where);
}

}  // namespace espquant::search
