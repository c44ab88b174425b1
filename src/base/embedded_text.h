#pragma once

#include <string_view>

namespace espquant {

/// A text file that is part of the program, see cmake/embed.cmake.
struct EmbeddedText {
  /// Of the file, without folder and extension.
  std::string_view name;
  std::string_view text;
};

}  // namespace espquant
