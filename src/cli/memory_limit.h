#pragma once

#include <cstdint>
#include <string>

namespace espquant::cli {

/// --max-memory: from now on the process gets no more than so many bytes for its data, its threads
/// included; std::bad_alloc is thrown where it asks for more. Throws Error(Usage) for less than the
/// program itself needs.
void limit_memory(std::uint64_t bytes);

/// What std::bad_alloc means: to whom it is to be told, and the text.
int out_of_memory_exit_code();
std::string out_of_memory_message();

}  // namespace espquant::cli
