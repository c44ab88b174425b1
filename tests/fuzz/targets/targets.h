#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>

#include "base/error.h"

/// What the fuzzers do with their bytes, whatever these are: read them and do with them what the
/// program does, or refuse them with an Error of the input's. They throw Broken where neither
/// happens.
namespace espquant::test {

using FuzzInput = std::span<const std::byte>;

/// A promise to whoever feeds the program files that is not kept.
struct Broken : std::logic_error {
  using std::logic_error::logic_error;
};

/// Whether `read` takes its input. Throws Broken for an Error that says that it is our own fault.
template <typename Read>
bool accepted(Read&& read) {
  try {
    read();
    return true;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::Internal) throw Broken(e.what());
    return false;
  }
}

inline void promised(bool kept, const char* what) {
  if (!kept) throw Broken(what);
}

/// ONNX: read, verified, printed, written, and the same when read again.
void fuzz_onnx(FuzzInput bytes);
/// ONNX: shapes inferred, simplified.
void fuzz_simplify(FuzzInput bytes);
/// ONNX: checked for a chip; when small, run, quantized, and taken through the last gate.
void fuzz_network(FuzzInput bytes);
/// .espdl, encrypted or not: read, shown, written, and the same when read again.
void fuzz_espdl(FuzzInput bytes);
/// .espdl: checked, planned; when small, simulated by fast and plain kernels, and optimized.
void fuzz_chip(FuzzInput bytes);
/// A package of several .espdl files.
void fuzz_package(FuzzInput bytes);
/// .banks, by the program and by the code on the device.
void fuzz_banks(FuzzInput bytes);
/// .npy and .npz.
void fuzz_arrays(FuzzInput bytes);
/// JPEG and PNG.
void fuzz_picture(FuzzInput bytes);
/// TOML: recipes, boards, preprocessing, spaces of a search.
void fuzz_toml(FuzzInput bytes);
/// What users type: goals, overrides, settings.
void fuzz_words(FuzzInput bytes);
/// Logs of a device's profile.
void fuzz_profile(FuzzInput bytes);
/// JSON: outcomes in the journal of a search.
void fuzz_journal(FuzzInput bytes);
/// The serial line between board and PC.
void fuzz_protocol(FuzzInput bytes);

struct NamedTarget {
  std::string_view name;
  void (*run)(FuzzInput);
};

inline constexpr NamedTarget kFuzzTargets[] = {
    {"onnx", fuzz_onnx},       {"simplify", fuzz_simplify}, {"network", fuzz_network},
    {"espdl", fuzz_espdl},     {"chip", fuzz_chip},         {"package", fuzz_package},
    {"banks", fuzz_banks},     {"arrays", fuzz_arrays},     {"picture", fuzz_picture},
    {"toml", fuzz_toml},       {"words", fuzz_words},       {"profile", fuzz_profile},
    {"journal", fuzz_journal}, {"protocol", fuzz_protocol},
};

}  // namespace espquant::test
