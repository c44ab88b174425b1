#include "tests/e2e/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>

#include "base/file.h"
#include "data/npz.h"
#include "tests/support/content_of.h"

extern char** environ;

namespace espquant::test {
namespace {}  // namespace

espdl::Model relu_model() {
  const Shape shape{1, 2, 2, 3};
  espdl::Model model;
  model.name = "relu";
  model.producer = "test";
  model.metadata = {
      {"target", "esp32s3"}, {"espquant.layout.x", "0,2,3,1"}, {"espquant.layout.y", "0,2,3,1"}};
  model.inputs = {"x"};
  model.outputs = {"y"};
  model.values = {{"x", DType::Int8, shape, {-4}}, {"y", DType::Int8, shape, {-4}}};
  espdl::Node node;
  node.name = "the_relu";
  node.op = "Relu";
  node.inputs = {"x"};
  node.outputs = {"y"};
  node.attributes["quant_type"] = std::string("S8");
  model.nodes = {node};
  model.opsets = {{"", 18}};
  return model;
}

void write_model_file(const std::string& path, const espdl::Model& model,
                      const espdl::WriteOptions& options) {
  OutputFiles files;
  files.add(path, espdl::write_model(model, options));
  files.commit();
}

namespace {

Outcome run_words(std::vector<std::string> words, const std::string& standard_output = "") {
  const TemporaryFolder folder;
  const std::string out = standard_output.empty() ? folder.path("out") : standard_output,
                    err = folder.path("err");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failure = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(failure, 0) << "cannot start " << argv[0];
  if (failure != 0) return {};
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          standard_output.empty() ? content_of(out) : "", content_of(err)};
}

std::vector<std::string> with_program(std::vector<std::string> before,
                                      const std::vector<std::string>& arguments) {
  before.emplace_back(ESPQUANT_PROGRAM);
  before.insert(before.end(), arguments.begin(), arguments.end());
  return before;
}

}  // namespace

Outcome run_program(const std::vector<std::string>& arguments) {
  return run_words(with_program({}, arguments));
}

Outcome run_shell(const std::string& command) { return run_words({"/bin/sh", "-c", command}); }

Outcome run_in_terminal(const std::vector<std::string>& arguments, int columns) {
  const int screen = posix_openpt(O_RDWR | O_NOCTTY);
  if (screen < 0 || grantpt(screen) != 0 || unlockpt(screen) != 0) {
    ADD_FAILURE() << "no terminal";
    return {};
  }
  winsize size{};
  size.ws_col = static_cast<unsigned short>(columns);
  ioctl(screen, TIOCSWINSZ, &size);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, ptsname(screen), O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  auto words = with_program({"/usr/bin/env", "-u", "COLUMNS", "TERM=xterm"}, arguments);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failure = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(failure, 0);
  std::string shown;
  std::array<char, 4096> some{};
  // Fails when the last of the other side is closed.
  for (ssize_t n = 0; (n = read(screen, some.data(), some.size())) > 0;)
    shown.append(some.data(), static_cast<std::size_t>(n));
  close(screen);
  int status = 0;
  waitpid(child, &status, 0);
  std::erase(shown, '\r');
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, shown, ""};
}

Outcome run_with_full_output(const std::vector<std::string>& arguments) {
  return run_words(with_program({}, arguments), "/dev/full");
}

Outcome run_with_file_limit(const std::vector<std::string>& arguments) {
  // Without the trap, the limit's signal would end the program.
  return run_words(
      with_program({"/bin/sh", "-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"}, arguments));
}

void expect_one_error(const Outcome& outcome, int exit_code, const std::string& part) {
  EXPECT_EQ(outcome.exit_code, exit_code);
  EXPECT_TRUE(outcome.err.starts_with("espquant: error: ")) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

void write_text(const std::string& path, std::string_view text) { std::ofstream(path) << text; }

void write_arrays(const std::string& path, const std::map<std::string, Tensor>& arrays) {
  OutputFiles files;
  files.add(path, data::write_npz(arrays));
  files.commit();
}

void write_relu_model(const std::string& path, bool with_error) {
  auto model = relu_model();
  const Shape shape{1, 2, 2, 3};
  const auto x = Tensor::of<std::int8_t>(shape, {-128, -1, 0, 1, 2, 127, -5, 5, -6, 6, -7, 7});
  auto y = Tensor::of<std::int8_t>(shape, {0, 0, 0, 1, 2, 127, 0, 5, 0, 6, 0, 7});
  if (with_error) y.mutable_data<std::int8_t>()[3] = 2;
  model.test_inputs = {{"x", x, {-4}, ""}};
  model.test_outputs = {{"y", y, {-4}, ""}};
  write_model_file(path, model);
}

void write_untested_model(const std::string& path,
                          const std::vector<std::pair<std::string, std::string>>& metadata) {
  auto model = relu_model();
  model.metadata.insert(model.metadata.end(), metadata.begin(), metadata.end());
  write_model_file(path, model);
}

}  // namespace espquant::test
