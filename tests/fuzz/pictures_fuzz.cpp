// Prepares random pictures as generated applications do and as the program does.
//
//   pictures_fuzz [--count N] [--seed S]
//
// Prints a line for each picture that differs, by its seed; ends with 1 where one did.
#include <fmt/format.h>

#include <cstdio>

#include "tests/deploy/draw_pictures.h"
#include "tests/fuzz/fuzz_options.h"

int main(int argc, char** argv) try {
  std::uint64_t count = 10000, seed = 1;
  espquant::test::read_fuzz_options(
      argc, argv,
      {{"--count", [&](const std::string& v) { count = std::stoull(v); }},
       {"--seed", [&](const std::string& v) { seed = std::stoull(v); }}});
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string difference = espquant::test::prepare_drawn_picture(seed + i);
    if (difference.empty()) continue;
    fmt::print("{}\n", difference);
    ++wrong;
  }
  fmt::print("pictures {}, wrong {}\n", count, wrong);
  return wrong == 0 ? 0 : 1;
} catch (const espquant::Error& error) {
  fmt::print(stderr, "pictures_fuzz: error: {}\n", error.what());
  return espquant::exit_code(error.code());
}
