// Time and memory of a whole `espquant quantize`, `analyze` or `compare`, as a user runs it: the
// built program is started afresh for each run, and the system says what it took.
//
//   quantize_bench [--program ESPQUANT] [--runs N] [--only TEXT] [--stages]
//   quantize_bench --write FOLDER    only makes the networks and data, for other measurements
//
// Medians of N runs (5). "cpu/2" is what two cores of their own would take at best: on a machine
// that others use too, look there. --stages splits the last run. docs/performance.md has figures.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "bench/mobilenet_v2.h"
#include "data/npz.h"
#include "onnx/export.h"
#include "report/table.h"

extern char** environ;

namespace {

using namespace espquant;
namespace fs = std::filesystem;

struct Settings {
  fs::path program;
  int runs = 5;
  std::string only;
  bool stages = false;
  /// Where inputs are to be written, and nothing measured.
  fs::path write;
};

/// The program of the same build as this one.
fs::path program_beside() {
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  for (const fs::path& candidate : {here / "espquant", here.parent_path() / "espquant"})
    if (fs::is_regular_file(candidate)) return candidate;
  throw Error(ErrorCode::Usage, fmt::format("no espquant beside {}", here.string()))
      .remedy("Build it, or give its path: --program PATH");
}

Settings parse(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&] {
      if (++i == argc) throw Error(ErrorCode::Usage, argument + " needs a value");
      return std::string(argv[i]);
    };
    if (argument == "--program")
      settings.program = value();
    else if (argument == "--runs")
      settings.runs = std::max(std::atoi(value().c_str()), 1);
    else if (argument == "--only")
      settings.only = value();
    else if (argument == "--stages")
      settings.stages = true;
    else if (argument == "--write")
      settings.write = value();
    else
      throw Error(ErrorCode::Usage, "unknown option " + argument);
  }
  if (settings.program.empty() && settings.write.empty()) settings.program = program_beside();
  return settings;
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "quantize_bench.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw Error(ErrorCode::Io, "cannot make a temporary folder").file(name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

struct Run {
  double wall = 0, cpu = 0, megabytes = 0;
};

Run run_program(const std::vector<std::string>& arguments, const fs::path& output) {
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const auto begin = std::chrono::steady_clock::now();
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  rusage used{};
  if (failed != 0 || ::wait4(child, &status, 0, &used) != child)
    throw Error(ErrorCode::Io, "cannot be run").file(arguments[0]);
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(ErrorCode::BadData, fmt::format("{} failed (status {})", arguments[1], status));
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return {wall, seconds(used.ru_utime) + seconds(used.ru_stime),
          static_cast<double>(used.ru_maxrss) / 1024};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// `count` grey images made of `images` [N,H,W]: moved by up to two pixels, with noise.
Tensor jittered(const Tensor& images, std::int64_t count) {
  const Shape& s = images.shape();
  const std::int64_t height = s.at(1), width = s.at(2);
  Tensor result(DType::UInt8, {count, height, width});
  const auto from = images.data<std::uint8_t>();
  auto to = result.mutable_data<std::uint8_t>();
  Random random(1);
  std::size_t next = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t source = i % s[0], dy = random.between(-2, 2), dx = random.between(-2, 2);
    for (std::int64_t y = 0; y < height; ++y) {
      const std::int64_t row =
          (source * height + std::clamp<std::int64_t>(y + dy, 0, height - 1)) * width;
      for (std::int64_t x = 0; x < width; ++x) {
        const auto pixel =
            from[static_cast<std::size_t>(row + std::clamp<std::int64_t>(x + dx, 0, width - 1))];
        to[next++] = static_cast<std::uint8_t>(
            std::clamp<std::int64_t>(pixel + random.between(-4, 4), 0, 255));
      }
    }
  }
  return result;
}

/// Colour images of soft blobs with noise: neighbouring pixels are alike, as in photographs.
Tensor blobs(std::int64_t count, std::int64_t size) {
  constexpr std::int64_t kGrid = 9;
  Tensor result(DType::UInt8, {count, size, size, 3});
  auto to = result.mutable_data<std::uint8_t>();
  Random random(2);
  std::array<float, kGrid * kGrid * 3> grid{};
  std::size_t next = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    for (float& g : grid) g = random.uniform(0, 255);
    const auto at = [&](std::int64_t y, std::int64_t x, std::int64_t c) {
      return grid[static_cast<std::size_t>((y * kGrid + x) * 3 + c)];
    };
    const float scale = static_cast<float>(kGrid - 1) / static_cast<float>(size);
    for (std::int64_t y = 0; y < size; ++y) {
      const float fy = static_cast<float>(y) * scale;
      const auto gy = static_cast<std::int64_t>(fy);
      const float ty = fy - static_cast<float>(gy);
      for (std::int64_t x = 0; x < size; ++x) {
        const float fx = static_cast<float>(x) * scale;
        const auto gx = static_cast<std::int64_t>(fx);
        const float tx = fx - static_cast<float>(gx);
        for (std::int64_t c = 0; c < 3; ++c) {
          const float soft = (at(gy, gx, c) * (1 - tx) + at(gy, gx + 1, c) * tx) * (1 - ty) +
                             (at(gy + 1, gx, c) * (1 - tx) + at(gy + 1, gx + 1, c) * tx) * ty;
          to[next++] =
              static_cast<std::uint8_t>(std::clamp(soft + random.uniform(-8, 8), 0.0F, 255.0F));
        }
      }
    }
  }
  return result;
}

void write(const fs::path& path, const std::vector<std::byte>& content) {
  OutputFiles files;
  files.add(path, content);
  files.commit();
}

struct Case {
  std::string command, name;
  fs::path model, images;
  int count = 0;
  /// 0: none.
  double goal_seconds = 0, goal_megabytes = 0;
  std::vector<std::string> options;
};

const fs::path kExample = fs::path(ESPQUANT_SOURCE_DIR) / "examples/gesture";

void make_inputs(const fs::path& folder) {
  const Tensor images = data::Npz::open(kExample / "calib.npz").read("images");
  write(folder / "jittered.npz", data::write_npz({{"images", jittered(images, 1600)}}));
  write(folder / "mobilenet_v2.onnx", onnx::export_model(bench::MobileNetV2().build()));
  write(folder / "blobs.npz", data::write_npz({{"images", blobs(256, 224)}}, false));
}

/// Linux counts what a process had before it became another program to that program's peak, so the
/// one that starts programs has to stay small.
template <typename Work>
void run_in_a_process_of_its_own(Work&& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      work();
    } catch (const std::exception& error) {
      fmt::print(stderr, "quantize_bench: {}\n", error.what());
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0)
    throw Error(ErrorCode::Io, "the inputs could not be made");
}

std::vector<Case> cases_of(const TemporaryFolder& folder) {
  const fs::path own = kExample / "gesture.onnx", images = kExample / "calib.npz";
  const fs::path many = folder / "jittered.npz";
  std::vector<Case> cases;
  const auto add_gesture = [&](const std::string& name, const fs::path& model) {
    cases.push_back({"quantize", name, model, images, 256, 1.0, 150, {}});
    cases.push_back({"quantize", name, model, many, 1600, 3.0, 150, {}});
    cases.push_back({"analyze", name, model, images, 256, 1.5, 0, {}});
    cases.push_back({"compare", name, model, images, 256, 5.0, 0, {}});
  };
  add_gesture("gesture", own);
  if (const char* shared = std::getenv("ESPQUANT_SHARED")) {
    const fs::path theirs = fs::path(shared) / "models/gesture_model.onnx";
    if (fs::exists(theirs)) add_gesture("gesture_model", theirs);
  }
  cases.push_back({"quantize",
                   "mobilenet_v2",
                   folder / "mobilenet_v2.onnx",
                   folder / "blobs.npz",
                   256,
                   15.0,
                   600,
                   {"--preprocess", "mean=0.485,0.456,0.406", "std=0.229,0.224,0.225"}});
  return cases;
}

double load_average() {
  double load = 0;
  return ::getloadavg(&load, 1) == 1 ? load : 0;
}

std::string stages_of(const fs::path& json) {
  const auto content = read_file(json);
  const auto parsed =
      nlohmann::json::parse(reinterpret_cast<const char*>(content.data()),
                            reinterpret_cast<const char*>(content.data()) + content.size());
  std::string text;
  for (const auto& stage : parsed.at("stages"))
    text += fmt::format("{}{} {:.2f} s", text.empty() ? "" : ", ",
                        stage.at("name").get<std::string>(), stage.at("seconds").get<double>());
  return text;
}

void run(const Settings& settings) {
  if (!settings.write.empty()) {
    fs::create_directories(settings.write);
    make_inputs(settings.write);
    return;
  }
  const TemporaryFolder folder;
  run_in_a_process_of_its_own([&] { make_inputs(folder.path()); });
  fmt::print("{}, load average {:.1f} before\n", settings.program.string(), load_average());
  using enum report::Table::Align;
  report::Table table({{"command", Left},
                       {"network", Left},
                       {"images", Right},
                       {"wall", Right},
                       {"cpu", Right},
                       {"cpu/2", Right},
                       {"goal", Right},
                       {"peak", Right},
                       {"goal", Right},
                       {"load", Right}});
  std::vector<std::string> stages;
  for (const Case& c : cases_of(folder)) {
    const std::string title = fmt::format("{} {} {}", c.command, c.name, c.count);
    if (title.find(settings.only) == std::string::npos) continue;
    std::vector<std::string> arguments = {settings.program.string(), c.command,
                                          c.model.string(),          "--calib",
                                          c.images.string(),         "--json"};
    if (c.command != "analyze")
      arguments.insert(arguments.end(), {"--out", (folder / "out").string()});
    arguments.insert(arguments.end(), c.options.begin(), c.options.end());
    std::vector<double> wall, cpu, megabytes, load;
    for (int i = 0; i < settings.runs; ++i) {
      const Run r = run_program(arguments, folder / "result.json");
      wall.push_back(r.wall);
      cpu.push_back(r.cpu);
      megabytes.push_back(r.megabytes);
      load.push_back(load_average());
    }
    if (settings.stages && c.command == "quantize")
      stages.push_back(fmt::format("{}: {}", title, stages_of(folder / "result.json")));
    table.add_row(
        {c.command, c.name, fmt::format("{}", c.count), fmt::format("{:.2f} s", median(wall)),
         fmt::format("{:.2f} s", median(cpu)), fmt::format("{:.2f} s", median(cpu) / 2),
         fmt::format("{:.1f} s", c.goal_seconds), fmt::format("{:.0f} MB", median(megabytes)),
         c.goal_megabytes > 0 ? fmt::format("{:.0f} MB", c.goal_megabytes) : "-",
         fmt::format("{:.1f}", median(load))});
  }
  fmt::print("{}\n", table.to_string());
  for (const std::string& line : stages) fmt::print("{}\n", line);
}

}  // namespace

int main(int argc, char** argv) try {
  run(parse(argc, argv));
  return 0;
} catch (const Error& error) {
  fmt::print(stderr, "quantize_bench: {}\n", error.what());
  return exit_code(error.code());
} catch (const std::exception& error) {
  fmt::print(stderr, "quantize_bench: {}\n", error.what());
  return 3;
}
