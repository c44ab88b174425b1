#include "page/html.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "page/page.h"

namespace espquant::page {
namespace {

constexpr const char* kEvil = "</script><script>alert(1)</script><!-- &amp;";

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Html, HasTheDataAndNoMarkupOfThem) {
  const std::string plain = html_of(page_of({"inspect", "plain", "espquant inspect plain"}));
  const std::string evil = html_of(page_of({"inspect", kEvil, kEvil}));
  EXPECT_EQ(count_of(evil, "<script"), count_of(plain, "<script"));
  EXPECT_EQ(count_of(evil, "<!--"), count_of(plain, "<!--"));
  EXPECT_NE(evil.find("&lt;/script&gt;&lt;script&gt;alert(1)"), evil.npos) << "the title";
  const std::string begin = "id=\"data\">";
  const std::size_t from = evil.find(begin) + begin.size();
  const auto data = nlohmann::json::parse(evil.substr(from, evil.find("</script>", from) - from));
  EXPECT_EQ(data["command"], kEvil);
}

TEST(Html, LoadsNothing) {
  const std::string html = html_of(page_of({"inspect", "x", "y"}));
  EXPECT_NE(html.find("default-src 'none'"), html.npos);
  for (const char* loading : {" src=\"http", " href=\"http", "url(", "@import"})
    EXPECT_EQ(html.find(loading), html.npos) << loading;
}

TEST(Html, RepairsTextThatIsNotUtf8) {
  const std::string html = html_of(page_of({"inspect", "bad \xff name", "c"}));
  EXPECT_NE(html.find("<title>bad \xef\xbf\xbd name</title>"), html.npos);
}

}  // namespace
}  // namespace espquant::page
