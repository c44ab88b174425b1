#pragma once

#include <filesystem>

namespace espquant::test {

/// The checkout that the tests were built from.
std::filesystem::path source_dir();

}  // namespace espquant::test
