#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace espquant::test {

/// All bytes of a file; empty where there is none.
inline std::string content_of(const std::filesystem::path& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

}  // namespace espquant::test
