#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "espquant/model.h"
#include "job/model_file.h"
#include "measure/bank_programs.h"
#include "sim/program.h"

namespace espquant {

struct Model::Impl {
  job::ModelFile file;
  std::vector<std::byte> bytes;
  espdl::Model model;
  const Target* target = nullptr;

  /// Made when it is first asked for: a model that the chip cannot run can be looked at.
  const sim::Program& program() { return programs().own(); }
  /// The same with its banks.
  const measure::BankPrograms& programs();
  espdl::Banks banks;
  /// Of the .banks file.
  std::size_t banks_bytes = 0;

 private:
  std::once_flag made;
  std::unique_ptr<sim::Program> runnable;
  std::unique_ptr<measure::BankPrograms> banked;
};

/// Throws as Model::open.
std::shared_ptr<Model::Impl> make_model(std::vector<std::byte> bytes, job::ModelFile file);

}  // namespace espquant
