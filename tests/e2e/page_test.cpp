#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/program.h"

namespace espquant::test {
namespace {

std::string page_content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST(Page, IsTheSameEveryTimeAndSaysWhatItWroteInItsData) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  const std::vector<std::string> command = {
      "inspect",       folder.path("m.espdl"), "--report",    folder.path("p.html"),
      "--report-json", folder.path("p.json"),  "--node-data", folder.path("n.json")};
  ASSERT_EQ(run_program(command).exit_code, 0);
  const std::string html = page_content(folder.path("p.html"));
  ASSERT_EQ(run_program(command).exit_code, 0);
  EXPECT_EQ(page_content(folder.path("p.html")), html);
  const auto data = nlohmann::json::parse(page_content(folder.path("p.json")));
  EXPECT_EQ(data["kind"], "inspect");
  EXPECT_EQ(data["models"][0]["nodes"][0]["name"], "the_relu");
  EXPECT_TRUE(data["models"][0]["memory"].contains("tensors"));
  const auto values = nlohmann::json::parse(page_content(folder.path("n.json")));
  EXPECT_TRUE(values["results"].contains("the_relu"));
}

TEST(Page, KeepsAKeySecret) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  const std::string key = "00112233445566778899aabbccddeeff";
  ASSERT_EQ(run_program(
                {"encrypt", folder.path("m.espdl"), "--key", key, "--out", folder.path("e.espdl")})
                .exit_code,
            0);
  for (const std::vector<std::string>& with :
       {std::vector<std::string>{"--key", key}, std::vector<std::string>{"--key=" + key}}) {
    std::vector<std::string> command = {"inspect", folder.path("e.espdl"), "--report",
                                        folder.path("p.html")};
    command.insert(command.end(), with.begin(), with.end());
    ASSERT_EQ(run_program(command).exit_code, 0);
    EXPECT_EQ(page_content(folder.path("p.html")).find(key), std::string::npos);
  }
}

TEST(Page, OfAnOnnxNeedsQuantization) {
  const TemporaryFolder folder;
  write_text(folder.path("m.onnx"), "x");
  expect_one_error(
      run_program({"inspect", folder.path("m.onnx"), "--report", folder.path("p.html")}), 2,
      "--report");
  EXPECT_FALSE(std::filesystem::exists(folder.path("p.html")));
}

}  // namespace
}  // namespace espquant::test
