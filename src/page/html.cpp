#include "page/html.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "page/embedded_web.h"

namespace espquant::page {
namespace {

constexpr std::string_view kTitlePlace = "%ESPQUANT_TITLE%", kDataPlace = "%ESPQUANT_DATA%";

/// HTML ends a script at "</script", and hides what follows "<!--", whatever the JSON means by it.
std::string without_markup(std::string_view json) {
  std::string text;
  text.reserve(json.size());
  for (const char c : json) {
    if (c == '<')
      text += "\\u003c";
    else if (c == '>')
      text += "\\u003e";
    else
      text += c;
  }
  return text;
}

std::string escaped(std::string_view plain) {
  std::string text;
  for (const char c : plain) {
    switch (c) {
      case '&':
        text += "&amp;";
        break;
      case '<':
        text += "&lt;";
        break;
      case '>':
        text += "&gt;";
        break;
      default:
        text += c;
    }
  }
  return text;
}

}  // namespace

std::string text_of(const nlohmann::ordered_json& data) {
  return data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string html_of(const nlohmann::ordered_json& data) {
  const std::string_view page = embedded_web().front().text;
  const std::size_t title = page.find(kTitlePlace), content = page.find(kDataPlace);
  ESPQUANT_ASSERT(title != page.npos && content != page.npos && title < content,
                  "the page has no place for its data");
  std::string html(page.substr(0, title));
  html += escaped(nlohmann::ordered_json::parse(text_of(data["title"])).get<std::string>());
  html += page.substr(title + kTitlePlace.size(), content - title - kTitlePlace.size());
  html += without_markup(text_of(data));
  html += page.substr(content + kDataPlace.size());
  return html;
}

}  // namespace espquant::page
