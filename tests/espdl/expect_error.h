#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace espquant::espdl {

/// The action throws an Error of that code whose text contains `part`.
template <typename Action>
void expect_error(ErrorCode code, const std::string& part, Action action) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown, expected: " << part;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos)
        << e.what() << "\nexpected: " << part;
  }
}

}  // namespace espquant::espdl
