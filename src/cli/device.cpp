#include "job/device.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/notes.h"
#include "cli/progress.h"
#include "cli/validators.h"
#include "report/json_text.h"

namespace espquant::cli {
namespace {

struct DeviceCommand {
  job::DeviceOptions options;
  std::int64_t seconds = 10;
  bool json = false;
};

void print_device_json(const job::DeviceReport& report) {
  nlohmann::ordered_json j{{"samples", report.samples},
                           {"different_samples", report.different_samples},
                           {"different_elements", report.different_elements}};
  if (!report.first_difference.empty()) j["first_difference"] = report.first_difference;
  if (report.accuracy) j["accuracy"] = *report.accuracy;
  if (report.simulated_accuracy) j["simulated_accuracy"] = *report.simulated_accuracy;
  j["preparation_milliseconds"] = report.preparation_ms;
  j["run_milliseconds"] = report.run_ms;
  fmt::print("{}", report::json_text(j));
}

void print_device(const job::DeviceReport& report, bool pictures) {
  fmt::print("Samples       {}\n", report.samples);
  if (report.different_samples == 0)
    fmt::print("Outputs       all as simulated\n");
  else
    fmt::print(
        "Outputs       {} samples differ from the simulator, in {} elements\n"
        "              first: {}\n",
        report.different_samples, report.different_elements, report.first_difference);
  if (report.accuracy)
    fmt::print("Accuracy      {:.2f} % (simulated {:.2f} %)\n", 100 * *report.accuracy,
               100 * *report.simulated_accuracy);
  if (pictures) fmt::print("Preparation   {:.3f} ms\n", report.preparation_ms);
  fmt::print("One run       {:.3f} ms\n", report.run_ms);
}

void run_device(const DeviceCommand& command, Context& context) {
  std::unique_ptr<Progress> shown;
  job::DeviceOptions options = command.options;
  options.patience = std::chrono::seconds(command.seconds);
  const auto report =
      job::run_on_device(options, print_note, [&](std::int64_t done, std::int64_t total) {
        if (!shown)
          shown = std::make_unique<Progress>("on the board", total, context.quiet || command.json);
        shown->update(done);
      });
  shown.reset();
  if (report.different_samples > 0) context.exit_code = 1;
  if (command.json)
    print_device_json(report);
  else
    print_device(report, options.send_pictures);
}

}  // namespace

void add_device(CLI::App& app, Context& context) {
  auto& sub = *app.add_subcommand("device", "Run a data set on a board, beside the simulator");
  const auto command = std::make_shared<DeviceCommand>();
  job::DeviceOptions& options = command->options;
  add_model_file(sub, options.file);
  sub.add_option("--port", options.port, "The board's serial port, as /dev/ttyUSB0")
      ->required()
      ->type_name("PORT");
  add_data(sub, options.data.path,
           "What to run: .npz, .npy, or a folder of images; labels where it has them")
      ->required();
  add_count(sub, options.data.count, "all");
  add_preprocess(sub, options.data, "as the .espdl says");
  add_classes(sub, options.data);
  sub.add_flag("--pictures", options.send_pictures,
               "Send pictures as they are, which the board prepares (default: the model's "
               "integers)");
  sub.add_option("--baud", options.baud, "Speed of the port (default 921600)")
      ->check(whole_number(1))
      ->type_name("N");
  sub.add_option("--patience", command->seconds, "Seconds to wait for an answer (default 10)")
      ->check(whole_number(1, 3600))
      ->type_name("N");
  sub.add_flag("--json", command->json, "Print the result as JSON");
  sub.footer(preprocess_help() +
             "The board runs a project of espquant project --app serial.\n"
             "\n"
             "Examples:\n"
             "  espquant device model.espdl --port /dev/ttyUSB0 --data test.npz\n"
             "  espquant device model.espdl --port /dev/ttyACM0 --data images --pictures\n");
  sub.callback([command, &context] { run_device(*command, context); });
}

}  // namespace espquant::cli
