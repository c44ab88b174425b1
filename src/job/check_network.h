#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "job/board.h"
#include "job/network.h"
#include "survey/survey.h"

namespace espquant::job {

struct NetworkCheckJob {
  std::filesystem::path model;
  NetworkOptions network;
  /// Empty: esp32s3, and the newest release.
  std::string target, espdl;
  BoardOptions board;
};

struct CheckedNetwork {
  const Target& target;
  survey::Survey survey;
  std::int64_t macs = 0, parameters = 0;
};

/// What a chip makes of an .onnx, node by node. Throws as survey::survey.
CheckedNetwork check_network(const NetworkCheckJob& job, const Tell& tell);

/// As docs/json.md has it.
nlohmann::ordered_json json_of(const NetworkCheckJob& job, const CheckedNetwork& checked);

}  // namespace espquant::job
