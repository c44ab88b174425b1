#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "base/error.h"

namespace espquant::test {

/// The Error that `action` throws; a failure of the test when it throws none.
template <typename Action>
Error error_of(Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::Internal, "none");
}

}  // namespace espquant::test
