#include "cost/profile.h"

#include <string_view>

#include "cost/board.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {
namespace {

espdl::Model two_nodes() {
  espdl::Model model;
  espdl::Node conv, relu;
  conv.name = "stem/Conv";
  conv.op = "Conv";
  conv.inputs = {"x", "w"};
  conv.outputs = {"h"};
  conv.attributes["kernel_shape"] = std::vector<std::int64_t>{1, 1};
  relu.name = "Relu_1";
  relu.op = "Relu";
  relu.inputs = {"h"};
  relu.outputs = {"y"};
  model.nodes = {conv, relu};
  model.inputs = {"x"};
  model.outputs = {"y"};
  model.values = {{"x", DType::Int8, {1, 4, 4, 16}, {-7}},
                  {"h", DType::Int8, {1, 4, 4, 16}, {-7}},
                  {"y", DType::Int8, {1, 4, 4, 16}, {-7}}};
  model.initializers = {{"w", Tensor(DType::Int8, {1, 1, 16, 16}), {-7}, ""}};
  return model;
}

}  // namespace

void fuzz_profile(FuzzInput bytes) {
  static const espdl::Model model = two_nodes();
  static const Target& target = find_target("esp32s3");
  accepted([&] {
    const cost::Profile profile =
        cost::parse_profile({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, model);
    (void)cost::fit_to_profile(model, target, cost::board_of(target), profile);
  });
}

}  // namespace espquant::test
