#pragma once

#include <cstddef>

/// What the module with MPI offers the program: C, so that both may come from different compilers.
/// Functions return 0, or an error of MPI.
extern "C" {

struct EspquantMpi {
  int (*begin)(int* rank, int* size);
  int (*send)(int to, const void* bytes, std::size_t count);
  /// Whether a message waits; from whom, and how long it is.
  int (*probe)(int* waits, int* from, std::size_t* count);
  int (*receive)(int from, void* bytes, std::size_t count);
  int (*end)();
  void (*abort)();
};

using EspquantMpiModule = const EspquantMpi* (*)();
}

inline constexpr const char* kMpiModuleEntry = "espquant_mpi_1";
inline constexpr const char* kMpiModuleFile = "libespquant_mpi.so";
