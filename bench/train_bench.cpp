// Time of a training step (forwards, backwards, update) of an ONNX network:
//
//   train_bench MODEL.onnx [BATCH] [STEPS]
//
// Prints milliseconds per step, images per second, and the memory of the process.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <ctime>

#include "base/random.h"
#include "onnx/import.h"
#include "passes/pass_manager.h"
#include "train/adam.h"
#include "train/network.h"

using namespace espquant;

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: train_bench MODEL.onnx [BATCH] [STEPS]\n");
    return 2;
  }
  const std::int64_t asked = argc > 2 ? std::atoll(argv[2]) : 32;
  const std::int64_t steps = argc > 3 ? std::atoll(argv[3]) : 50;
  Graph graph = passes::simplify(onnx::import_model(argv[1]));
  const train::Network network(graph, {.parameters = train::weights_of(graph)});
  const std::int64_t unit = network.batch_unit(), batch = (asked + unit - 1) / unit * unit;
  std::vector<Tensor> parameters;
  for (ValueId v : train::weights_of(graph)) parameters.push_back(graph.value(v).constant);
  train::Adam adam(parameters, train::usual_sizes(graph, train::weights_of(graph)));
  std::vector<std::vector<Tensor>> samples;
  Random random(1);
  for (std::int64_t i = 0; i < batch; ++i) {
    auto& inputs = samples.emplace_back();
    for (ValueId v : graph.inputs()) {
      Tensor& t = inputs.emplace_back(DType::Float32, *graph.value(v).shape);
      for (float& x : t.mutable_data<float>()) x = random.uniform(-1, 1);
    }
  }
  const auto step = [&] {
    auto result = network.run(
        parameters, batch, [&](std::int64_t i) { return samples[static_cast<std::size_t>(i)]; },
        [](std::int64_t, std::span<const Tensor> outputs, std::span<Tensor> gradients) {
          for (std::size_t o = 0; o < outputs.size(); ++o) gradients[o] = outputs[o];
          return 0.0;
        });
    adam.update(parameters, result.gradients, 1e-6F);
  };
  step();
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t processor = std::clock();
  for (std::int64_t i = 0; i < steps; ++i) step();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() /
      static_cast<double>(steps);
  const double busy =
      static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC / static_cast<double>(steps);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print(
      "batch {}: {:.1f} ms a step ({:.1f} ms of processor time / 2), {:.1f} images/s, {} MB\n",
      batch, 1000 * seconds, 500 * busy, static_cast<double>(batch) / seconds,
      usage.ru_maxrss / 1024);
}
