#include <cstdint>
#include <span>

#include "onnx/import.h"
#include "passes/pass_manager.h"

/// Whatever the importer accepts is simplified or refused with an Error of the input's; the runner
/// verifies the graph after each pass.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace espquant;
  try {
    (void)passes::simplify(onnx::import_model(std::as_bytes(std::span(data, size)), {}));
  } catch (const Error& e) {
    if (e.code() == ErrorCode::Internal) __builtin_trap();
  }
  return 0;
}
