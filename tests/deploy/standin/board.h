#pragma once

#include <cstddef>
#include <string>

/// The board that a generated project thinks it runs on.
namespace espquant::test::standin {

/// Bytes that models hold.
std::size_t& ram_taken();

/// An environment variable; empty where it is not set.
std::string setting(const char* name);

}  // namespace espquant::test::standin
