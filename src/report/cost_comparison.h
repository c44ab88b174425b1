#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "report/cost_table.h"

namespace espquant::report {

/// A file in figures.
struct FileCost {
  Cost cost;
  std::size_t file_bytes = 0, nodes = 0;
};

/// Two files beside each other: milliseconds, bytes of activations, of RAM in all and of the file,
/// nodes; and by how many percent each changed.
std::string cost_comparison(const FileCost& before, const FileCost& after);

/// One of the two, as docs/json.md has it.
nlohmann::ordered_json json_of(const FileCost& file);
nlohmann::ordered_json json_of(const cost::InternalRam& internal);

}  // namespace espquant::report
