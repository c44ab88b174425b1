#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "espdl/index.h"
#include "target/target.h"

namespace espquant::schedule {

/// Rows [first, end) of a tensor: extents of axis 1 of N,H,W,C, or of N,W,C.
struct Rows {
  std::int64_t first = 0, end = 0;

  std::int64_t count() const { return end - first; }
  bool empty() const { return end <= first; }
  bool operator==(const Rows&) const = default;
  void cover(const Rows& other) {
    if (other.empty()) return;
    *this = empty() ? other : Rows{std::min(first, other.first), std::max(end, other.end)};
  }
};

/// A node that computes each row of its outputs from a few rows of its inputs.
struct RowRule {
  enum class Operand : std::uint8_t {
    Rows,   ///< rows that rows_needed() names
    Whole,  ///< a constant, or what is broadcast over rows
  };
  /// Of windows over rows.
  std::int64_t kernel = 1, stride = 1, dilation = 1, pad_before = 0, pad_after = 0;
  /// Rows that a row of the input becomes (Resize).
  std::int64_t grows = 1;
  std::vector<Operand> operands;

  bool has_pads() const { return pad_before > 0 || pad_after > 0; }
};

/// Nothing for nodes that are not such.
std::optional<RowRule> row_rule(const espdl::Node& node, const espdl::ModelIndex& index);

/// Of a tensor that has `extent` rows: those that the rule asks for, and the padding that is left
/// of the window's.
struct NeededRows {
  Rows rows;
  std::int64_t pad_before = 0, pad_after = 0;
};
NeededRows rows_needed(const RowRule& rule, const Rows& output, std::int64_t extent);

/// Whether the runtime's loops stay inside the rows: they walk the windows that begin in the
/// padding, those inside and those that end in it with lengths from truncating divisions, and check
/// nothing.
bool stays_inside(const RowRule& rule, const NeededRows& needed, std::int64_t outputs);

/// The rows, no fewer, that the node can be made to compute alone.
inline Rows computable(const RowRule& rule, const Rows& wanted) {
  return {wanted.first / rule.grows * rule.grows,
          (wanted.end + rule.grows - 1) / rule.grows * rule.grows};
}

/// Whether the node computes the same integers on so few elements as on all: the runtime
/// requantizes small tensors in another way than large ones (ESP-DL 3.11).
bool same_on_fewer(const espdl::Node& node, const espdl::ModelIndex& index, std::int64_t elements,
                   const Target& target);

/// The padding of the node's window before and behind rows.
void set_row_pads(espdl::Node& node, std::int64_t before, std::int64_t after);

}  // namespace espquant::schedule
