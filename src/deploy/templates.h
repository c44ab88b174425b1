#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/embedded_text.h"

/// The texts of a generated project, which are files in src/deploy/templates.
namespace espquant::deploy {

/// Each under its path below that folder.
std::span<const EmbeddedText> embedded_templates();

/// Throws Error(Internal) where there is none.
std::string_view find_template(std::string_view path);

/// What a template asks for.
struct TemplateValues {
  std::map<std::string, std::string, std::less<>> texts;
  std::map<std::string, bool, std::less<>> flags;
};

/// `text` with {{name}} replaced by a text. A line {{if name}} keeps those up to {{end}} where the
/// flag is set, else those behind {{else}}; blocks do not nest. Throws Error(Internal) for what
/// `values` does not give, and for blocks that do not close.
std::string rendered(std::string_view text, const TemplateValues& values);

}  // namespace espquant::deploy
