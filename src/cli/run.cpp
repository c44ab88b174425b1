#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/notes.h"
#include "cli/progress.h"
#include "cli/validators.h"
#include "job/bank_report.h"
#include "job/port_metadata.h"
#include "job/run_inputs.h"
#include "job/run_output.h"
#include "measure/planned_memory.h"
#include "report/json_text.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

struct RunCommand {
  job::ModelFile file;
  job::RunInputs inputs;
  std::filesystem::path output;
  sim::Options simulation;
  bool all_tensors = false;
  bool quantized = false;
  bool dequantized = false;
  bool json = false;

  /// Intermediate tensors are for comparison with a chip, unless one asks otherwise.
  job::RunOutput written() const {
    return {output, all_tensors, quantized || (all_tensors && !dequantized)};
  }
};

constexpr std::size_t kTop = 5;
constexpr std::int64_t kMostClasses = 10000;

/// One axis that counts, long enough to rank.
bool is_classifier_like(const sim::TensorDesc& desc) {
  const std::int64_t count = element_count(desc.shape);
  return count > 2 && count <= kMostClasses &&
         count == *std::max_element(desc.shape.begin(), desc.shape.end());
}

void print_top(const job::RunResult::Output& result, bool quantized,
               const std::vector<std::string>& classes) {
  using enum report::Table::Align;
  report::Table table({{"frame", Right}, {"rank", Right}, {"class", Right}, {"value", Right}});
  for (std::size_t f = 0; f < std::min(result.frames.size(), job::kFramesShown); ++f) {
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
  if (result.count > static_cast<std::int64_t>(job::kFramesShown))
    fmt::print("and {} more frames\n", result.count - static_cast<std::int64_t>(job::kFramesShown));
}

void execute(const RunCommand& command, const Context& context) {
  const espdl::Model model = command.file.load();
  sim::Program program(model, command.file.target_to_run(model), command.simulation);
  print_faults(program);
  print_overwrites(measure::compute_in_planned_memory(program), kComputedAsPlanned);
  if (program.inputs().empty())
    throw Error(ErrorCode::Unsupported, "the model has no inputs").file(command.file.path.string());
  const espdl::Banks banks = command.file.load_banks(model);
  const measure::BankPrograms programs(program, banks);
  const bool banked = !banks.banks.empty();
  const job::RunOutput output = command.written();
  const job::Frames inputs = job::read_frames(program, command.inputs, banked, print_note);
  const auto frames = static_cast<std::int64_t>(inputs.begin()->second.size());
  const job::RunResult result = [&] {
    Progress progress("running", frames, context.quiet);
    return job::run_into_file(programs, inputs, output,
                              [&](std::int64_t done) { progress.update(done); });
  }();
  if (command.json) {
    fmt::print("{}", report::json_text(job::json_of(result, output)));
    return;
  }
  if (context.quiet) return;
  for (const auto& one : result.outputs)
    if (!command.all_tensors && is_classifier_like(one.port.desc))
      print_top(one, output.integers, job::stored_classes(model));
  if (banked)
    fmt::print("Bank of frames: {}\n", job::frames_by_bank(result.banks, banks.banks.size()));
  fmt::print("{}: tensors {}, frames {}\n", output.path.string(), result.outputs.size(), frames);
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  auto& sub = *app.add_subcommand("run", "Compute an .espdl model's outputs as the chip does");
  const auto command = std::make_shared<RunCommand>();
  add_model_file(sub, command->file);
  add_target(sub, command->file);
  add_banks(sub, command->file);
  sub.add_option("--input,-i", command->inputs.files,
                 "Picture (.jpg, .png), folder of pictures, array (.npy, .npz: floats, the input's "
                 "own integers, or pictures as bytes; frames along the first axis) or raw bytes "
                 "(.bin). May be repeated; NAME=FILE for one of several inputs")
      ->required()
      ->allow_extra_args(false)
      ->type_name("[NAME=]FILE");
  sub.add_option("--out,-o", command->output, "Where the outputs go")
      ->required()
      ->type_name("NPZ|NPY");
  sub.add_option("--count", command->inputs.count,
                 "Only so many frames, the first ones (default: all)")
      ->check(whole_number(1))
      ->type_name("N");
  add_preprocess(sub, command->inputs.pictures, "as the file says");
  sub.add_flag("--all-tensors", command->all_tensors,
               "Write every activation in ESP-DL's layout, with exponent:<tensor>; integers, or "
               "floats with --dequantize");
  auto* quantized = sub.add_flag("--quantized", command->quantized,
                                 "Write the chip's integers, in its layout, and exponent:<tensor>");
  sub.add_flag("--dequantize", command->dequantized,
               "Write floats, outputs in the network's layout (default)")
      ->excludes(quantized);
  sub.add_flag("--raw", command->inputs.raw, "Every input file holds the chip's own bytes");
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
