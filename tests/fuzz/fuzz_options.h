#pragma once

#include <functional>
#include <map>
#include <stdexcept>
#include <string>

#include "base/error.h"

namespace espquant::test {

/// What takes the value of each option.
using FuzzOptions = std::map<std::string, std::function<void(const std::string&)>>;

/// Reads pairs of option and value. Throws Error(Usage).
inline void read_fuzz_options(int argc, char** argv, const FuzzOptions& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto option = options.find(argument);
    if (option == options.end()) {
      std::string known;
      for (const auto& [name, take] : options) known += (known.empty() ? "" : ", ") + name;
      throw Error(ErrorCode::Usage, argument + " is not an option").remedy("There are " + known);
    }
    if (i + 1 == argc) throw Error(ErrorCode::Usage, argument + " needs a value");
    const std::string value = argv[++i];
    try {
      option->second(value);
    } catch (const std::logic_error&) {
      throw Error(ErrorCode::Usage, value + " is not a number").remedy("As in --seconds 300");
    }
  }
}

}  // namespace espquant::test
