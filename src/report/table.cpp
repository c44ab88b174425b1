#include "report/table.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace espquant::report {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::string_view kEllipsis = "..";
/// A column is not made narrower than this: less than that says nothing.
constexpr std::size_t kLeastWidth = 8;

/// Code points: names in a model are UTF-8.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_utf8_continuation(c); }));
}

/// The byte at which code point `n` starts.
std::size_t byte_of(std::string_view text, std::size_t n) {
  std::size_t at = 0;
  for (; at < text.size(); ++at)
    if (!is_utf8_continuation(text[at]) && n-- == 0) break;
  return at;
}

std::string printable(std::string text) {
  for (auto& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return text;
}

}  // namespace

std::string shortened(std::string_view text, std::size_t width) {
  const auto length = width_of(text);
  if (length <= width) return std::string(text);
  if (width <= kEllipsis.size()) return std::string(text.substr(0, byte_of(text, width)));
  const auto kept = width - kEllipsis.size();
  const auto head = (kept + 1) / 2;
  return std::string(text.substr(0, byte_of(text, head))) + std::string(kEllipsis) +
         std::string(text.substr(byte_of(text, length - (kept - head))));
}

std::string with_separators(std::int64_t number) {
  auto digits = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (auto at = digits.size(); at > first + 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

std::string human_bytes(std::size_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  auto amount = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; amount >= 1000 && unit + 1 < std::size(kUnits); ++unit) amount /= 1024;
  const int decimals = amount < 10 ? 2 : amount < 100 ? 1 : 0;
  return fmt::format("{:.{}f} {}", amount, decimals, kUnits[unit]);
}

void Table::add_row(std::vector<std::string> cells) {
  ESPQUANT_ASSERT(!cells.empty() && cells.size() <= columns_.size(),
                  "a row has more cells than the table has columns");
  cells.resize(columns_.size());
  for (auto& cell : cells) cell = printable(std::move(cell));
  rows_.push_back(std::move(cells));
}

void Table::add_rule() { rows_.emplace_back(); }

/// What a column may shrink to from `full`.
std::size_t Table::least_width(std::size_t column, std::size_t full) const {
  std::set<std::string_view> cells;
  for (const auto& row : rows_)
    if (!row.empty()) cells.insert(row[column]);
  const auto all_differ = [&](std::size_t width) {
    std::set<std::string> seen;
    return std::all_of(cells.begin(), cells.end(), [&](std::string_view cell) {
      return seen.insert(shortened(cell, width)).second;
    });
  };
  std::size_t least = full;
  while (least > kLeastWidth && all_differ(least - 1)) --least;
  return least;
}

std::vector<std::size_t> Table::column_widths(std::size_t width_limit) const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    auto width = width_of(columns_[c].title);
    for (const auto& row : rows_)
      if (!row.empty()) width = std::max(width, width_of(row[c]));
    widths.push_back(width);
  }
  auto total = std::accumulate(widths.begin(), widths.end(), kGap.size() * (columns_.size() - 1));
  if (total <= width_limit) return widths;
  std::vector<std::size_t> least = widths;
  bool names = true;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (columns_[c].align != Align::Left) continue;
    least[c] = names ? least_width(c, widths[c]) : std::min(kLeastWidth, widths[c]);
    names = false;
  }
  for (; total > width_limit; --total) {
    std::size_t* widest = nullptr;
    for (std::size_t c = 0; c < columns_.size(); ++c)
      if (widths[c] > least[c] && (widest == nullptr || widths[c] > *widest)) widest = &widths[c];
    if (widest == nullptr) break;
    --*widest;
  }
  return widths;
}

std::string Table::to_string(std::size_t width_limit) const {
  const auto widths = column_widths(width_limit);
  std::string text;
  const auto add_line = [&](auto&& cell_of) {
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const auto cell = shortened(cell_of(c), widths[c]);
      const std::string padding(widths[c] - width_of(cell), ' ');
      if (c > 0) text += kGap;
      text += columns_[c].align == Align::Left ? cell + padding : padding + cell;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  };
  const auto add_rule_line = [&] {
    add_line([&](std::size_t c) { return std::string(widths[c], '-'); });
  };
  add_line([&](std::size_t c) { return columns_[c].title; });
  add_rule_line();
  for (const auto& row : rows_) {
    if (row.empty())
      add_rule_line();
    else
      add_line([&](std::size_t c) { return row[c]; });
  }
  return text;
}

}  // namespace espquant::report
