#include "sim/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace espquant::sim {
namespace {

/// ESP-DL's bound for 16-bit integers.
constexpr double kInt16Tolerance = 1.00001;

template <typename T>
void compare_elements(std::span<const T> actual, std::span<const T> expected, double tolerance,
                      OutputCheck& check) {
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const T a = actual[i], b = expected[i];
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(a) && std::isnan(b)) continue;
    }
    if (a == b) continue;
    ++check.different;
    const double difference = std::abs(static_cast<double>(a) - static_cast<double>(b));
    check.largest = std::max(check.largest, difference);
    // Not <=, so that a NaN on one side is a mismatch.
    if (difference <= tolerance) continue;
    if (check.mismatches++ == 0) check.first = static_cast<std::int64_t>(i);
  }
}

double tolerance_for(DType dtype, const VerifyOptions& options) {
  if (options.tolerance == Tolerance::Exact) return 0;
  if (dtype == DType::Int16 || dtype == DType::UInt16) return kInt16Tolerance;
  return is_float(dtype) ? options.float_tolerance : 0;
}

OutputCheck cannot_compare(const std::string& name, std::string problem) {
  OutputCheck check;
  check.name = name;
  check.problem = std::move(problem);
  return check;
}

Error missing_input(const std::string& name) {
  return Error(ErrorCode::BadData, "no value is given for this input").tensor(name);
}

}  // namespace

OutputCheck compare(const std::string& name, const Tensor& actual, const Tensor& expected,
                    const VerifyOptions& options) {
  if (actual.dtype() != expected.dtype())
    return cannot_compare(name, fmt::format("type {}, expected {}", to_string(actual.dtype()),
                                            to_string(expected.dtype())));
  if (actual.shape() != expected.shape())
    return cannot_compare(name, fmt::format("shape {}, expected {}", to_string(actual.shape()),
                                            to_string(expected.shape())));
  OutputCheck check;
  check.name = name;
  check.elements = actual.size();
  const double tolerance = tolerance_for(actual.dtype(), options);
  const auto compare_as = [&]<typename T>(T) {
    compare_elements(actual.data<T>(), expected.data<T>(), tolerance, check);
  };
  switch (actual.dtype()) {
    case DType::Float32:
      compare_as(float{});
      break;
    case DType::Float64:
      compare_as(double{});
      break;
    case DType::Int8:
      compare_as(std::int8_t{});
      break;
    case DType::UInt8:
      compare_as(std::uint8_t{});
      break;
    case DType::Int16:
      compare_as(std::int16_t{});
      break;
    case DType::UInt16:
      compare_as(std::uint16_t{});
      break;
    case DType::Int32:
      compare_as(std::int32_t{});
      break;
    case DType::UInt32:
      compare_as(std::uint32_t{});
      break;
    case DType::Int64:
      compare_as(std::int64_t{});
      break;
    case DType::UInt64:
      compare_as(std::uint64_t{});
      break;
    case DType::Bool:
      compare_as(bool{});
      break;
    default:
      check.problem = fmt::format("type {} cannot be compared", to_string(actual.dtype()));
  }
  return check;
}

std::vector<OutputCheck> verify_test_values(const Program& program, const VerifyOptions& options) {
  const espdl::Model& model = program.model();
  if (model.test_outputs.empty())
    throw Error(ErrorCode::BadData, "the model carries no test values")
        .remedy("Export it with test values, or give inputs and outputs in an .npz file");
  Program::Frame frame(program, true);
  for (std::size_t input : program.inputs()) {
    const std::string& name = program.tensor_name(input);
    const auto value = std::find_if(model.test_inputs.begin(), model.test_inputs.end(),
                                    [&](const espdl::Constant& c) { return c.name == name; });
    if (value == model.test_inputs.end()) throw missing_input(name);
    const TensorDesc from{value->data.dtype(), value->data.shape(), value->exponents};
    assign(from, value->data.bytes().data(), program.desc(input), frame.bytes(input).data(),
           program.target());
  }
  frame.run();

  std::vector<OutputCheck> checks;
  for (const espdl::Constant& expected : model.test_outputs) {
    const std::size_t tensor = program.tensor_index(expected.name);
    const int exponent = program.desc(tensor).exponent();
    if (exponent != expected.exponent()) {
      checks.push_back(cannot_compare(
          expected.name, fmt::format("exponent {}, expected {}", exponent, expected.exponent())));
    } else {
      checks.push_back(compare(expected.name, frame.tensor(tensor), expected.data, options));
    }
  }
  return checks;
}

std::vector<OutputCheck> verify(const Program& program, const std::map<std::string, Tensor>& inputs,
                                const std::map<std::string, Tensor>& expected,
                                const VerifyOptions& options) {
  Program::Frame frame(program, true);
  for (std::size_t input : program.inputs()) {
    const auto value = inputs.find(program.tensor_name(input));
    if (value == inputs.end()) throw missing_input(program.tensor_name(input));
    frame.set(input, value->second);
  }
  frame.run();
  std::vector<OutputCheck> checks;
  for (const auto& [name, tensor] : expected)
    checks.push_back(compare(name, frame.tensor(program.tensor_index(name)), tensor, options));
  return checks;
}

}  // namespace espquant::sim
