#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Which operators of ONNX a network may consist of: what `check` says, what it lists, and what
/// docs/operators.md shows.
namespace espquant::survey {

enum class Way : std::uint8_t {
  Chip,       ///< ESP-DL has a kernel
  Rewritten,  ///< other operators compute the same, or none is needed
  Before,     ///< known before any data, so never on the chip
  None,       ///< cannot be run
};
/// "chip", "rewritten", "before", "none": stable names for machines.
std::string_view to_string(Way way);

/// Operators of which the same is to be said.
struct OperatorGroup {
  Way way = Way::None;
  std::vector<std::string_view> operators;
  /// Chip: what to know. Rewritten: into what. None: what to do instead, as a sentence.
  std::string_view note;
};

/// Every operator that is known, and those of ONNX that are not, by Way.
std::span<const OperatorGroup> operator_groups();

/// Null where nothing is known of the operator.
const OperatorGroup* group_of(std::string_view op);

/// The groups as the tables of docs/operators.md, headings included.
std::string operators_markdown();

}  // namespace espquant::survey
