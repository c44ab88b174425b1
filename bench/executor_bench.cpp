// Speed of the float executor on whole networks: images/s on one and on all cores, without and with
// an observer, and with activations fused into convolutions.
//
//   executor_bench [--seconds S] [--layers] [model.onnx...]
//
// Without a file: a MobileNetV2 1.0 at 224x224 with random weights.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "onnx/import.h"
#include "ops/executor.h"
#include "ops/op.h"

namespace {

using namespace espquant;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Settings {
  double seconds = 1.0;
  bool layers = false;
  std::vector<std::string> files;
};

Settings parse(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--layers") {
      settings.layers = true;
    } else if (argument == "--seconds") {
      if (++i == argc) throw Error(ErrorCode::Usage, argument + " needs a value");
      settings.seconds = std::stod(argv[i]);
    } else {
      settings.files.push_back(argument);
    }
  }
  return settings;
}

Tensor random_tensor(Random& random, Shape shape, float range) {
  Tensor t(DType::Float32, std::move(shape));
  for (float& v : t.mutable_data<float>()) v = random.uniform(-range, range);
  return t;
}

/// MobileNetV2 (Sandler et al. 2018, table 2), BatchNormalization folded.
class MobileNetV2 {
 public:
  Graph build() {
    graph_.opset = 17;
    x_ = graph_.add_value("input", DType::Float32, Shape{1, 3, 224, 224});
    graph_.add_input(x_);
    convolve(32, 3, 2, 1, true);
    struct Stage {
      std::int64_t expansion, channels, repeats, stride;
    };
    for (const Stage& s :
         {Stage{1, 16, 1, 1}, Stage{6, 24, 2, 2}, Stage{6, 32, 3, 2}, Stage{6, 64, 4, 2},
          Stage{6, 96, 3, 1}, Stage{6, 160, 3, 2}, Stage{6, 320, 1, 1}})
      for (std::int64_t i = 0; i < s.repeats; ++i)
        add_block(s.expansion, s.channels, i == 0 ? s.stride : 1);
    convolve(1280, 1, 1, 1, true);
    add("GlobalAveragePool", {});
    add("Flatten", {});
    add("Gemm", {constant({1280, 1000}, 0.05F), constant({1000}, 0.1F)});
    graph_.add_output(x_);
    ops::infer_shapes(graph_);
    return std::move(graph_);
  }

 private:
  ValueId constant(Shape shape, float range) {
    return graph_.add_constant(graph_.unique_value_name("w"),
                               random_tensor(random_, std::move(shape), range));
  }

  void add(const std::string& op, std::vector<ValueId> others, Attributes attributes = {}) {
    const std::string name = graph_.unique_node_name(op);
    const ValueId y = graph_.add_value(name, DType::Float32);
    std::vector<ValueId> inputs{x_};
    inputs.insert(inputs.end(), others.begin(), others.end());
    graph_.add_node(op, name, std::move(inputs), {y}, std::move(attributes));
    x_ = y;
  }

  void convolve(std::int64_t channels, std::int64_t kernel, std::int64_t stride,
                std::int64_t groups, bool clamp) {
    const std::int64_t pad = kernel / 2, fan_in = channels_ / groups * kernel * kernel;
    Attributes attributes;
    attributes.set("group", groups);
    attributes.set("strides", std::vector<std::int64_t>{stride, stride});
    attributes.set("pads", std::vector<std::int64_t>{pad, pad, pad, pad});
    add("Conv",
        {constant({channels, channels_ / groups, kernel, kernel},
                  std::sqrt(6.0F / static_cast<float>(fan_in))),
         constant({channels}, 0.1F)},
        std::move(attributes));
    channels_ = channels;
    if (clamp) add("Clip", {bound(0.0F), bound(6.0F)});
  }

  ValueId bound(float value) {
    return graph_.add_constant(graph_.unique_value_name("bound"), Tensor::scalar(value));
  }

  void add_block(std::int64_t expansion, std::int64_t channels, std::int64_t stride) {
    const ValueId before = x_;
    const bool residual = stride == 1 && channels == channels_;
    if (expansion > 1) convolve(channels_ * expansion, 1, 1, 1, true);
    convolve(channels_, 3, stride, channels_, true);
    convolve(channels, 1, 1, 1, false);
    if (residual) add("Add", {before});
  }

  Graph graph_;
  Random random_{1};
  ValueId x_ = kNone;
  std::int64_t channels_ = 3;
};

std::vector<Tensor> random_inputs(const Graph& graph) {
  Random random(2);
  std::vector<Tensor> inputs;
  for (ValueId v : graph.inputs())
    inputs.push_back(random_tensor(random, *graph.value(v).shape, 1.0F));
  return inputs;
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// Images per second, and CPU time per image: the latter means something on a busy machine too.
std::string speed(const ops::Executor& executor, const ops::Executor::Observer& observer,
                  double seconds) {
  const auto inputs = random_inputs(executor.graph());
  std::vector<ops::Executor::Workspace> workspaces;
  for (int i = 0; i < thread_count(); ++i) workspaces.emplace_back(executor);
  double images = 0;
  const auto start = Clock::now();
  const double cpu_start = cpu_seconds();
  std::int64_t batch = 16;
  do {
    parallel_for(batch, [&](std::int64_t) {
      executor.run(inputs, workspaces[static_cast<std::size_t>(worker_index())], observer);
    });
    images += static_cast<double>(batch);
    batch *= 2;
  } while (seconds_since(start) < seconds);
  return fmt::format("{:9.1f} images/s ({:.3f} ms CPU)", images / seconds_since(start),
                     (cpu_seconds() - cpu_start) / images * 1e3);
}

/// Least time from one observed value to the next, over several runs.
void print_layers(const ops::Executor& executor) {
  const auto inputs = random_inputs(executor.graph());
  ops::Executor::Workspace workspace(executor);
  std::vector<ValueId> order;
  std::map<ValueId, double> least;
  for (int run = 0; run < 50; ++run) {
    order.clear();
    auto last = Clock::now();
    executor.run(inputs, workspace, [&](const ops::Executor::View& view) {
      const auto now = Clock::now();
      const double spent = std::chrono::duration<double>(now - last).count();
      const auto known = least.find(view.value);
      least[view.value] = known == least.end() ? spent : std::min(known->second, spent);
      order.push_back(view.value);
      last = Clock::now();
    });
  }
  const Graph& graph = executor.graph();
  for (ValueId v : order) {
    const Value& value = graph.value(v);
    fmt::print("  {:9.1f} us  {:<20} {:<16} {}\n", least[v] * 1e6,
               value.producer == kNone ? "input" : graph.node(value.producer).op,
               to_string(*value.shape), value.name);
  }
  fmt::print("{}", executor.describe());
}

void bench(const std::string& name, const Graph& graph, const Settings& settings) {
  const double start = cpu_seconds();
  const ops::Executor observed(graph);
  const double built = cpu_seconds() - start;
  const ops::Executor fused(graph, {.observe_all = false});
  fmt::print("{}: built in {:.1f} ms CPU, {:.2f} MB per workspace ({:.2f} MB fused)\n", name,
             built * 1e3, static_cast<double>(observed.workspace_bytes()) * 1e-6,
             static_cast<double>(fused.workspace_bytes()) * 1e-6);
  const auto trivial = [](const ops::Executor::View&) {};
  for (int threads : {1, 2}) {
    set_thread_count(threads);
    fmt::print("  {} thread{}: {}, observed {}, fused {}\n", threads, threads == 1 ? " " : "s",
               speed(observed, {}, settings.seconds), speed(observed, trivial, settings.seconds),
               speed(fused, {}, settings.seconds));
  }
  if (settings.layers) print_layers(observed);
}

}  // namespace

int main(int argc, char** argv) try {
  const Settings settings = parse(argc, argv);
  for (const std::string& file : settings.files) {
    Graph graph = onnx::import_model(file);
    ops::infer_shapes(graph);
    bench(file.substr(file.rfind('/') + 1), graph, settings);
  }
  if (settings.files.empty()) bench("MobileNetV2 1.0, 224x224", MobileNetV2().build(), settings);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("peak memory {:.0f} MB\n", static_cast<double>(usage.ru_maxrss) / 1024);
  return 0;
} catch (const Error& e) {
  fmt::print(stderr, "{}\n", e.what());
  return exit_code(e.code());
}
