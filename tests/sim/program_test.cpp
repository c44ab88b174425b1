#include "sim/program.h"

#include <gtest/gtest.h>

#include "tests/sim/one_node.h"

namespace espquant::test {
namespace {

using sim::Program;

espdl::Node node(std::string op, std::vector<std::string> inputs,
                 std::vector<std::string> outputs) {
  espdl::Node n;
  n.name = op + " of " + inputs[0];
  n.op = std::move(op);
  n.inputs = std::move(inputs);
  n.outputs = std::move(outputs);
  return n;
}

espdl::ValueInfo value(std::string name, DType dtype = DType::Int8, int exponent = 0) {
  return {std::move(name), dtype, {4}, {exponent}};
}

/// in -> a -> b -> out, each step halving; c is a side branch that nobody reads.
espdl::Model chain() {
  espdl::Model model;
  model.inputs = {"in"};
  model.outputs = {"out"};
  model.values = {value("in"), value("a", DType::Int8, 1), value("b", DType::Int8, 2),
                  value("c", DType::Int16), value("out", DType::Int8, 3)};
  model.nodes = {node("RequantizeLinear", {"in"}, {"a"}), node("RequantizeLinear", {"a"}, {"b"}),
                 node("RequantizeLinear", {"b"}, {"c"}), node("RequantizeLinear", {"b"}, {"out"})};
  return model;
}

std::vector<std::int8_t> run_chain(const Program& program, bool keep_all) {
  Program::Frame frame(program, keep_all);
  frame.set(program.inputs()[0], int8({80, -80, 16, 127}));
  frame.run();
  const Tensor out = frame.tensor(program.outputs()[0]);
  const auto elements = out.data<std::int8_t>();
  return {elements.begin(), elements.end()};
}

TEST(Program, RunsNodesInOrderWithReusedBuffersOrNot) {
  const espdl::Model model = chain();
  const Program program(model, find_target("esp32s3"));
  // 127 -> 64 -> 32 -> 16, halves up.
  const std::vector<std::int8_t> expected = {10, -10, 2, 16};
  EXPECT_EQ(run_chain(program, false), expected);
  EXPECT_EQ(run_chain(program, true), expected);
}

TEST(Program, AFrameThatKeepsAllHoldsEveryTensorAndRunsSingleNodes) {
  const espdl::Model model = chain();
  const Program program(model, find_target("esp32s3"));
  Program::Frame frame(program, true);
  frame.set(program.tensor_index("in"), int8({8, 16, 24, 32}));
  frame.run();
  EXPECT_TRUE(frame.tensor(program.tensor_index("a")).equals(int8({4, 8, 12, 16})));
  EXPECT_TRUE(frame.tensor(program.tensor_index("in")).equals(int8({8, 16, 24, 32})));

  frame.set(program.tensor_index("a"), int8({40, 0, 0, 0}));
  frame.run_node(1);
  EXPECT_TRUE(frame.tensor(program.tensor_index("b")).equals(int8({20, 0, 0, 0})));
}

TEST(Program, RunsTwiceOnTheSameInput) {
  const espdl::Model model = chain();
  const Program program(model, find_target("esp32s3"));
  Program::Frame frame(program);
  frame.set(program.inputs()[0], int8({80, -80, 16, 127}));
  frame.run();
  const Tensor first = frame.tensor(program.outputs()[0]);
  frame.run();
  EXPECT_TRUE(frame.tensor(program.outputs()[0]).equals(first));
}

/// The message of the Error that preparing the model throws.
std::string program_refusal(const espdl::Model& model, ErrorCode code) {
  try {
    Program(model, find_target("esp32s3"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "the model was not refused";
  return "";
}

TEST(Program, NamesTheNodeOfAnUnknownOperator) {
  espdl::Model model = chain();
  model.nodes[1].op = "Frobnicate";
  const std::string message = program_refusal(model, ErrorCode::Unsupported);
  EXPECT_NE(message.find("Frobnicate"), std::string::npos);
  EXPECT_NE(message.find("RequantizeLinear of a"), std::string::npos);
}

TEST(Program, RefusesATensorThatNothingProduces) {
  espdl::Model model = chain();
  model.nodes[1].inputs = {"nowhere"};
  EXPECT_NE(program_refusal(model, ErrorCode::Malformed).find("nowhere"), std::string::npos);
  model = chain();
  model.outputs = {"nowhere"};
  EXPECT_NE(program_refusal(model, ErrorCode::Malformed).find("nowhere"), std::string::npos);
}

TEST(Program, RefusesATensorThatIsProducedTwice) {
  espdl::Model model = chain();
  model.nodes[2].outputs = {"b"};
  EXPECT_NE(program_refusal(model, ErrorCode::Malformed).find("twice"), std::string::npos);
}

TEST(Program, RefusesAnInputThatIsNotDescribed) {
  espdl::Model model = chain();
  model.values.erase(model.values.begin());
  EXPECT_NE(program_refusal(model, ErrorCode::Malformed).find("'in'"), std::string::npos);
}

TEST(Program, RefusesShapesBeyondAnyChip) {
  espdl::Model model = chain();
  model.values[0].shape = {std::int64_t{1} << 40};
  program_refusal(model, ErrorCode::BadData);
}

TEST(Program, AFrameTakesTensorsOfItsTypeAndShapeOnly) {
  const espdl::Model model = chain();
  const Program program(model, find_target("esp32s3"));
  Program::Frame frame(program);
  EXPECT_THROW(frame.set(program.inputs()[0], int16({1, 2, 3, 4})), Error);
  EXPECT_THROW(frame.set(program.inputs()[0], int8({1, 2, 3})), Error);
  EXPECT_THROW((void)program.tensor_index("nowhere"), Error);
}

TEST(TargetOf, ReadsTheMetadataFirst) {
  espdl::Model model = chain();
  model.metadata = {{"target", "esp32p4"}};
  EXPECT_EQ(sim::target_of(model).name, "esp32p4");
}

TEST(TargetOf, IsUnderTheReleaseThatTheFileWasMadeFor) {
  espdl::Model model = chain();
  EXPECT_EQ(sim::target_of(model).release, newest_release());
  model.metadata = {{"espquant.espdl", "3.3.9"}};
  EXPECT_EQ(sim::target_of(model).release.version, "3.3.9");
  EXPECT_EQ(sim::target_of(model, "esp32p4", "3.3.10").release.version, "3.3.10");
  EXPECT_EQ(sim::target_of(model, "esp32p4", "3.3.10").name, "esp32p4");
  model.metadata = {{"espquant.espdl", "9.9.9"}};
  EXPECT_THROW((void)sim::target_of(model), Error);
  EXPECT_NO_THROW((void)sim::target_of(model, "", "3.3.9"));
}

TEST(TargetOf, KnowsFilesWithoutMetadataByTheirParameters) {
  espdl::Model model = chain();
  EXPECT_EQ(sim::target_of(model).family, Family::S3);
  model.initializers.push_back({"w", int8({1}), {0}, "layout ==> NHWC"});
  EXPECT_EQ(sim::target_of(model).family, Family::C);
  model.initializers.push_back({"v", int8({1, 2}), {-7, -8}, "layout ==> (N/16)HWC16"});
  EXPECT_EQ(sim::target_of(model).family, Family::P4);
}

// A few hundred bytes that would keep a machine busy for hours.
TEST(Program, MoreMultiplicationsThanAnyChipDoesAreRefused) {
  const auto product = [](std::int64_t rows) {
    espdl::Model model;
    model.inputs = {"a", "b"};
    model.outputs = {"y"};
    for (const char* name : {"a", "b", "y"})
      model.values.push_back({name, DType::Int8, {1, rows, rows}, {-4}});
    model.nodes = {node("MatMul", {"a", "b"}, {"y"})};
    return model;
  };
  const espdl::Model small = product(64), large = product(20'000);
  EXPECT_NO_THROW(Program(small, find_target("esp32s3")));
  try {
    Program(large, find_target("esp32s3"));
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadData);
    EXPECT_EQ(error.node(), "MatMul of a");
    EXPECT_NE(error.message().find("multiplications"), std::string::npos) << error.message();
  }
}

}  // namespace
}  // namespace espquant::test
