#include "cli/list_operators.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "report/json_text.h"
#include "report/table.h"
#include "report/wrap.h"
#include "survey/operator_table.h"

namespace espquant::cli {
namespace {

/// Links and emphasis are for pages.
std::string plain(std::string_view note) {
  std::string text;
  for (std::size_t i = 0; i < note.size(); ++i) {
    if (note.substr(i).starts_with("](")) {
      i = note.find(')', i);
      continue;
    }
    if (note[i] != '`' && note[i] != '[') text += note[i];
  }
  return text;
}

std::string_view title_of(survey::Way way) {
  switch (way) {
    case survey::Way::Chip:
      return "on the chip";
    case survey::Way::Rewritten:
      return "rewritten";
    case survey::Way::Before:
      return "known before data";
    case survey::Way::None:
      break;
  }
  return "not there";
}

std::string groups_table() {
  constexpr std::size_t kNamesWidth = 36, kNoteWidth = 46;
  report::Table table({{""}, {"operators"}, {"what to know, or to do"}});
  const survey::OperatorGroup* before = nullptr;
  for (const auto& group : survey::operator_groups()) {
    if (before != nullptr && before->way != group.way) table.add_rule();
    const auto names =
        report::wrapped(fmt::format("{}", fmt::join(group.operators, ", ")), kNamesWidth);
    const auto note = report::wrapped(plain(group.note), kNoteWidth);
    const bool titled = before == nullptr || before->way != group.way;
    for (std::size_t i = 0; i < std::max(names.size(), note.size()); ++i)
      table.add_row({titled && i == 0 ? std::string(title_of(group.way)) : "",
                     i < names.size() ? names[i] : "", i < note.size() ? note[i] : ""});
    before = &group;
  }
  return table.to_string();
}

}  // namespace

void list_operators(const Target& target, bool markdown, bool json) {
  if (markdown) {
    fmt::print("{}", survey::operators_markdown());
    return;
  }
  const bool w8a16 = target.release.has(Feature::W8A16);
  if (json) {
    nlohmann::ordered_json list{{"target", target.name},
                                {"espdl", target.release.version},
                                {"per_channel_weights", target.per_channel_weights},
                                {"w8a16", w8a16}};
    list["operators"] = nlohmann::ordered_json::array();
    for (const auto& group : survey::operator_groups())
      for (const std::string_view op : group.operators)
        list["operators"].push_back(
            {{"name", op}, {"way", to_string(group.way)}, {"note", plain(group.note)}});
    fmt::print("{}", report::json_text(list));
    return;
  }
  fmt::print("{}\n{}, ESP-DL {}: weights with one exponent per {}; W8A16 {}\n", groups_table(),
             target.name, target.release.version, target.per_channel_weights ? "channel" : "layer",
             w8a16 ? "for Conv (not depthwise), Gemm and MatMul" : "from ESP-DL 3.3.11 on");
}

}  // namespace espquant::cli
