#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "job/network.h"
#include "measure/bank_programs.h"
#include "measure/evaluate.h"

namespace espquant::job {

struct Evaluated {
  Data data;
  measure::Evaluation result;
};

/// A simulated model, of each sample the bank that is for it, on data, beside the float network in
/// `reference` where that is not empty. The model's metadata say how pictures are prepared and how
/// classes are called, unless `data` does.
Evaluated evaluate(const measure::BankPrograms& programs, const std::filesystem::path& reference,
                   const NetworkOptions& network, const DataOptions& data, const Tell& tell,
                   const calib::Progress& progress = {});

/// As docs/json.md has it.
nlohmann::ordered_json json_of(const Evaluated& evaluated);

}  // namespace espquant::job
