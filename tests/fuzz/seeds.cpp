#include "tests/fuzz/seeds.h"

#include <cstring>
#include <string>

#include "base/error.h"
#include "cost/board.h"
#include "cost/board_file.h"
#include "data/npy.h"
#include "data/npz.h"
#include "data/preprocess.h"
#include "deploy/serial_frame.h"
#include "espdl/banks.h"
#include "espdl/package.h"
#include "espdl/writer.h"
#include "onnx/export.h"
#include "recipe/embedded_recipes.h"
#include "recipe/recipe.h"
#include "search/space.h"
#include "search/work.h"
#include "strategy/quantize_model.h"
#include "target/target.h"
#include "tests/data/image_fixtures.h"
#include "tests/espdl/sample_model.h"
#include "tests/fuzz/graph_problem.h"
#include "tests/fuzz/targets/banked_model.h"

namespace espquant::test {
namespace {

Bytes bytes_of(std::string_view text) {
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::vector<Bytes> all_bytes_of(std::initializer_list<std::string_view> texts) {
  std::vector<Bytes> all;
  for (const std::string_view text : texts) all.push_back(bytes_of(text));
  return all;
}

constexpr std::uint64_t kNetworks = 40, kModels = 24;

std::vector<Bytes> networks() {
  std::vector<Bytes> seeds;
  for (std::uint64_t seed = 1; seed <= kNetworks; ++seed)
    seeds.push_back(onnx::export_model(draw_graph(seed).network));
  return seeds;
}

espdl::Model quantized(const GraphProblem& problem) {
  strategy::QuantizeOptions options;
  options.recipe = recipe::find_recipe(problem.recipe == "int16" ? "int16" : "int8");
  options.target = &find_target(problem.chip);
  options.report_samples = 1;
  const calib::SampleSource source{
      static_cast<std::int64_t>(problem.samples.size()),
      [&](std::int64_t i) { return problem.samples[static_cast<std::size_t>(i)]; }};
  return strategy::quantize_model(problem.network, source, options).model;
}

/// Of networks that are drawn; those that a chip cannot run are passed over.
std::vector<Bytes> models() {
  std::vector<Bytes> seeds;
  for (std::uint64_t seed = 1; seeds.size() < kModels; ++seed) try {
      seeds.push_back(espdl::write_model(quantized(draw_graph(seed))));
    } catch (const Error&) {
      continue;
    }
  seeds.push_back(espdl::write_model(espdl::sample_model()));
  seeds.push_back(espdl::write_model(banked_model()));
  seeds.push_back(espdl::write_model(banked_model(), {.key = espdl::Key{}}));
  return seeds;
}

std::vector<Bytes> packages() {
  const Bytes one = espdl::write_model(banked_model());
  espdl::Model other = banked_model();
  other.name = "other";
  const Bytes two = espdl::write_model(other);
  std::vector<Bytes> seeds;
  for (const auto edition : {espdl::PackageEdition::Pdl2, espdl::PackageEdition::Pdl3})
    seeds.push_back(espdl::pack({edition,
                                 edition == espdl::PackageEdition::Pdl3 ? "1.0" : "",
                                 {{"one", one}, {"two", two}}}));
  return seeds;
}

std::vector<Bytes> files_of_banks() {
  const espdl::Model model = banked_model();
  const Bytes file = espdl::write_model(model);
  espdl::Banks banks;
  banks.watched = {{"h", {0.125F, 0.25F, 0.5F}}};
  for (const int octaves : {3, 6}) {
    espdl::Model quiet = model;
    for (espdl::ValueInfo& value : quiet.values)
      if (value.name != "y") value.exponents = {value.exponent() - octaves};
    espdl::Constant& bias = quiet.initializers[1];
    bias.exponents = {bias.exponent() - octaves};
    for (std::int32_t& b : bias.data.mutable_data<std::int32_t>()) b = b * (1 << octaves) + 1;
    quiet.initializers[2].data.mutable_data<std::int8_t>()[static_cast<std::size_t>(octaves)] = 9;
    espdl::add_bank(banks, model, quiet, 1.0F / static_cast<float>(octaves));
  }
  const Bytes whole = espdl::write_banks(banks, model, file, find_target("esp32s3"));
  return {{whole.begin() + kBanksHead, whole.end()}};
}

std::vector<Bytes> arrays() {
  std::vector<Bytes> seeds;
  for (const DType dtype :
       {DType::Float32, DType::UInt8, DType::Int64, DType::Bool, DType::Float64})
    seeds.push_back(data::write_npy(Tensor(dtype, {2, 3, 4})));
  seeds.push_back(data::write_npy(Tensor(DType::Float32, {})));
  for (const bool compress : {false, true})
    seeds.push_back(data::write_npz(
        {{"images", Tensor(DType::UInt8, {4, 6, 6})}, {"labels", Tensor(DType::Int64, {4})}},
        compress));
  return seeds;
}

std::vector<Bytes> pictures() {
  std::vector<Bytes> seeds;
  const auto add = [&](std::span<const std::uint8_t> fixture) {
    const auto bytes = std::as_bytes(fixture);
    seeds.emplace_back(bytes.begin(), bytes.end());
  };
  using namespace data::fixtures;
  add(kJpegRgb);
  add(kJpegProgressive);
  add(kJpegGray);
  add(kPngRgb);
  add(kPngRgba);
  add(kPngPalette);
  add(kPngGray16);
  add(kPngOneBit);
  return seeds;
}

std::vector<Bytes> toml_files() {
  std::vector<Bytes> seeds;
  for (const EmbeddedText& recipe : recipe::embedded_recipes())
    seeds.push_back(bytes_of(recipe.text));
  seeds.push_back(bytes_of(recipe::to_toml({})));
  for (const char* chip : {"esp32s3", "esp32p4", "esp32c3"})
    seeds.push_back(bytes_of(cost::board_text({cost::board_of(find_target(chip)), chip, ""})));
  seeds.push_back(bytes_of(data::to_toml(data::default_preprocess({"input", {1, 3, 32, 48}}))));
  seeds.push_back(bytes_of(search::space_text()));
  return seeds;
}

std::vector<Bytes> journals() {
  search::Work work;
  work.recipe = recipe::find_recipe("mixed");
  search::Work tensor = work;
  tensor.kind = search::Work::Kind::Tensor;
  tensor.tensor = "a";
  search::Outcome layers, trial, refused;
  layers.layers = {{"conv", {"conv.weight"}}, {"fc", {}}};
  layers.tensors = {{"a", {0, 1}}};
  layers.has_caps = true;
  trial.judged = 0.01;
  trial.milliseconds = 3.5;
  trial.flash = 70000;
  trial.ram = 30000;
  trial.noise = 0.02;
  trial.part_noises = {0.01, 0.03};
  trial.accuracy = 0.9;
  trial.file = std::string(64, 'a');
  trial.wide_layers = {"conv"};
  refused.refusal = "no kernel";
  std::vector<Bytes> seeds{bytes_of(to_json(work)), bytes_of(to_json(tensor))};
  for (const search::Outcome& outcome : {layers, trial, refused})
    seeds.push_back(bytes_of(to_json(outcome)));
  return seeds;
}

std::vector<Bytes> frames() {
  const auto hello = deploy::serial_frame(firmware::FrameType::Hello, 0, 1, {});
  const auto bytes = std::as_bytes(std::span(hello));
  const Bytes frame(bytes.begin(), bytes.end());
  Bytes twice = frame;
  twice.insert(twice.end(), frame.begin(), frame.end());
  return {frame, twice};
}

}  // namespace

std::vector<Bytes> fuzz_seeds(std::string_view target) {
  if (target == "onnx" || target == "simplify" || target == "network") return networks();
  if (target == "espdl" || target == "chip") return models();
  if (target == "package") return packages();
  if (target == "banks") return files_of_banks();
  if (target == "arrays") return arrays();
  if (target == "picture") return pictures();
  if (target == "toml") return toml_files();
  if (target == "words")
    return all_bytes_of({"noise<=1", "accuracy-drop<=0.5", "flash<=300K", "ram<=1.5M", "ms<=20",
                         "latency", "ram=200K", "latency,ram=1M", "esp32s3", "esp32p4@3.3.9",
                         "000102030405060708090a0b0c0d0e0f",
                         "calibration.method=kl\nquantization.bits=16\nlayer.conv*.bits=8",
                         "dynamic.watch=[\"*conv1*\"]", "mean=0.5,0.5,0.5\nstd=0.25\ncolor=bgr",
                         "size=32x48\nfit=letterbox\nscale=1/255"});
  if (target == "profile")
    return all_bytes_of(
        {"I (1300) dl::Model:\x1b[0m\r\n| name | type | latency(us) |\n| stem/Conv | Conv | 1500.0 "
         "|\n| Relu_1 | Relu | 3 |\n| total | | 1503 |\n",
         "name,type,time (ms)\nstem/Conv,Conv,1.5\nRelu_1,Relu,0.5\n",
         "stem/Conv Conv 1500us\nRelu_1 Relu 500 us\n"});
  if (target == "journal") return journals();
  if (target == "protocol") return frames();
  throw Error(ErrorCode::Internal, "a fuzz target without seeds: " + std::string(target));
}

}  // namespace espquant::test
