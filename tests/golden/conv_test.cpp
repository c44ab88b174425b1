#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/mac_engine.h"
#include "tests/golden/golden_runner.h"
#include "tests/support/shared.h"

namespace espquant::test {
namespace {

namespace fs = std::filesystem;
using sim::ConvGeometry;
using sim::KernelChoice;
using sim::MacArithmetic;

/// A single convolution as the S3's assembly computed it.
struct Case {
  ConvGeometry geometry;
  MacArithmetic arithmetic;
  Tensor x, w, y;
};

Case read_case(const fs::path& file) {
  const auto npz = data::read_npz(file);
  const auto bytes = npz.at("meta").bytes();
  const auto meta =
      nlohmann::json::parse(reinterpret_cast<const char*>(bytes.data()),
                            reinterpret_cast<const char*>(bytes.data()) + bytes.size());
  Case c{{}, {}, npz.at("x"), npz.at("w"), npz.at("y")};
  const Shape &x = c.x.shape(), &w = c.w.shape(), &y = c.y.shape();
  const auto pads = meta.at("pads_tblr");
  ConvGeometry& g = c.geometry;
  g = {.in_h = x[1],
       .in_w = x[2],
       .in_c = x[3],
       .out_h = y[1],
       .out_w = y[2],
       .out_c = w[0],
       .kernel_h = w[1],
       .kernel_w = w[2],
       .stride_h = meta.at("strides")[0],
       .stride_w = meta.at("strides")[1],
       .dilation_h = meta.at("dilations")[0],
       .dilation_w = meta.at("dilations")[1],
       .pad_top = pads[0],
       .pad_left = pads[2],
       .depthwise = meta.at("depthwise")};
  const Target& s3 = find_target("esp32s3");
  MacArithmetic& a = c.arithmetic;
  a.bits = c.x.dtype() == DType::Int8 ? 8 : 16;
  a.relu = meta.at("activation") == "relu";
  sim::set_accumulators(a, s3, g.out_c, g.depthwise, true);
  const int shift = meta.at("output_exponent").get<int>() - meta.at("input_exponent").get<int>() -
                    meta.at("weight_exponent").get<int>();
  a.shifts.assign(static_cast<std::size_t>(g.out_c), shift);
  const Tensor stored =
      npz.contains("b") ? npz.at("b").cast(DType::Int64) : Tensor(DType::Int64, {g.out_c});
  for (std::int64_t n = 0; n < g.out_c; ++n)
    a.bias.push_back(
        sim::initial_sum(a, s3, n, stored.data<std::int64_t>()[static_cast<std::size_t>(n)], true));
  return c;
}

Tensor run(const Case& c, KernelChoice kernels) {
  const sim::MacEngine engine(c.geometry, c.arithmetic, {.kernels = kernels});
  const auto filter = engine.load(c.w);
  Tensor y(c.y.dtype(), c.y.shape());
  sim::Workspace workspace;
  engine.run(c.x.bytes().data(), filter, y.mutable_bytes().data(), workspace);
  return y;
}

class S3Conv : public testing::TestWithParam<const char*> {};

TEST_P(S3Conv, EqualsTheAssembly) {
  ESPQUANT_NEEDS_SHARED("golden/s3_assembly");
  GoldenSummary summary(std::string("s3_assembly/") + GetParam());
  for (const fs::path& file :
       files_below(shared_dir() / "golden/s3_assembly" / GetParam(), ".npz")) {
    run_case(summary, file.stem().string(), [&] {
      const Case c = read_case(file);
      return std::vector{
          sim::compare("reference", run(c, KernelChoice::Reference), c.y, {sim::Tolerance::Exact}),
          sim::compare("fast", run(c, KernelChoice::Fast), c.y, {sim::Tolerance::Exact})};
    });
  }
  summary.print();
  EXPECT_GT(summary.cases, 0);
  EXPECT_TRUE(summary.failed.empty());
}

INSTANTIATE_TEST_SUITE_P(Widths, S3Conv, testing::Values("conv_int8", "conv_int16"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace espquant::test
