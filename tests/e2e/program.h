#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/tensor.h"
#include "espdl/model.h"
#include "espdl/writer.h"
#include "tests/support/temporary_folder.h"

/// Runs the real program, and makes files for it.
namespace espquant::test {

struct Outcome {
  int exit_code = -1;
  std::string out, err;
};

/// Runs espquant with these arguments (no shell involved).
Outcome run_program(const std::vector<std::string>& arguments);
/// The same with a standard output that takes nothing.
Outcome run_with_full_output(const std::vector<std::string>& arguments);
/// The same where no file may grow beyond a kibibyte or so.
Outcome run_with_file_limit(const std::vector<std::string>& arguments);

/// A line of shell.
Outcome run_shell(const std::string& command);
/// The same as run_program() in a terminal of so many columns: `out` is what it shows.
Outcome run_in_terminal(const std::vector<std::string>& arguments, int columns);

void write_text(const std::string& path, std::string_view text);
void write_arrays(const std::string& path, const std::map<std::string, Tensor>& arrays);

/// One line on stderr that starts as every error does and holds `part`, nothing on stdout.
void expect_one_error(const Outcome& outcome, int exit_code, const std::string& part);

void write_model_file(const std::string& path, const espdl::Model& model,
                      const espdl::WriteOptions& options = {});
/// y = Relu(x) for the ESP32-S3, int8 1x2x2x3, exponent -4, without test values.
espdl::Model relu_model();
/// An .espdl for the ESP32-S3: y = Relu(x), int8 1x2x2x3, exponent -4. Its test values are right,
/// or off by one in one place. The network's layout is N,C,H,W by the metadata.
void write_relu_model(const std::string& path, bool with_error = false);
/// The same without test values, with more metadata.
void write_untested_model(const std::string& path,
                          const std::vector<std::pair<std::string, std::string>>& metadata = {});

}  // namespace espquant::test
