// Writes sound inputs of every fuzz target, for libFuzzer to begin with.
//
//   fuzz_write_seeds FOLDER
//
// FOLDER/fuzz_NAME gets those of the target NAME; what is there already stays.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/digest.h"
#include "base/error.h"
#include "tests/fuzz/seeds.h"
#include "tests/fuzz/targets/targets.h"

int main(int argc, char** argv) try {
  using namespace espquant;
  if (argc != 2) throw Error(ErrorCode::Usage, "name the folder");
  for (const test::NamedTarget& target : test::kFuzzTargets) {
    const auto folder = std::filesystem::path(argv[1]) / fmt::format("fuzz_{}", target.name);
    std::filesystem::create_directories(folder);
    for (const test::Bytes& seed : test::fuzz_seeds(target.name))
      std::ofstream(folder / sha256_of(seed), std::ios::binary)
          .write(reinterpret_cast<const char*>(seed.data()),
                 static_cast<std::streamsize>(seed.size()));
  }
  return 0;
} catch (const espquant::Error& error) {
  fmt::print(stderr, "fuzz_write_seeds: error: {}\n", error.what());
  return espquant::exit_code(error.code());
}
