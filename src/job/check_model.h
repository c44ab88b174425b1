#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "job/model_file.h"
#include "sim/check.h"

namespace espquant::job {

/// What `check` finds in one model of a file.
struct CheckedModel {
  /// Of a package, else empty.
  std::string model;
  std::string target, espdl;
  /// The oldest release that can run it, and what it needs of that.
  std::string needs;
  std::vector<std::string> features;
  std::size_t nodes = 0;
  std::vector<sim::Finding> findings;

  std::ptrdiff_t defects() const;
};

/// The named model, else all of a package. Throws where nothing of a model can be read.
std::vector<CheckedModel> check_file(const ModelFile& file);

/// As docs/json.md has it.
nlohmann::ordered_json json_of(const ModelFile& file, const std::vector<CheckedModel>& checked);

}  // namespace espquant::job
