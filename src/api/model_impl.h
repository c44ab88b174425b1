#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "espquant/model.h"
#include "job/model_file.h"
#include "sim/program.h"

namespace espquant {

struct Model::Impl {
  job::ModelFile file;
  std::vector<std::byte> bytes;
  espdl::Model model;
  const Target* target = nullptr;

  /// Made when it is first asked for: a model that the chip cannot run can be looked at.
  const sim::Program& program();

 private:
  std::once_flag made;
  std::unique_ptr<sim::Program> runnable;
};

/// Throws as Model::open.
std::shared_ptr<Model::Impl> make_model(std::vector<std::byte> bytes, job::ModelFile file);

}  // namespace espquant
