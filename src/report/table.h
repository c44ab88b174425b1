#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "report/page.h"

namespace espquant::report {

/// `text` in at most `width` characters, the middle replaced by "..": both ends of a tensor's name
/// tell more than its middle.
std::string shortened(std::string_view text, std::size_t width);

/// 1234567 as "1,234,567".
std::string with_separators(std::int64_t number);

/// 12.3 KiB, 1.20 MiB: three significant digits; bytes below 1024 as they are.
std::string human_bytes(std::size_t bytes);

/// A text table for terminals. Columns are as wide as their content; where the whole is wider than
/// the page, the widest left-aligned columns give way; but the first of them, which names the rows,
/// never so far that names that differ would look the same.
class Table {
 public:
  enum class Align { Left, Right };
  struct Column {
    std::string title;
    Align align = Align::Left;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// As many cells as there are columns; fewer leave the last ones empty.
  void add_row(std::vector<std::string> cells);
  /// A line between what came and what comes: above totals.
  void add_rule();

  /// The lines, each with its newline, without trailing spaces. Right-aligned columns keep their
  /// width even when that exceeds the limit: half a number is worse than a long line.
  std::string to_string(std::size_t width_limit = page_width()) const;

 private:
  std::vector<std::size_t> column_widths(std::size_t width_limit) const;
  std::size_t least_width(std::size_t column, std::size_t full) const;

  std::vector<Column> columns_;
  /// An empty row stands for a rule.
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace espquant::report
