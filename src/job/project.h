#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "deploy/project.h"
#include "job/data.h"
#include "job/model_file.h"
#include "job/tell.h"

namespace espquant::job {

/// `espquant project`: what shall run on which board.
struct ProjectOptions {
  ModelFile file;
  deploy::App app = deploy::App::SelfTest;
  deploy::Storage storage = deploy::Storage::Rodata;
  /// Samples for the self-test, settings of pictures and names of classes; a path only for samples.
  DataOptions data;
  bool no_psram = false;
  int flash_megabytes = 0;
  std::size_t internal_ram = 0;
};

/// Reads the file, all models of a package unless one is named, and simulates the samples. Throws
/// what reading, checking and simulating throw, and Error(Illegal) for a model that its chip cannot
/// run.
deploy::ProjectRequest project_request(const ProjectOptions& options, const Tell& tell);

}  // namespace espquant::job
