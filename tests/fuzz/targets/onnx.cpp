#include "onnx/export.h"
#include "onnx/import.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {

void fuzz_onnx(FuzzInput bytes) {
  Graph graph;
  if (!accepted([&] { graph = onnx::import_model(bytes, {}); })) return;
  verify(graph, "import");
  (void)print(graph);
  std::vector<std::byte> written;
  if (!accepted([&] { written = onnx::export_model(graph); })) return;
  promised(onnx::export_model(onnx::import_model(written, {})) == written,
           "a network that was written is another when it is read");
}

}  // namespace espquant::test
