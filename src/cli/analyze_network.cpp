#include "cli/analyze_network.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/notes.h"
#include "cli/quantized_files.h"
#include "job/bank_report.h"
#include "page/layers_part.h"
#include "report/json_text.h"

namespace espquant::cli {

void analyze_network(const NetworkAnalysis& command, Context& context) {
  if (command.job.calib.path.empty())
    throw Error(ErrorCode::Usage, "an .onnx is quantized first, which needs calibration data")
        .file(command.job.model.string())
        .remedy("Add --calib DATA: .npz, .npy, or a folder of images");
  const job::Analyzed analyzed =
      job::analyze(command.job, print_note, show_stages(context.quiet || command.json));
  const analysis::Analysis& analysis = analyzed.analysis;
  print_warnings(analyzed.made.warnings);
  print_notes(job::notes_of(analyzed.made));
  if (!command.csv.empty()) {
    OutputFiles files;
    files.add(command.csv, job::analysis_csv(analysis, command.view));
    files.commit();
  }
  if (command.report.wanted()) {
    OutputFiles files;
    add_pages(
        files, command.report,
        page::page_of_analyzed(
            {"analyze", command.job.model.filename().string(), context.command_line}, analyzed));
    files.commit();
  }
  if (command.json) {
    const std::string json =
        job::analysis_json(analysis, analyzed.made.recipe, *analyzed.target, command.view);
    if (!analyzed.banks) {
      fmt::print("{}", json);
      return;
    }
    auto with_banks = nlohmann::ordered_json::parse(json);
    with_banks["ranges"] = job::following_json(analyzed.made.model, analyzed.banks->banks);
    fmt::print("{}", report::json_text(with_banks));
    return;
  }
  if (context.quiet) return;
  fmt::print("{} for {}, calibrated on {} samples\n\n{}", analyzed.made.recipe.name,
             analyzed.target->name, analyzed.calibration.chosen.size(),
             job::analysis_text(analysis, command.view));
  if (analyzed.banks && !analyzed.banks->banks.banks.empty())
    fmt::print("\nRanges, by bank of exponents:\n{}",
               job::following_text(analyzed.made.model, analyzed.banks->banks));
  print_pages(command.report);
}

}  // namespace espquant::cli
