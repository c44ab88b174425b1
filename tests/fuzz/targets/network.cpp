#include <algorithm>

#include "base/random.h"
#include "onnx/import.h"
#include "ops/executor.h"
#include "ops/op.h"
#include "passes/pass_manager.h"
#include "recipe/recipe.h"
#include "strategy/last_gate.h"
#include "strategy/quantize_model.h"
#include "survey/survey.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {
namespace {

constexpr std::int64_t kMostElements = 1 << 14;
constexpr std::int64_t kMostMacs = 1 << 18;

/// All values together, and what computing them takes: small enough for thousands in a minute.
bool is_small(const Graph& simplified) {
  constexpr std::size_t kMostNodes = 64;
  std::int64_t elements = 0, macs = 0;
  for (std::size_t i = 0; i < simplified.value_count(); ++i) {
    const Value& value = simplified.value(static_cast<ValueId>(i));
    if (value.shape) elements += element_count(*value.shape);
    if (elements > kMostElements) return false;
  }
  for (const NodeId id : simplified.topological_order()) {
    const Node& n = simplified.node(id);
    const ops::OpDef* op = ops::find_op(n.op);
    if (op == nullptr || op->macs == nullptr) continue;
    const auto shapes = [&](const std::vector<ValueId>& values) {
      std::vector<Shape> all;
      for (const ValueId v : values)
        all.push_back(v == kNone ? Shape{} : simplified.value(v).shape.value_or(Shape{}));
      return all;
    };
    macs += op->macs(n, shapes(n.inputs), shapes(n.outputs));
    if (macs > kMostMacs) return false;
  }
  return simplified.topological_order().size() <= kMostNodes;
}

std::vector<Tensor> random_sample(const Graph& network, std::uint64_t seed) {
  Random random(seed);
  std::vector<Tensor> sample;
  for (const ValueId v : network.inputs()) {
    Tensor input(DType::Float32, network.value(v).shape.value());
    for (float& x : input.mutable_data<float>()) x = random.uniform(-2, 2);
    sample.push_back(std::move(input));
  }
  return sample;
}

}  // namespace

void fuzz_network(FuzzInput bytes) {
  Graph imported;
  if (!accepted([&] { imported = onnx::import_model(bytes, {}); })) return;
  constexpr const char* kChips[] = {"esp32s3", "esp32p4", "esp32c3"};
  const Target& target = find_target(kChips[bytes.size() % std::size(kChips)]);
  Graph simplified;
  if (!accepted([&] { simplified = passes::simplify(imported); }) || !is_small(simplified)) return;
  accepted([&] { (void)survey::survey(imported, target); });
  if (!std::all_of(simplified.inputs().begin(), simplified.inputs().end(),
                   [&](ValueId v) { return simplified.value(v).dtype == DType::Float32; }))
    return;
  std::vector<std::vector<Tensor>> samples;
  for (std::uint64_t i = 0; i < 4; ++i) samples.push_back(random_sample(simplified, i));
  accepted([&] {
    const ops::Executor executor(simplified);
    ops::Executor::Workspace workspace(executor);
    (void)executor.run(samples.front(), workspace);
  });

  const calib::SampleSource source{static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
                                     return samples[static_cast<std::size_t>(i)];
                                   }};
  strategy::QuantizeOptions options;
  options.recipe = recipe::find_recipe(bytes.size() % 2 == 0 ? "int8" : "int16");
  options.target = &target;
  options.report_samples = 1;
  accepted([&] {
    (void)strategy::pass_last_gate(strategy::quantize_model(imported, source, options), target);
  });
}

}  // namespace espquant::test
