#include "deploy/templates.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace espquant::deploy {
namespace {

Error template_fault(std::string_view what, std::string_view name) {
  return Error(ErrorCode::Internal, fmt::format("template: {} '{}'", what, name));
}

template <typename Map>
const auto& value_of(const Map& map, std::string_view name) {
  const auto found = map.find(name);
  if (found == map.end()) throw template_fault("nothing is known of", name);
  return found->second;
}

void add_line(std::string& to, std::string_view line, const TemplateValues& values) {
  while (true) {
    const auto open = line.find("{{");
    to += line.substr(0, open);
    if (open == std::string_view::npos) return;
    const auto close = line.find("}}", open);
    if (close == std::string_view::npos) throw template_fault("no end of", line);
    to += value_of(values.texts, line.substr(open + 2, close - open - 2));
    line.remove_prefix(close + 2);
  }
}

}  // namespace

std::string_view find_template(std::string_view path) {
  const auto all = embedded_templates();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const EmbeddedText& text) { return text.name == path; });
  if (found == all.end()) throw template_fault("there is none called", path);
  return found->text;
}

std::string rendered(std::string_view text, const TemplateValues& values) {
  constexpr std::string_view kIf = "{{if ", kElse = "{{else}}", kEnd = "{{end}}";
  std::string result;
  bool in_block = false, kept = true;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size() - 1);
    const std::string_view line = text.substr(0, end + 1);
    text.remove_prefix(end + 1);
    const std::string_view word = line.substr(0, line.find('\n'));
    if (word.starts_with(kIf)) {
      if (in_block || !word.ends_with("}}")) throw template_fault("a block within a block", word);
      in_block = true;
      kept = value_of(values.flags, word.substr(kIf.size(), word.size() - kIf.size() - 2));
    } else if (word == kElse || word == kEnd) {
      if (!in_block) throw template_fault("no block for", word);
      in_block = word == kElse;
      kept = in_block ? !kept : true;
    } else if (kept) {
      add_line(result, line, values);
    }
  }
  if (in_block) throw template_fault("a block stays open", "");
  return result;
}

}  // namespace espquant::deploy
