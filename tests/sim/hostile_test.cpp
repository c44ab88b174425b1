#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/random.h"
#include "espdl/reader.h"
#include "sim/program.h"
#include "tests/support/shared.h"

/// Nodes that no exporter writes. Each must be refused with an Error that is not our own fault, or
/// run without leaving its tensors; the sanitizer builds watch the latter.
namespace espquant::test {
namespace {

namespace fs = std::filesystem;
using Ints = std::vector<std::int64_t>;

constexpr std::size_t kLargestRun = std::size_t{1} << 20;

template <typename T, std::size_t N>
T pick(Random& random, const std::array<T, N>& from) {
  return from[random.below(N)];
}

std::int64_t draw_int(Random& random) {
  static constexpr std::array<std::int64_t, 16> kOdd = {
      0,         -1,           -2,    127,       128,       255,       1 << 20,   1LL << 31,
      1LL << 32, -(1LL << 31), -1000, 1LL << 62, INT64_MAX, INT64_MIN, INT32_MAX, 65536};
  return random.below(3) == 0 ? pick(random, kOdd) : random.between(-1, 4);
}

float draw_float(Random& random) {
  static constexpr std::array<float, 8> kOdd = {0.F, 1.F, -1.F, 1e30F, 1e-30F, INFINITY, NAN, -0.F};
  return random.below(2) == 0 ? pick(random, kOdd) : random.uniform(-4, 4);
}

int draw_exponent(Random& random) {
  // The reader refuses what is beyond.
  static constexpr std::array kOdd = {0, 1, 31, -31, 127, -149, 1024, -1024};
  return random.below(4) == 0 ? pick(random, kOdd) : static_cast<int>(random.between(-12, 2));
}

DType draw_dtype(Random& random) {
  static constexpr std::array kUsual = {DType::Int8, DType::Int16, DType::Float32, DType::Int64};
  static constexpr std::array kOthers = {DType::Undefined, DType::Bool,   DType::UInt8,
                                         DType::Int32,     DType::UInt16, DType::Float64,
                                         DType::Float16};
  return random.below(6) == 0 ? pick(random, kOthers) : pick(random, kUsual);
}

Shape draw_shape(Random& random, bool any_extent) {
  static constexpr std::array<std::int64_t, 9> kUsual = {1, 1, 1, 2, 3, 4, 8, 16, 17};
  Shape shape(random.below(7));
  for (std::int64_t& extent : shape) {
    extent = pick(random, kUsual);
    if (random.below(12) == 0) extent = 0;
    if (any_extent && random.below(12) == 0) extent = draw_int(random);
  }
  return shape;
}

void fill(Random& random, std::span<std::byte> bytes) {
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
}

Tensor draw_tensor(Random& random, DType dtype, Shape shape) {
  Tensor t(dtype, std::move(shape));
  if (dtype == DType::Int64) {  // parameters: positions, counts, sizes
    for (std::int64_t& v : t.mutable_data<std::int64_t>()) v = draw_int(random);
  } else {
    fill(random, t.mutable_bytes());
  }
  return t;
}

espdl::AttributeValue draw_attribute(Random& random) {
  static constexpr std::array<std::string_view, 22> kWords = {
      "",         "Linear",        "Relu",  "S8",         "S16",           "F32",
      "nearest",  "linear",        "cubic", "asymmetric", "align_corners", "half_pixel",
      "constant", "reflect",       "edge",  "wrap",       "DCR",           "CRD",
      "reverse",  "bidirectional", "add",   "SAME_UPPER"};
  switch (random.below(6)) {
    case 0:
      return draw_float(random);
    case 1:
      return std::string(pick(random, kWords));
    case 2:
      return draw_int(random);
    case 3:
      return std::vector<float>(random.below(5), draw_float(random));
    case 4:
      return espdl::Constant{
          "", draw_tensor(random, DType::Int64, {random.between(0, 4)}), {0}, ""};
    default: {
      Ints list(random.below(9));
      for (std::int64_t& v : list) v = draw_int(random);
      return list;
    }
  }
}

/// Every attribute that an operator reads.
constexpr std::array<std::string_view, 45> kAttributes = {"activation",
                                                          "allowzero",
                                                          "alpha",
                                                          "auto_pad",
                                                          "axes",
                                                          "axis",
                                                          "batch_axis",
                                                          "beta",
                                                          "blocksize",
                                                          "ceil_mode",
                                                          "coordinate_transformation_mode",
                                                          "count_include_pad",
                                                          "dilations",
                                                          "direction",
                                                          "ends",
                                                          "epsilon",
                                                          "frame_axis",
                                                          "gate_exponent",
                                                          "group",
                                                          "hidden_size",
                                                          "input_forget",
                                                          "keepdims",
                                                          "kernel_shape",
                                                          "layout",
                                                          "linear_before_reset",
                                                          "lut",
                                                          "mode",
                                                          "nearest_mode",
                                                          "noop_with_empty_axes",
                                                          "num_outputs",
                                                          "output_padding",
                                                          "p",
                                                          "pads",
                                                          "perm",
                                                          "quant_type",
                                                          "reduction",
                                                          "scales",
                                                          "shape",
                                                          "split",
                                                          "starts",
                                                          "steps",
                                                          "strides",
                                                          "time_axis",
                                                          "transA",
                                                          "window_size"};

/// A node of operator `op` with some inputs, mostly of one type and shape, and some attributes.
espdl::Model draw_node(Random& random, std::string_view op) {
  espdl::Model model;
  espdl::Node node;
  node.name = "node";
  node.op = op;
  const DType usual_dtype = draw_dtype(random);
  const Shape usual_shape = draw_shape(random, true);
  const auto inputs = static_cast<int>(random.below(5));
  for (int i = 0; i < inputs; ++i) {
    const bool like_first = random.below(3) != 0;
    const DType dtype = like_first ? usual_dtype : draw_dtype(random);
    const std::string name = "input" + std::to_string(i);
    node.inputs.push_back(random.below(12) == 0 ? "" : name);
    if (random.below(3) == 0 && dtype != DType::Undefined) {
      model.initializers.push_back({name,
                                    draw_tensor(random, dtype, draw_shape(random, false)),
                                    {draw_exponent(random)},
                                    ""});
    } else {
      model.inputs.push_back(name);
      model.values.push_back({name,
                              dtype,
                              like_first ? usual_shape : draw_shape(random, true),
                              {draw_exponent(random)}});
    }
  }
  for (std::uint64_t count = random.below(8); count > 0; --count)
    node.attributes.insert_or_assign(std::string(pick(random, kAttributes)),
                                     draw_attribute(random));
  for (std::uint64_t o = 0; o <= random.below(3); ++o) {
    const std::string name = "output" + std::to_string(o);
    node.outputs.push_back(name);
    model.outputs.push_back(name);
    model.values.push_back({name,
                            random.below(3) == 0 ? draw_dtype(random) : usual_dtype,
                            {},
                            {draw_exponent(random)}});
  }
  model.nodes.push_back(std::move(node));
  return model;
}

/// Changes one thing of a sound model.
void spoil(Random& random, espdl::Model& model) {
  espdl::Node& node = model.nodes[random.below(model.nodes.size())];
  espdl::ValueInfo& value = model.values[random.below(model.values.size())];
  switch (random.below(9)) {
    case 0:
      node.attributes.insert_or_assign(std::string(pick(random, kAttributes)),
                                       draw_attribute(random));
      return;
    case 1:
      if (!node.attributes.empty())
        std::next(node.attributes.begin(),
                  static_cast<std::ptrdiff_t>(random.below(node.attributes.size())))
            ->second = draw_attribute(random);
      return;
    case 2:
      if (!node.attributes.empty()) node.attributes.erase(node.attributes.begin());
      return;
    case 3:
      value.shape = draw_shape(random, true);
      return;
    case 4:
      if (!value.shape.empty()) value.shape[random.below(value.shape.size())] = draw_int(random);
      return;
    case 5:
      value.dtype = draw_dtype(random);
      return;
    case 6:
      value.exponents.assign(random.below(3), draw_exponent(random));
      return;
    case 7:
      if (!node.inputs.empty()) node.inputs[random.below(node.inputs.size())].clear();
      return;
    default:
      if (model.initializers.empty()) return;
      espdl::Constant& constant = model.initializers[random.below(model.initializers.size())];
      const DType dtype = random.below(2) == 0 ? constant.data.dtype() : DType::Int64;
      constant.data = draw_tensor(random, dtype, draw_shape(random, false));
  }
}

std::size_t bytes_of(const sim::Program& program) {
  std::size_t bytes = 0;
  for (std::size_t t = 0; t < program.tensor_count(); ++t) bytes += program.desc(t).byte_size();
  return bytes;
}

struct Tally {
  int ran = 0, refused = 0;
};

/// Prepares the model for a random chip and, where it takes little memory, runs it.
void try_model(Random& random, const espdl::Model& model, Tally& tally) {
  const Target& target = representative(static_cast<Family>(random.below(3)));
  try {
    const sim::Program program(model, target);
    if (bytes_of(program) > kLargestRun) return;
    sim::Program::Frame frame(program);
    for (std::size_t t : program.inputs()) fill(random, frame.bytes(t));
    frame.run();
    ++tally.ran;
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
    ++tally.refused;
  }
}

std::vector<fs::path> sound_models() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(shared_dir() / "golden/op_cases"))
    if (entry.path().extension() == ".espdl") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(HostileNodes, OfEveryOperatorAreRefusedOrRun) {
  Random random(1);
  for (const sim::Operator& op : sim::all_operators()) {
    SCOPED_TRACE(op.type);
    Tally tally;
    for (int i = 0; i < 150; ++i) try_model(random, draw_node(random, op.type), tally);
    EXPECT_GT(tally.refused, 0);
  }
}

TEST(HostileNodes, MadeFromSoundOnesAreRefusedOrRun) {
  ESPQUANT_NEEDS_SHARED("golden/op_cases");
  Random random(2);
  Tally tally;
  for (const fs::path& file : sound_models()) {
    SCOPED_TRACE(file);
    const espdl::Model sound = espdl::read_model_file(file);
    for (int i = 0; i < 4; ++i) {
      espdl::Model model = sound;
      spoil(random, model);
      if (random.below(2) == 0) spoil(random, model);
      try_model(random, model, tally);
    }
  }
  EXPECT_GT(tally.ran, 100);
  EXPECT_GT(tally.refused, 100);
}

}  // namespace
}  // namespace espquant::test
