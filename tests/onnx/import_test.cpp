#include "onnx/import.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "tests/support/errors.h"
#include "tests/support/model_bytes.h"
#include "tests/support/temporary_folder.h"

namespace espquant::onnx {
namespace {

using test::error_of;

Graph import(const onnx_schema::Model& model, const ImportOptions& options = {}) {
  Graph graph = import_model(test::bytes_of(model), {}, options);
  verify(graph, "import");
  return graph;
}

Error refusal(const onnx_schema::Model& model, const ImportOptions& options = {}) {
  return error_of([&] { import(model, options); });
}

const Tensor& constant(const Graph& graph, std::string_view name) {
  return graph.value(graph.find_value(name)).constant;
}

TEST(Import, ReadsNodesValuesAndAttributes) {
  auto model = test::whole_add_model();
  auto& attribute = *model.mutable_graph()->mutable_node(0)->add_attribute();
  attribute.set_name("k");
  attribute.set_type(7);
  attribute.add_ints(4);
  const Graph graph = import(model);
  const Node& node = graph.node(graph.topological_order().at(0));
  EXPECT_EQ(node.op, "Add");
  EXPECT_EQ(node.name, "add");
  EXPECT_EQ(node.attributes.get_ints("k"), Shape{4});
  EXPECT_EQ(graph.value(graph.inputs()[0]).name, "x");
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
  EXPECT_TRUE(constant(graph, "w").equals(Tensor::of<float>({3}, {1, 2, 3})));
}

TEST(Import, AttributeKindIsGuessedWhereOldFilesLeaveItOut) {
  auto model = test::whole_add_model();
  auto& attribute = *model.mutable_graph()->mutable_node(0)->add_attribute();
  attribute.set_name("alpha");
  attribute.set_f(0.5F);
  EXPECT_EQ(import(model).node(0).attributes.get_float("alpha", 0), 0.5F);
}

TEST(Import, ConstantNodesOfEveryFormBecomeConstants) {
  auto model = test::whole_add_model();
  const auto add = [&](const std::string& output,
                       const std::string& attribute) -> onnx_schema::Attribute& {
    auto& a = *test::add_node(model, "Constant", {}, {output}).add_attribute();
    a.set_name(attribute);
    return a;
  };
  add("i", "value_int").set_i(7);
  add("f", "value_float").set_f(0.5F);
  auto& ints = add("is", "value_ints");
  ints.add_ints(1);
  ints.add_ints(2);
  add("fs", "value_floats").add_floats(3.F);
  auto& tensor = *add("t", "value").mutable_t();
  tensor.set_data_type(7);
  tensor.add_int64_data(9);
  const Graph graph = import(model);
  EXPECT_TRUE(constant(graph, "i").equals(Tensor::scalar<std::int64_t>(7)));
  EXPECT_TRUE(constant(graph, "f").equals(Tensor::scalar(0.5F)));
  EXPECT_TRUE(constant(graph, "is").equals(Tensor::of<std::int64_t>({2}, {1, 2})));
  EXPECT_TRUE(constant(graph, "fs").equals(Tensor::of<float>({1}, {3.F})));
  EXPECT_TRUE(constant(graph, "t").equals(Tensor::scalar<std::int64_t>(9)));
  EXPECT_EQ(graph.topological_order().size(), 1U);
}

TEST(Import, OtherFloatTypesBecomeFloat32UnlessKept) {
  auto model = test::add_model();
  auto& w = *model.mutable_graph()->mutable_initializer(0);
  w.set_data_type(10);
  for (int half : {0x3C00, 0x4000, 0xC000}) w.add_int32_data(half);
  test::describe(*model.mutable_graph()->mutable_input(0), "x", {2, 3}, 10);
  auto& to = *test::add_node(model, "Cast", {"y"}, {"z"}, "cast").add_attribute();
  to.set_name("to");
  to.set_type(2);
  to.set_i(10);
  const Graph widened = import(model);
  EXPECT_TRUE(constant(widened, "w").equals(Tensor::of<float>({3}, {1, 2, -2})));
  EXPECT_EQ(widened.value(widened.inputs()[0]).dtype, DType::Float32);
  EXPECT_EQ(widened.node(1).attributes.get_int("to", 0), 1);
  ImportOptions keep;
  keep.float32_only = false;
  const Graph kept = import(model, keep);
  EXPECT_EQ(constant(kept, "w").dtype(), DType::Float16);
  EXPECT_EQ(kept.value(kept.inputs()[0]).dtype, DType::Float16);
  EXPECT_EQ(kept.node(1).attributes.get_int("to", 0), 10);
}

TEST(Import, NodeOrderInTheFileDoesNotMatter) {
  auto model = test::whole_add_model();
  model.mutable_graph()->mutable_node(0)->set_output(0, "sum");
  test::add_node(model, "Relu", {"sum"}, {"y"}, "relu");
  model.mutable_graph()->mutable_node()->SwapElements(0, 1);
  const Graph graph = import(model);
  EXPECT_EQ(graph.node(graph.topological_order().at(0)).op, "Add");
}

TEST(Import, MissingAndRepeatedNodeNamesBecomeUnique) {
  auto model = test::whole_add_model();
  test::add_node(model, "Relu", {"y"}, {"a"});
  test::add_node(model, "Relu", {"a"}, {"b"}, "add");
  test::add_node(model, "Relu", {"b"}, {"c"}, "a");
  const Graph graph = import(model);
  EXPECT_EQ(graph.node(0).name, "add");
  EXPECT_EQ(graph.node(1).name, "a_1");
  EXPECT_EQ(graph.node(2).name, "add_1");
  EXPECT_EQ(graph.node(3).name, "a");
}

TEST(Import, EmptyNamesAreOptionalsThatAreNotGiven) {
  auto model = test::whole_add_model();
  test::add_node(model, "Clip", {"y", "", "w"}, {"z", ""}, "clip");
  const Graph graph = import(model);
  const Node& clip = graph.node(1);
  EXPECT_EQ(clip.inputs.at(1), kNone);
  EXPECT_EQ(clip.outputs.at(1), kNone);
}

TEST(Import, InitializersListedAsInputsAreConstants) {
  auto model = test::whole_add_model();
  test::describe(*model.mutable_graph()->add_input(), "w", {3});
  EXPECT_EQ(import(model).inputs().size(), 1U);
}

TEST(Import, SymbolicExtentsAreMinusOneAndCanBeChosen) {
  auto model = test::whole_add_model();
  model.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_param("N");
  const Graph open = import(model);
  EXPECT_EQ(open.value(open.inputs()[0]).shape, (Shape{-1, 3}));
  ImportOptions fixed;
  fixed.input_shapes["x"] = {4, 3};
  const Graph closed = import(model, fixed);
  EXPECT_EQ(closed.value(closed.inputs()[0]).shape, (Shape{4, 3}));
}

TEST(Import, ChosenShapesMustFit) {
  ImportOptions options;
  options.input_shapes["x"] = {4, 3};
  EXPECT_EQ(refusal(test::whole_add_model(), options).code(), ErrorCode::Usage);
  options.input_shapes = {{"xx", {2, 3}}};
  const Error unknown = refusal(test::whole_add_model(), options);
  EXPECT_EQ(unknown.code(), ErrorCode::Usage);
  EXPECT_EQ(unknown.remedy(), "did you mean 'x'?");
}

TEST(Import, RefusesOperatorSetsOutsideTheRange) {
  EXPECT_EQ(refusal(test::whole_add_model(6)).code(), ErrorCode::Unsupported);
  EXPECT_FALSE(refusal(test::whole_add_model(23)).remedy().empty());
  EXPECT_NO_THROW(import(test::whole_add_model(7)));
  EXPECT_NO_THROW(import(test::whole_add_model(22)));
  auto none = test::whole_add_model();
  none.clear_opset_import();
  EXPECT_EQ(refusal(none).code(), ErrorCode::Malformed);
}

TEST(Import, KeepsForeignDomainsAndUnknownOperators) {
  auto model = test::whole_add_model();
  test::add_node(model, "Strange", {"y"}, {"z"}, "strange").set_domain("com.example");
  EXPECT_EQ(import(model).node(1).domain, "com.example");
}

TEST(Import, RefusesSubgraphsWithTheNodesName) {
  auto model = test::whole_add_model();
  auto& attribute = *test::add_node(model, "If", {"y"}, {"z"}, "branch").add_attribute();
  attribute.set_name("then_branch");
  attribute.set_type(5);
  const Error error = refusal(model);
  EXPECT_EQ(error.code(), ErrorCode::Unsupported);
  EXPECT_EQ(error.node(), "branch");
}

TEST(Import, SaysWhatOtherFormatsAre) {
  using namespace std::string_literals;
  const std::pair<std::string, std::string> kFiles[] = {
      {""s, "is empty"},
      {"\x1c\0\0\0TFL3\0\0"s, "TensorFlow Lite"},
      {"\x89HDF\r\n\x1a\n\0\0"s, "Keras"},
      {"PK\x03\x04\x14\0archive/data.pkl"s, "PyTorch"},
      {"PK\x03\x04\x14\0metadata.json"s, "Keras"},
      {"PK\x03\x04\x14\0x.npy"s, ".npz"},
      {"PK\x03\x04\x14\0a.txt"s, "zip"},
      {"\x80\x02}q\0"s, "pickle"},
      {"\x40\0\0\0\0\0\0\0{\"weight\":"s, "safetensors"},
      {"\x18\0\0\0ORTM"s, "ONNX Runtime"},
      {"EDL2\0\0\0\0"s, "ESP-DL"},
      {"PDL3\0\0\0\0"s, "package"},
      {"version https://git-lfs.github.com/spec/v1\n"s, "git lfs pull"},
      {"\n<!DOCTYPE HTML><html>"s, "page of the web"},
      {"\x1f\x8b\x08"s, "gzip"},
  };
  for (const auto& [bytes, part] : kFiles) {
    const auto raw = std::as_bytes(std::span(bytes));
    const Error error = error_of([&] { import_model(raw, {}); });
    EXPECT_EQ(error.code(), ErrorCode::Malformed) << part;
    EXPECT_NE((error.message() + error.remedy()).find(part), std::string::npos) << error.what();
  }
}

TEST(Import, RefusesBrokenReferences) {
  auto undefined = test::whole_add_model();
  undefined.mutable_graph()->mutable_node(0)->set_input(0, "nowhere");
  const Error error = refusal(undefined);
  EXPECT_EQ(error.code(), ErrorCode::Malformed);
  EXPECT_EQ(error.tensor(), "nowhere");
  EXPECT_EQ(error.node(), "add");

  auto twice = test::whole_add_model();
  test::add_node(twice, "Relu", {"x"}, {"y"}, "again");
  EXPECT_EQ(refusal(twice).tensor(), "y");

  auto overwritten = test::whole_add_model();
  test::add_node(overwritten, "Relu", {"x"}, {"w"}, "writes_w");
  EXPECT_EQ(refusal(overwritten).tensor(), "w");

  auto cycle = test::whole_add_model();
  cycle.mutable_graph()->mutable_node(0)->set_input(0, "z");
  test::add_node(cycle, "Relu", {"y"}, {"z"}, "back");
  EXPECT_EQ(refusal(cycle).code(), ErrorCode::Malformed);

  auto no_output = test::whole_add_model();
  no_output.mutable_graph()->clear_output();
  EXPECT_EQ(refusal(no_output).code(), ErrorCode::Malformed);
}

TEST(Import, RefusesNamesThatAreNotUtf8) {
  auto value = test::whole_add_model();
  value.mutable_graph()->mutable_output(0)->set_name("y\xFF");
  const Error error = refusal(value);
  EXPECT_EQ(error.code(), ErrorCode::Malformed);
  EXPECT_NE(error.message().find("'y\\xff'"), std::string::npos) << error.message();

  auto within = test::whole_add_model();
  auto& branch = *within.mutable_graph()->mutable_node(0)->add_attribute();
  branch.set_name("then_branch");
  branch.mutable_g()->add_node()->set_name("\xC3");
  EXPECT_EQ(refusal(within).code(), ErrorCode::Malformed);
}

TEST(Import, RefusesInputsThatAreNotTensors) {
  auto model = test::whole_add_model();
  model.mutable_graph()->add_input()->set_name("sequence");
  const Error error = refusal(model);
  EXPECT_EQ(error.code(), ErrorCode::Unsupported);
  EXPECT_EQ(error.tensor(), "sequence");
}

TEST(Import, EveryTruncationIsReadOrRefusedAndNamesTheFile) {
  const auto whole = test::bytes_of(test::whole_add_model());
  const test::TemporaryFolder folder;
  const std::string path = folder.path("truncated.onnx");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    OutputFiles files;
    files.add(path, std::span(whole).first(length));
    files.commit();
    try {
      import_model(path);
    } catch (const Error& e) {
      EXPECT_EQ(e.file(), path);
      EXPECT_NE(e.code(), ErrorCode::Internal) << e.what();
    }
  }
}

TEST(Import, EveryBitFlipIsReadOrRefused) {
  auto bytes = test::bytes_of(test::whole_add_model());
  int refused = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const std::byte mask{static_cast<unsigned char>(1U << (bit % 8))};
    bytes[bit / 8] ^= mask;
    try {
      verify(import_model(bytes, {}), "import");
    } catch (const Error& e) {
      EXPECT_NE(e.code(), ErrorCode::Internal) << e.what();
      ++refused;
    }
    bytes[bit / 8] ^= mask;
  }
  EXPECT_GT(refused, 0);
}

TEST(Import, MissingFileIsAnIoError) {
  const Error error = error_of([] { import_model(std::filesystem::path("/nonexistent/m.onnx")); });
  EXPECT_EQ(error.code(), ErrorCode::Io);
  EXPECT_EQ(error.file(), "/nonexistent/m.onnx");
}

TEST(CheckFiniteConstants, NamesTensorAndNode) {
  auto model = test::whole_add_model();
  model.mutable_graph()->mutable_initializer(0)->set_float_data(1, std::nanf(""));
  const Graph graph = import(model);
  const Error error = error_of([&] { check_finite_constants(graph); });
  EXPECT_EQ(error.code(), ErrorCode::BadData);
  EXPECT_EQ(error.tensor(), "w");
  EXPECT_EQ(error.node(), "add");
}

TEST(CheckFiniteConstants, AllowsInfiniteBounds) {
  auto model = test::whole_add_model();
  model.mutable_graph()->mutable_initializer(0)->set_float_data(1, INFINITY);
  EXPECT_THROW(check_finite_constants(import(model)), Error);
  model.mutable_graph()->mutable_node(0)->set_op_type("Min");
  EXPECT_NO_THROW(check_finite_constants(import(model)));
}

TEST(CheckFiniteConstants, AllowsMasks) {
  const auto masked = [](const char* reader) {
    Graph graph;
    const ValueId x = graph.add_value("x", DType::Float32),
                  y = graph.add_value("y", DType::Float32),
                  sum = graph.add_value("sum", DType::Float32);
    graph.add_input(x);
    const ValueId mask =
        graph.add_constant("mask", Tensor::of<float>({2}, std::vector<float>{0, -INFINITY}));
    graph.add_node("Add", "add", {x, mask}, {sum});
    graph.add_node(reader, "reader", {sum}, {y});
    graph.add_output(y);
    return graph;
  };
  for (const char* reader : {"Softmax", "Sigmoid", "ReduceMax"})
    EXPECT_NO_THROW(check_finite_constants(masked(reader))) << reader;
  EXPECT_THROW(check_finite_constants(masked("Abs")), Error);
}

}  // namespace
}  // namespace espquant::onnx
