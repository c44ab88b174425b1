#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "espdl/model.h"
#include "target/target.h"

/// What ESP-DL's runtime would assert on, or compute otherwise than the model means it.
namespace espquant::sim {

enum class Severity : std::uint8_t {
  Defect,  ///< the chip stops, or its result is wrong
  Note,    ///< worth knowing; what the chip computes may be right
};

struct Finding {
  Severity severity = Severity::Defect;
  /// Where: each may be empty.
  std::string node{}, op{}, tensor{};
  /// The section of the reference that says so: "ESP-DL 3.1".
  std::string rule{};
  /// Stable, for machines: a section of docs/runtime-faults.md, one of the rules of check_rules.h,
  /// or the ErrorCode of what an operator refused.
  std::string name{};
  std::string message{}, remedy{};
};

/// Judges the whole model, node by node: a node that is refused does not hide the others, whose
/// inputs are then taken as the file declares them. `defects` are those that the reader found
/// (espdl::read_model); what they name is not judged again. In the order of execution, findings on
/// the file as a whole first. Never throws for the sake of the model.
std::vector<Finding> check(const espdl::Model& model, const Target& target,
                           std::span<const Error> defects = {});

}  // namespace espquant::sim
