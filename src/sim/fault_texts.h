#pragma once

#include <span>
#include <string_view>

namespace espquant::sim {

/// What docs/runtime-faults.md says of a fault of the runtime, in a sentence.
struct FaultText {
  std::string_view name;
  std::string_view message, remedy;
  /// Whether the result is wrong for sure. Otherwise no document settles what the chip computes, or
  /// whether the model takes it into account.
  bool certain = true;
};

/// In the order of docs/runtime-faults.md.
std::span<const FaultText> fault_texts();

/// The text of that fault; a general one for a name without a text.
const FaultText& fault_text(std::string_view name);

}  // namespace espquant::sim
