#include "onnx/import.h"
#include "ops/op.h"
#include "passes/pass_manager.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {

void fuzz_simplify(FuzzInput bytes) {
  Graph graph;
  if (!accepted([&] { graph = onnx::import_model(bytes, {}); })) return;
  accepted([&] {
    Graph inferred = graph;
    ops::infer_shapes(inferred);
    verify(inferred, "inference");
  });
  // The runner of passes verifies the graph after each.
  accepted([&] { (void)print(passes::simplify(graph)); });
}

}  // namespace espquant::test
