#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "espdl/model.h"
#include "report/cost_table.h"

namespace espquant::report {

/// What a file says beside its model.
struct FileFacts {
  std::string path;
  /// "EDL2", "EDL1, encrypted", "PDL3 package of 3 models".
  std::string container;
  /// Bytes that the model takes, header included.
  std::size_t size = 0;
  /// The chip that the model is for.
  std::string target;
};

/// Bytes of each kind of memory that a model takes, and all the RAM (docs/json.md, `memory`).
nlohmann::ordered_json totals_of(const cost::MemoryPlan& plan);

/// An .espdl model: header, inputs and outputs, nodes, and where the bytes go. At most 100 columns
/// wide. Shapes are in ESP-DL's layout (N,H,W,C); exponents read "inputs => outputs".
std::string to_text(const espdl::Model& model, const FileFacts& facts);
/// With `cost`, also what the model asks of its chip, per node and in all.
std::string to_json(const espdl::Model& model, const FileFacts& facts, const Cost* cost = nullptr);
nlohmann::ordered_json json_of(const espdl::Model& model, const FileFacts& facts,
                               const Cost* cost = nullptr);

}  // namespace espquant::report
