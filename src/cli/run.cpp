#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "base/file.h"
#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/notes.h"
#include "cli/progress.h"
#include "cli/validators.h"
#include "data/dataset.h"
#include "data/image.h"
#include "data/npz.h"
#include "data/npz_frames.h"
#include "job/bank_report.h"
#include "job/port_metadata.h"
#include "job/simulate.h"
#include "measure/planned_memory.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

struct RunCommand {
  job::ModelFile file;
  std::vector<std::string> inputs;
  job::DataOptions pictures;
  std::filesystem::path output;
  sim::Options simulation;
  std::int64_t count = 0;
  bool all_tensors = false;
  bool quantized = false;
  bool dequantized = false;
  bool raw = false;
  bool json = false;

  /// Whether integers are written rather than floats. Intermediate tensors are for comparison with
  /// a chip, unless one asks otherwise.
  bool writes_integers() const { return quantized || (all_tensors && !dequantized); }
};

class InputReader {
 public:
  /// `real`: frames as job::real_frames_of() gives them, for banks to choose by.
  InputReader(const RunCommand& command, const sim::Program& program, bool real, bool quiet)
      : command_(command), program_(program), real_(real), quiet_(quiet) {
    for (const std::size_t input : program.inputs()) ports_.push_back(job::port_of(program, input));
  }

  job::Frames read() {
    for (const std::string& argument : command_.inputs) read_argument(argument);
    job::require_frames(program_, frames_, [](const std::string& input) {
      return fmt::format("Add --input {}=FILE", input);
    });
    if (command_.count > 0)
      for (auto& [name, frames] : frames_)
        frames.resize(std::min(frames.size(), static_cast<std::size_t>(command_.count)));
    return std::move(frames_);
  }

 private:
  /// "FILE", or "NAME=FILE" where NAME is one of the model's inputs.
  void read_argument(const std::string& argument) {
    for (const job::Port& port : ports_)
      if (argument.starts_with(port.name + '=')) {
        read_file_for(&port, argument.substr(port.name.size() + 1));
        return;
      }
    const std::size_t equals = argument.find('=');
    if (equals != std::string::npos && !std::filesystem::exists(argument)) {
      std::vector<std::string> names;
      for (const job::Port& port : ports_) names.push_back(port.name);
      throw Error(ErrorCode::Usage,
                  fmt::format("the model has no input '{}'", argument.substr(0, equals)))
          .remedy(fmt::format("Its inputs: {}", fmt::join(names, ", ")));
    }
    read_file_for(ports_.size() == 1 ? &ports_.front() : nullptr, argument);
  }

  /// `port` is null when the file itself must name the inputs.
  void read_file_for(const job::Port* port, const std::filesystem::path& path) try {
    if (!command_.raw && path.extension() == ".npz") {
      read_archive(port, path);
      return;
    }
    if (port == nullptr)
      throw Error(ErrorCode::Usage, "the model has several inputs")
          .remedy(fmt::format("Say which: --input {}=FILE, or give an .npz that names them",
                              ports_.front().name));
    if (command_.raw || path.extension() == ".bin")
      add_bytes(*port, read_file(path));
    else if (path.extension() == ".npy")
      add(*port, job::frames_of_input(program_, *port, data::read_npy(path), settings_of_pictures(),
                                      real_));
    else if (std::filesystem::is_directory(path))
      add_samples(*port, path);
    else if (data::has_image_extension(path))
      add(*port, frames_of(*port, data::apply(preprocess_of(*port), data::read_image(path))));
    else
      throw Error(ErrorCode::Usage, "not a kind of input that is known")
          .remedy("Give .jpg, .png, .npy, .npz or .bin, or --raw for the chip's own bytes");
  } catch (Error& error) {
    throw error.file(path.string());
  }

  void read_archive(const job::Port* port, const std::filesystem::path& path) {
    const auto npz = data::Npz::open(path);
    if (port != nullptr && npz.names().size() == 1) {
      add(*port, job::frames_of_input(program_, *port, npz.read(npz.names().front()),
                                      settings_of_pictures(), real_));
      return;
    }
    bool found = false;
    for (const job::Port& candidate : ports_) {
      if (port != nullptr && port != &candidate) continue;
      for (const std::string& key : {"input:" + candidate.name, candidate.name}) {
        if (!npz.has(key)) continue;
        add(candidate, job::frames_of_input(program_, candidate, npz.read(key),
                                            settings_of_pictures(), real_));
        found = true;
        break;
      }
    }
    if (!found && ports_.size() == 1 && !holds_recorded_results(npz))
      add_samples(ports_.front(), path);
    else if (!found)
      throw Error(ErrorCode::BadData,
                  fmt::format("no array '{}' among: {}", (port ? *port : ports_.front()).name,
                              fmt::join(npz.names(), ", ")))
          .remedy("Name the arrays as the inputs, or input:<name>");
  }

  static bool holds_recorded_results(const data::Npz& npz) {
    return std::any_of(npz.names().begin(), npz.names().end(),
                       [](const std::string& name) { return name.starts_with("input:"); });
  }

  /// As calibration data are read: a folder of pictures, or arrays beside labels.
  void add_samples(const job::Port& port, const std::filesystem::path& path) {
    const std::vector<data::InputSpec> spec{
        {port.name, job::network_shape(port), job::takes_integers(program_.model(), port.name)}};
    const auto dataset =
        data::open_dataset(path, spec, data::preprocess_for(spec.front(), settings_of_pictures()));
    for (std::size_t i = 0; i < dataset->size(); ++i)
      add(port, frames_of(port, dataset->sample(i).front()));
  }

  std::vector<Tensor> frames_of(const job::Port& port, const Tensor& values) const {
    return real_ ? job::real_frames_of(port, values, program_.target())
                 : job::frames_of(port, values, program_.target());
  }

  void add_bytes(const job::Port& port, const std::vector<std::byte>& bytes) {
    for (Tensor& frame : job::frames_of_bytes(port, bytes))
      add(port, real_ ? frames_of(port, frame) : std::vector<Tensor>{std::move(frame)});
  }

  /// What the file says, overridden by the command line.
  data::Settings settings_of_pictures() const {
    return job::given_settings(command_.pictures, job::preprocess_settings(program_.model()));
  }

  data::Preprocess preprocess_of(const job::Port& port) {
    const data::InputSpec spec{port.name, job::network_shape(port),
                               job::takes_integers(program_.model(), port.name)};
    const auto settings = settings_of_pictures();
    if (settings.empty() && !quiet_)
      print_note(
          fmt::format("the file does not say how pictures are prepared; pixels are "
                      "scaled to 0..1 (change it with --preprocess)"));
    const auto preprocess = data::preprocess_for(spec, settings);
    if (preprocess.width == 0)
      throw Error(ErrorCode::BadData,
                  fmt::format("the input takes {}, which is no picture", to_string(spec.shape)))
          .tensor(port.name)
          .remedy("Give an .npy or .npz file");
    return preprocess;
  }

  void add(const job::Port& port, std::vector<Tensor> frames) {
    auto& all = frames_[port.name];
    std::move(frames.begin(), frames.end(), std::back_inserter(all));
  }

  const RunCommand& command_;
  const sim::Program& program_;
  bool real_;
  bool quiet_;
  std::vector<job::Port> ports_;
  job::Frames frames_;
};

struct Result {
  job::Port port;
  std::int64_t count = 0;
  /// All for an .npy file, else only those that are shown.
  std::vector<Tensor> frames;
  /// Of its integers, frame by frame, where there are banks.
  std::vector<std::int32_t> exponents{};
};

constexpr std::size_t kFramesShown = 10;

/// The type and shape that one frame of the port is written in.
data::NpzFrames::Array array_of(const RunCommand& command, const job::Port& port) {
  const Tensor zero(port.desc.dtype, port.desc.shape);
  const Tensor written = command.writes_integers() ? zero : job::dequantized(port, zero);
  return {port.name, written.dtype(), written.shape()};
}

/// Every frame goes to `file` where there is one.
std::vector<Result> simulate(const RunCommand& command, const measure::BankPrograms& programs,
                             const job::Frames& inputs, const job::Reading& reading, bool quiet,
                             OutputFiles& files, std::vector<std::size_t>& banks) {
  std::vector<Result> results;
  for (const job::Port& port : reading.ports) results.push_back({port, 0, {}, {}});
  std::optional<data::NpzFrames> npz;
  if (command.output.extension() == ".npz") {
    std::vector<data::NpzFrames::Array> arrays;
    for (const Result& result : results) arrays.push_back(array_of(command, result.port));
    npz.emplace(files, command.output, std::move(arrays));
  }
  Progress progress("running", static_cast<std::int64_t>(inputs.begin()->second.size()), quiet);
  const auto take = [&](std::int64_t i, std::span<const Tensor> values) {
    for (std::size_t r = 0; r < results.size(); ++r) {
      ++results[r].count;
      if (!npz || (!command.all_tensors && i < static_cast<std::int64_t>(kFramesShown)))
        results[r].frames.push_back(values[r]);
    }
    if (npz) npz->add(values);
    progress.update(i + 1);
  };
  if (programs.all().size() == 1)
    job::simulate(programs.own(), inputs, reading, take);
  else
    job::simulate(programs, inputs, reading,
                  [&](std::int64_t i, std::size_t bank, std::span<const Tensor> values) {
                    banks.push_back(bank);
                    for (std::size_t r = 0; r < results.size(); ++r)
                      results[r].exponents.push_back(
                          programs.all()[bank]->desc(reading.tensors[r]).exponent());
                    take(i, values);
                  });
  if (npz) {
    std::map<std::string, Tensor> exponents;
    if (command.writes_integers() || command.all_tensors)
      for (const auto& [port, frames, shown, by_frame] : results)
        exponents.emplace("exponent:" + port.name,
                          by_frame.empty() ? Tensor::scalar<std::int32_t>(port.desc.exponent())
                                           : Tensor::of<std::int32_t>({frames}, by_frame));
    npz->finish(exponents);
  }
  return results;
}

constexpr std::size_t kTop = 5;
constexpr std::int64_t kMostClasses = 10000;

/// One axis that counts, long enough to rank.
bool is_classifier_like(const sim::TensorDesc& desc) {
  const std::int64_t count = element_count(desc.shape);
  return count > 2 && count <= kMostClasses &&
         count == *std::max_element(desc.shape.begin(), desc.shape.end());
}

void print_top(const Result& result, bool quantized, const std::vector<std::string>& classes) {
  using enum report::Table::Align;
  report::Table table({{"frame", Right}, {"rank", Right}, {"class", Right}, {"value", Right}});
  for (std::size_t f = 0; f < std::min(result.frames.size(), kFramesShown); ++f) {
    const Tensor values = result.frames[f].cast(DType::Float32);
    const auto v = values.data<float>();
    std::vector<std::size_t> order(v.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return v[a] > v[b]; });
    for (std::size_t rank = 0; rank < std::min(kTop, order.size()); ++rank)
      table.add_row({rank == 0 ? fmt::format("{}", f) : "", fmt::format("{}", rank + 1),
                     order[rank] < classes.size()
                         ? fmt::format("{} {}", order[rank], classes[order[rank]])
                         : fmt::format("{}", order[rank]),
                     fmt::format("{:g}", v[order[rank]])});
  }
  fmt::print("{}{}:\n{}", result.port.name, quantized ? " (quantized)" : "", table.to_string());
  if (result.count > static_cast<std::int64_t>(kFramesShown))
    fmt::print("and {} more frames\n", result.count - static_cast<std::int64_t>(kFramesShown));
}

void print_written(const RunCommand& command, const std::vector<Result>& results,
                   const std::vector<std::size_t>& banks) {
  nlohmann::ordered_json json{{"file", command.output.string()},
                              {"tensors", nlohmann::ordered_json::array()}};
  for (const Result& result : results) {
    const data::NpzFrames::Array written = array_of(command, result.port);
    json["tensors"].push_back({{"name", written.name},
                               {"dtype", to_string(written.dtype)},
                               {"shape", written.frame},
                               {"exponent", result.port.desc.exponent()},
                               {"frames", result.count}});
  }
  if (!banks.empty()) json["banks"] = banks;
  using Handler = nlohmann::ordered_json::error_handler_t;
  fmt::print("{}\n", json.dump(2, ' ', false, Handler::replace));
}

void execute(const RunCommand& command, const Context& context) {
  const auto extension = command.output.extension();
  if (extension != ".npz" && extension != ".npy")
    throw Error(ErrorCode::Usage, "the output must be an .npz or .npy file")
        .file(command.output.string());
  const espdl::Model model = command.file.load();
  sim::Program program(model, command.file.target_to_run(model), command.simulation);
  print_faults(program);
  print_overwrites(measure::compute_in_planned_memory(program), kComputedAsPlanned);
  if (program.inputs().empty())
    throw Error(ErrorCode::Unsupported, "the model has no inputs").file(command.file.path.string());
  const espdl::Banks banks = command.file.load_banks(model);
  const measure::BankPrograms programs(program, banks);
  const bool banked = !banks.banks.empty();
  const job::Frames inputs = InputReader(command, program, banked, context.quiet).read();
  OutputFiles files;
  const job::Reading reading =
      job::reading_of(program, command.all_tensors, command.writes_integers());
  if (extension == ".npy" && reading.tensors.size() != 1)
    throw Error(ErrorCode::Usage,
                fmt::format("{} tensors do not fit into an .npy file", reading.tensors.size()))
        .file(command.output.string())
        .remedy("Write an .npz file");
  std::vector<std::size_t> chosen;
  const auto results = simulate(command, programs, inputs, reading, context.quiet, files, chosen);
  if (extension == ".npy")
    files.add(command.output, data::write_npy(job::joined(results.front().frames)));
  files.commit();
  if (command.json) {
    print_written(command, results, chosen);
    return;
  }
  if (context.quiet) return;
  for (const auto& result : results)
    if (!command.all_tensors && is_classifier_like(result.port.desc))
      print_top(result, command.writes_integers(), job::stored_classes(model));
  if (banked) fmt::print("Bank of frames: {}\n", job::frames_by_bank(chosen, banks.banks.size()));
  fmt::print("{}: tensors {}, frames {}\n", command.output.string(), results.size(),
             inputs.begin()->second.size());
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  auto& sub = *app.add_subcommand("run", "Compute an .espdl model's outputs as the chip does");
  const auto command = std::make_shared<RunCommand>();
  add_model_file(sub, command->file);
  add_target(sub, command->file);
  add_banks(sub, command->file);
  sub.add_option("--input,-i", command->inputs,
                 "Picture (.jpg, .png), folder of pictures, array (.npy, .npz: floats, the input's "
                 "own integers, or pictures as bytes; frames along the first axis) or raw bytes "
                 "(.bin). May be repeated; NAME=FILE for one of several inputs")
      ->required()
      ->allow_extra_args(false)
      ->type_name("[NAME=]FILE");
  sub.add_option("--out,-o", command->output, "Where the outputs go")
      ->required()
      ->type_name("NPZ|NPY");
  sub.add_option("--count", command->count, "Only so many frames, the first ones (default: all)")
      ->check(whole_number(1))
      ->type_name("N");
  add_preprocess(sub, command->pictures, "as the file says");
  sub.add_flag("--all-tensors", command->all_tensors,
               "Write every activation in ESP-DL's layout, with exponent:<tensor>; integers, or "
               "floats with --dequantize");
  auto* quantized = sub.add_flag("--quantized", command->quantized,
                                 "Write the chip's integers, in its layout, and exponent:<tensor>");
  sub.add_flag("--dequantize", command->dequantized,
               "Write floats, outputs in the network's layout (default)")
      ->excludes(quantized);
  sub.add_flag("--raw", command->raw, "Every input file holds the chip's own bytes");
  add_simulation(sub, command->simulation);
  sub.add_flag("--json", command->json, "Print JSON: what was written");
  sub.footer(
      preprocess_help() +
      "Frames run one after the other; streaming operators keep their state from frame to frame.\n"
      "\n"
      "Examples:\n"
      "  espquant run model.espdl --input hand.jpg --out scores.npz\n"
      "  espquant run model.espdl -i audio=a.npy -i state=s.npz -o out.npz --quantized\n"
      "  espquant run model.espdl -i test.npz -o all.npz --all-tensors --count 4\n");
  sub.callback([command, &context] { execute(*command, context); });
}

}  // namespace espquant::cli
