#include <span>

#include "base/error.h"
#include "onnx/export.h"
#include "onnx/import.h"

/// Any bytes are read or refused with an Error of the input's; what is read is consistent and can
/// be written.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace espquant;
  try {
    const Graph graph = onnx::import_model(std::as_bytes(std::span(data, size)), {});
    verify(graph, "import");
    (void)onnx::export_model(graph);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::Internal) __builtin_trap();
  }
  return 0;
}
