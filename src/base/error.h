#pragma once

#include <string_view>

#include "espquant/errors.h"

namespace espquant {

/// For our own bugs: throws Error(Internal).
[[noreturn]] void internal_error(std::string_view what, std::string_view source, int line);

#define ESPQUANT_ASSERT(condition, what)                    \
  do {                                                      \
    if (!(condition)) [[unlikely]]                          \
      ::espquant::internal_error(what, __FILE__, __LINE__); \
  } while (false)

}  // namespace espquant
