// Speed of the simulator on whole networks: images/s on all cores (one Frame per worker),
// multiply-accumulates per second, and the ratio to the reference kernels.
//
//   sim_bench [--threads N] [--seconds S] [--target NAME] [--reference] [--layers] model.espdl...
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
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
  double seconds = 1.0;
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

std::vector<sim::Program::Frame> make_frames(const sim::Program& program, bool keep_all = false) {
  std::vector<sim::Program::Frame> frames;
  for (int t = 0; t < thread_count(); ++t) {
    frames.emplace_back(program, keep_all);
    for (std::size_t input : program.inputs())
      fill_input(frames.back(), input, program.desc(input), static_cast<std::uint64_t>(t) + 1);
    frames.back().run();
  }
  return frames;
}

double images_per_second(const sim::Program& program, double seconds) {
  std::vector<sim::Program::Frame> frames = make_frames(program);
  std::int64_t done = 0;
  const auto start = Clock::now();
  do {
    const std::int64_t batch = 8 * thread_count();
    parallel_for(batch,
                 [&](std::int64_t) { frames[static_cast<std::size_t>(worker_index())].run(); });
    done += batch;
  } while (seconds_since(start) < seconds);
  return static_cast<double>(done) / seconds_since(start);
}

double milliseconds_for_one(const sim::Program& program, double seconds) {
  sim::Program::Frame frame(program);
  for (std::size_t input : program.inputs()) fill_input(frame, input, program.desc(input), 1);
  frame.run();
  double best = 1e30;
  const auto start = Clock::now();
  do {
    const auto begin = Clock::now();
    frame.run();
    best = std::min(best, seconds_since(begin));
  } while (seconds_since(start) < seconds);
  return best * 1e3;
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

void measure(const std::string& file, const Settings& settings) {
  const espdl::Model model = espdl::read_model_file(file);
  const Target& target =
      settings.target.empty() ? sim::target_of(model) : find_target(settings.target);
  const sim::Program program(model, target);
  const double rate = images_per_second(program, settings.seconds);
  const double gmac = macs_of(program) * 1e-9;
  fmt::print("{} ({}): {:.1f} images/s, {:.2f} GMAC/s ({:.1f} MMAC), one image {:.2f} ms", file,
             target.name, rate, rate * gmac, gmac * 1e3,
             milliseconds_for_one(program, settings.seconds / 4));
  if (settings.reference) {
    const sim::Program reference(model, target, {.kernels = sim::KernelChoice::Reference});
    fmt::print(", {:.1f} times the reference", rate / images_per_second(reference, 0.0));
  }
  fmt::print("\n");
  if (settings.layers) print_layers(program);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Settings settings = parse(argc, argv);
    set_thread_count(settings.threads);
    for (const std::string& file : settings.files) measure(file, settings);
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return exit_code(error.code());
  }
}
