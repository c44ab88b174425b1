#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "tests/ops/one_node.h"

/// Sound nodes with something spoilt: each runs, or is refused with an Error that names it.
namespace espquant::ops {
namespace {

using ops::test::counting;
using ops::test::Floats;
using ops::test::Ints;
using ops::test::ints;
using ops::test::OneNode;

/// A sound example of each operator whose inputs are more than one tensor, or tensors of one shape.
const std::map<std::string, OneNode, std::less<>>& structured_examples() {
  const Tensor image = counting({1, 4, 6, 6}), matrix = counting({3, 4});
  const Tensor truth(DType::Bool, {3, 4}), none;
  static const std::map<std::string, OneNode, std::less<>> kExamples = [&] {
    std::map<std::string, OneNode, std::less<>> m;
    const auto add = [&](OneNode node) { m.emplace(node.op, std::move(node)); };
    for (const char* op :
         {"Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean",
          "Min", "Mul", "PRelu", "Pow", "Sub", "Sum", "CastLike"})
      add({op, {matrix, counting({4})}});
    for (const char* op : {"And", "Or", "Xor"}) add({op, {truth, truth}});
    add({"Einsum", {matrix, counting({4, 2})}, {{"equation", std::string("ij,jk->ik")}}});
    add({"GroupNormalization",
         {image, counting({4}), counting({4})},
         {{"num_groups", std::int64_t{2}}}});
    add({"Not", {truth}});
    for (const char* op : {"AveragePool", "MaxPool"})
      add({op,
           {image},
           {{"kernel_shape", Ints{3, 2}},
            {"strides", Ints{2, 1}},
            {"pads", Ints{1, 0, 1, 1}},
            {"dilations", Ints{1, 2}}}});
    add({"BatchNormalization",
         {image, counting({4}), counting({4}), counting({4}), counting({4})}});
    add({"Cast", {matrix}, {{"to", std::int64_t{7}}}});
    add({"Clip", {matrix, Tensor::scalar(1.0F), Tensor::scalar(5.0F)}});
    add({"Concat", {matrix, matrix}, {{"axis", std::int64_t{1}}}});
    add({"Constant", {}, {{"value_ints", Ints{1, 2}}}});
    add({"ConstantOfShape", {ints({2, 3})}});
    add({"Conv",
         {image, counting({4, 2, 3, 3}), counting({4})},
         {{"group", std::int64_t{2}},
          {"strides", Ints{2, 1}},
          {"pads", Ints{1, 1, 1, 1}},
          {"dilations", Ints{1, 2}}}});
    add({"ConvTranspose",
         {image, counting({4, 2, 3, 3}), counting({4})},
         {{"group", std::int64_t{2}},
          {"strides", Ints{2, 1}},
          {"pads", Ints{1, 1, 1, 1}},
          {"output_padding", Ints{1, 0}}}});
    add({"DepthToSpace", {image}, {{"blocksize", std::int64_t{2}}}});
    add({"SpaceToDepth", {image}, {{"blocksize", std::int64_t{2}}}});
    add({"DequantizeLinear",
         {Tensor(DType::Int8, {1, 4, 2}), counting({4}), Tensor(DType::Int8, {4})}});
    add({"QuantizeLinear", {counting({1, 4, 2}), counting({4}), Tensor(DType::Int8, {4})}});
    add({"CumSum", {matrix, Tensor::scalar<std::int64_t>(1)}});
    add({"Dropout", {matrix, Tensor::scalar(0.5F), Tensor::scalar(false)}});
    add({"Expand", {matrix, ints({2, 1, 4})}});
    add({"GRU",
         {counting({3, 2, 4}), counting({2, 15, 4}), counting({2, 15, 5}), counting({2, 30})},
         {{"direction", std::string("bidirectional")}}});
    add({"LSTM",
         {counting({3, 2, 4}), counting({2, 20, 4}), counting({2, 20, 5}), counting({2, 40})},
         {{"direction", std::string("bidirectional")}}});
    add({"Gather", {matrix, ints({0, -1})}});
    add({"GatherElements", {matrix, Tensor(DType::Int64, {2, 4})}});
    add({"GatherND", {matrix, Tensor(DType::Int64, {2, 1})}});
    add({"Gemm", {matrix, counting({5, 4}), counting({5})}, {{"transB", std::int64_t{1}}}});
    for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"}) add({op, {image}});
    add({"InsertZeros", {image}, {{"stride", Ints{2, 2}}, {"output_padding", Ints{1, 1}}}});
    add({"InstanceNormalization", {image, counting({4}), counting({4})}});
    add({"LayerNormalization", {matrix, counting({4}), counting({4})}});
    add({"RMSNormalization", {matrix, counting({4})}});
    add({"MatMul", {counting({2, 3, 4}), counting({4, 5})}});
    add({"Mod", {matrix, counting({4})}, {{"fmod", std::int64_t{1}}}});
    add({"Pad", {matrix, ints({1, 0, 2, 1}), Tensor::scalar(1.0F)}});
    add({"Range", {Tensor::scalar(1.0F), Tensor::scalar(9.0F), Tensor::scalar(2.0F)}});
    add({"Reshape", {matrix, ints({2, -1})}});
    add({"Resize", {image, none, Tensor::of<float>({4}, {1, 1, 2, 0.5F})}});
    add(OneNode("Upsample", {image}, {{"scales", Floats{1, 1, 2, 2}}}).at(7));
    add({"ReverseSequence", {counting({3, 2, 4}), ints({3, 1})}});
    add({"ScatterElements", {matrix, Tensor(DType::Int64, {2, 4}), counting({2, 4})}});
    add({"ScatterND", {matrix, Tensor(DType::Int64, {2, 1}), counting({2, 4})}});
    add({"Slice", {matrix, ints({0, 1}), ints({3, -1}), ints({0, 1}), ints({2, 1})}});
    add(OneNode("Split", {matrix, ints({1, 3})}, {{"axis", std::int64_t{1}}}).with_outputs(2));
    add({"Squeeze", {counting({1, 3, 1}), ints({0, 2})}});
    add({"Unsqueeze", {matrix, ints({0, 3})}});
    add({"Tile", {matrix, ints({2, 3})}});
    add({"Where", {truth, matrix, matrix}});
    return m;
  }();
  return kExamples;
}

OneNode example_of(const OpDef& op) {
  const auto it = structured_examples().find(op.type);
  return it != structured_examples().end() ? it->second
                                           : OneNode(std::string(op.type), {counting({3, 4})});
}

std::int64_t hostile_integer(Random& random) {
  constexpr std::int64_t kHuge[] = {INT64_MIN, INT64_MAX, INT64_C(1) << 31, (INT64_C(1) << 31) - 1,
                                    -1000000007};
  return random.below(3) == 0 ? kHuge[random.below(std::size(kHuge))] : random.between(-3, 5);
}

Shape random_shape(Random& random) {
  Shape shape(random.below(6));
  for (std::int64_t& extent : shape) extent = random.between(0, 4);
  return shape;
}

void spoil_attribute(Random& random, OneNode& node) {
  constexpr const char* kIntegers[] = {"axis",
                                       "group",
                                       "ceil_mode",
                                       "count_include_pad",
                                       "keepdims",
                                       "transA",
                                       "transB",
                                       "to",
                                       "blocksize",
                                       "batch_dims",
                                       "batch_axis",
                                       "layout",
                                       "start",
                                       "end",
                                       "p",
                                       "storage_order",
                                       "allowzero",
                                       "noop_with_empty_axes",
                                       "num_outputs",
                                       "training_mode",
                                       "hidden_size",
                                       "antialias",
                                       "linear_before_reset",
                                       "output_dtype",
                                       "exclude_outside",
                                       "input_forget",
                                       "num_groups"};
  constexpr const char* kLists[] = {"kernel_shape", "strides",        "dilations",    "pads",
                                    "axes",         "perm",           "split",        "starts",
                                    "ends",         "output_padding", "output_shape", "stride"};
  constexpr std::pair<const char*, const char*> kStrings[] = {
      {"auto_pad", "SAME_UPPER"},
      {"auto_pad", "SAME_LOWER"},
      {"auto_pad", "VALID"},
      {"auto_pad", "?"},
      {"mode", "linear"},
      {"mode", "cubic"},
      {"mode", "edge"},
      {"mode", "reflect"},
      {"mode", "wrap"},
      {"mode", "CRD"},
      {"direction", "forward"},
      {"direction", "reverse"},
      {"reduction", "add"},
      {"coordinate_transformation_mode", "align_corners"},
      {"coordinate_transformation_mode", "tf_crop_and_resize"},
      {"keep_aspect_ratio_policy", "not_larger"},
      {"equation", "ij,..."},
      {"equation", "..j,jk->k"},
      {"equation", "ij,jk->ij..."}};
  switch (random.below(4)) {
    case 0:
      node.set(kIntegers[random.below(std::size(kIntegers))], hostile_integer(random));
      break;
    case 1: {
      Ints list(random.below(6));
      for (std::int64_t& v : list) v = hostile_integer(random);
      node.set(kLists[random.below(std::size(kLists))], std::move(list));
      break;
    }
    case 2: {
      const auto& [name, value] = kStrings[random.below(std::size(kStrings))];
      node.set(name, std::string(value));
      break;
    }
    default: {  // an entry of a list that the example has
      for (const auto& [name, value] : Attributes(node.attributes)) {
        const auto* given = std::get_if<Ints>(&value);
        if (given == nullptr || given->empty()) continue;
        Ints list = *given;
        list[random.below(list.size())] = hostile_integer(random);
        node.set(name, std::move(list));
      }
    }
  }
}

void spoil_input(Random& random, OneNode& node) {
  if (node.inputs.empty()) return;
  Tensor& input = node.inputs[random.below(node.inputs.size())];
  constexpr DType kTypes[] = {DType::Float32, DType::Float64, DType::Int64, DType::Int32,
                              DType::Int8,    DType::UInt8,   DType::Bool};
  switch (random.below(5)) {
    case 0:
      input = Tensor();
      break;
    case 1:
      input = counting(random_shape(random)).cast(input.defined() ? input.dtype() : DType::Float32);
      break;
    case 2:
      if (input.defined()) input = input.cast(kTypes[random.below(std::size(kTypes))]);
      break;
    case 3:
      node.inputs.push_back(counting(random_shape(random)));
      break;
    default:
      if (input.defined() && input.dtype() == DType::Int64)
        for (std::int64_t& v : input.mutable_data<std::int64_t>()) v = hostile_integer(random);
      else
        node.inputs.pop_back();
  }
}

TEST(Hostile, ASpoiltNodeRunsOrIsRefusedByName) {
  constexpr std::int64_t kOpsets[] = {7, 9, 10, 11, 12, 13, 14, 18, 22};
  Random random(20);
  for (const OpDef& op : all_ops()) {
    SCOPED_TRACE(op.type);
    EXPECT_NO_THROW(example_of(op).run());
    std::size_t ran = 0, refused = 0;
    for (int trial = 0; trial < 300; ++trial) {
      OneNode node = example_of(op);
      for (std::uint64_t i = 1 + random.below(3); i > 0; --i)
        random.below(2) == 0 ? spoil_input(random, node) : spoil_attribute(random, node);
      if (random.below(4) == 0) node.at(kOpsets[random.below(std::size(kOpsets))]);
      if (random.below(6) == 0) node.outputs = 1 + random.below(3);
      try {
        EXPECT_EQ(node.run().size(), node.outputs);
        ++ran;
      } catch (const Error& e) {
        EXPECT_NE(e.code(), ErrorCode::Internal) << e.what();
        EXPECT_EQ(e.node(), "n");
        ++refused;
      }
    }
    EXPECT_GT(ran, 10u);
    EXPECT_GT(refused, 10u);
  }
}

}  // namespace
}  // namespace espquant::ops
