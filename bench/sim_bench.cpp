// Speed of the simulator on whole networks: images and multiply-accumulates per second in batches
// on all cores (one Frame per worker), CPU time per image, one image on one core, and how much
// faster that is than by the reference kernels. Medians of several batches.
//
//   sim_bench [--threads N] [--seconds S] [--batch N] [--target NAME] [--reference] [--layers]
//             model.espdl...
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "espdl/reader.h"
#include "sim/program.h"

namespace {

using namespace espquant;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Settings {
  int threads = 0;
  double seconds = 2.0;
  std::int64_t batch = 32;
  std::string target;
  bool reference = false, layers = false;
  std::vector<std::string> files;
};

Settings parse(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&] {
      if (++i == argc) throw Error(ErrorCode::Usage, argument + " needs a value");
      return std::string(argv[i]);
    };
    if (argument == "--threads")
      settings.threads = std::stoi(value());
    else if (argument == "--seconds")
      settings.seconds = std::stod(value());
    else if (argument == "--batch")
      settings.batch = std::max(1, std::stoi(value()));
    else if (argument == "--target")
      settings.target = value();
    else if (argument == "--reference")
      settings.reference = true;
    else if (argument == "--layers")
      settings.layers = true;
    else
      settings.files.push_back(argument);
  }
  if (settings.files.empty()) throw Error(ErrorCode::Usage, "no model is given");
  return settings;
}

/// Smooth pseudo-random content: images are not white noise, and saturation depends on it.
void fill_input(sim::Program::Frame& frame, std::size_t tensor, const sim::TensorDesc& desc,
                std::uint64_t seed) {
  Random random(seed);
  const std::span<std::byte> bytes = frame.bytes(tensor);
  std::int64_t level = 0;
  const std::int64_t limit = desc.dtype == DType::Int16 ? 32767 : 127;
  for (std::size_t i = 0; i < bytes.size() / size_of(desc.dtype); ++i) {
    level = std::clamp<std::int64_t>(level + random.between(-limit / 8, limit / 8), -limit, limit);
    if (desc.dtype == DType::Int16) {
      const auto q = static_cast<std::int16_t>(level);
      std::memcpy(bytes.data() + 2 * i, &q, 2);
    } else if (desc.dtype == DType::Int8) {
      bytes[i] = static_cast<std::byte>(level);
    }
  }
}

/// Products of one image, from the filters' sizes and the outputs' extents.
double macs_of(const sim::Program& program) {
  double macs = 0;
  for (std::size_t n = 0; n < program.node_count(); ++n) {
    const espdl::Node& node = program.model().nodes[n];
    if (node.op != "Conv" && node.op != "Gemm") continue;
    const espdl::Constant* filter = program.model().find_initializer(node.inputs[1]);
    const sim::TensorDesc& out = program.desc(program.node_outputs(n)[0]);
    macs += static_cast<double>(filter->data.size()) *
            static_cast<double>(element_count(out.shape)) / static_cast<double>(out.shape.back());
  }
  return macs;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// What one image costs in a batch, medians of several batches.
struct BatchSpeed {
  double images_per_second = 0;
  /// Of all threads together; other work on the machine does not add to it.
  double cpu_milliseconds = 0;
};

BatchSpeed batch_speed(const sim::Program& program, const Settings& settings) {
  std::vector<sim::Program::Frame> frames;
  for (int t = 0; t < thread_count(); ++t) {
    frames.emplace_back(program);
    for (std::size_t input : program.inputs())
      fill_input(frames.back(), input, program.desc(input), static_cast<std::uint64_t>(t) + 1);
    frames.back().run();
  }
  std::vector<double> rates, costs;
  const auto start = Clock::now();
  do {
    const auto begin = Clock::now();
    const std::clock_t cpu = std::clock();
    parallel_for(settings.batch,
                 [&](std::int64_t) { frames[static_cast<std::size_t>(worker_index())].run(); });
    const auto images = static_cast<double>(settings.batch);
    rates.push_back(images / seconds_since(begin));
    costs.push_back(static_cast<double>(std::clock() - cpu) * 1e3 / CLOCKS_PER_SEC / images);
  } while (seconds_since(start) < settings.seconds || rates.size() < 3);
  return {median(rates), median(costs)};
}

double milliseconds_for_one(const sim::Program& program, const Settings& settings, int least) {
  sim::Program::Frame frame(program);
  for (std::size_t input : program.inputs()) fill_input(frame, input, program.desc(input), 1);
  frame.run();
  std::vector<double> times;
  const auto start = Clock::now();
  do {
    const auto begin = Clock::now();
    frame.run();
    times.push_back(seconds_since(begin) * 1e3);
  } while (seconds_since(start) < settings.seconds / 2 || std::ssize(times) < least);
  return median(times);
}

void print_layers(const sim::Program& program) {
  sim::Program::Frame frame(program, true);
  for (std::size_t input : program.inputs()) fill_input(frame, input, program.desc(input), 1);
  frame.run();
  std::map<std::string, double> per_operator;
  std::vector<sim::Workspace::Saturation> saturation(program.node_count());
  frame.saturation = &saturation;
  frame.run();
  frame.saturation = nullptr;
  for (std::size_t n = 0; n < program.node_count(); ++n) {
    // The best of some runs: other work on the machine only ever adds.
    double us = 1e30;
    for (int i = 0; i < 20; ++i) {
      const auto start = Clock::now();
      frame.run_node(n);
      us = std::min(us, seconds_since(start) * 1e6);
    }
    const espdl::Node& node = program.model().nodes[n];
    per_operator[node.op] += us;
    double gmacs = 0;
    std::string shape = to_string(program.desc(program.node_outputs(n)[0]).shape);
    if (node.op == "Conv" || node.op == "Gemm") {
      const Tensor& filter = program.model().find_initializer(node.inputs[1])->data;
      const Shape& out = program.desc(program.node_outputs(n)[0]).shape;
      gmacs = static_cast<double>(filter.size()) * static_cast<double>(element_count(out)) /
              static_cast<double>(out.back()) / us * 1e-3;
      shape += " filter " + to_string(filter.shape());
    }
    fmt::print("  {:9.1f} us {:7.2f} GMAC/s  saturated {:6} of {:8}  {:18} {}\n", us, gmacs,
               saturation[n].saturated, saturation[n].outputs, node.op, shape);
  }
  for (const auto& [op, us] : per_operator) fmt::print("  {:9.1f} us  {}\n", us, op);
}

void print_header(const Settings& settings) {
  fmt::print("{:42} {:8} {:>8} {:>9} {:>8} {:>8} {:>9}{}\n", "model", "target", "MMAC", "images/s",
             "GMAC/s", "CPU ms", "single ms", settings.reference ? "  reference" : "");
}

void measure(const std::string& file, const Settings& settings) {
  const espdl::Model model = espdl::read_model_file(file);
  const Target& target =
      settings.target.empty() ? sim::target_of(model) : find_target(settings.target);
  const sim::Program program(model, target);
  const BatchSpeed batch = batch_speed(program, settings);
  const double single = milliseconds_for_one(program, settings, 5);
  const double mmac = macs_of(program) * 1e-6;
  fmt::print("{:42} {:8} {:8.1f} {:9.1f} {:8.2f} {:8.2f} {:9.2f}",
             std::filesystem::path(file).stem().string(), target.name, mmac,
             batch.images_per_second, batch.images_per_second * mmac * 1e-3, batch.cpu_milliseconds,
             single);
  if (settings.reference) {
    const sim::Program reference(model, target, {.kernels = sim::KernelChoice::Reference});
    fmt::print("  1/{:.0f}", milliseconds_for_one(reference, settings, 1) / single);
  }
  fmt::print("\n");
  if (settings.layers) print_layers(program);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Settings settings = parse(argc, argv);
    set_thread_count(settings.threads);
    print_header(settings);
    for (const std::string& file : settings.files) measure(file, settings);
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return exit_code(error.code());
  }
}
