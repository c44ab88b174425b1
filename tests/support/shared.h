#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/source_dir.h"

namespace espquant::test {

/// The folder of models, data and golden results: ESPQUANT_SHARED, else ../shared beside the
/// project.
inline std::filesystem::path shared_dir() {
  if (const char* dir = std::getenv("ESPQUANT_SHARED")) return dir;
  return source_dir() / ".." / "shared";
}

/// Skips the calling test, with the reason, where the shared material is not at hand.
#define ESPQUANT_NEEDS_SHARED(relative)                                                  \
  do {                                                                                   \
    if (!std::filesystem::exists(::espquant::test::shared_dir() / (relative)))           \
      GTEST_SKIP() << "needs " << (::espquant::test::shared_dir() / (relative)).string() \
                   << " (set ESPQUANT_SHARED to the folder with the golden results)";    \
  } while (false)

}  // namespace espquant::test
