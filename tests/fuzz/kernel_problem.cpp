#include "tests/fuzz/kernel_problem.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "base/error.h"

namespace espquant::test {
namespace {

using P = KernelProblem;

template <typename T>
struct Field {
  std::string_view name;
  T P::*member;
};

constexpr std::array kTexts = {Field<std::string>{"target", &P::target},
                               Field<std::string>{"isa", &P::isa}};
constexpr std::array kShapes = {
    Field<Shape>{"in", &P::in},         Field<Shape>{"kernel", &P::kernel},
    Field<Shape>{"stride", &P::stride}, Field<Shape>{"dilation", &P::dilation},
    Field<Shape>{"pads", &P::pads},     Field<Shape>{"a", &P::a},
    Field<Shape>{"b", &P::b},           Field<Shape>{"perm", &P::perm}};
constexpr std::array kNumbers = {
    Field<std::int64_t>{"bits", &P::bits},
    Field<std::int64_t>{"w_bits", &P::w_bits},
    Field<std::int64_t>{"in_c", &P::in_c},
    Field<std::int64_t>{"out_c", &P::out_c},
    Field<std::int64_t>{"x_batch", &P::x_batch},
    Field<std::int64_t>{"w_batch", &P::w_batch},
    Field<std::int64_t>{"w_constant", &P::w_constant},
    Field<std::int64_t>{"native", &P::native},
    Field<std::int64_t>{"x_e", &P::x_e},
    Field<std::int64_t>{"w_e", &P::w_e},
    Field<std::int64_t>{"w_spread", &P::w_spread},
    Field<std::int64_t>{"y_e", &P::y_e},
    Field<std::int64_t>{"bias_low", &P::bias_low},
    Field<std::int64_t>{"bias_high", &P::bias_high},
    Field<std::int64_t>{"x_low", &P::x_low},
    Field<std::int64_t>{"x_high", &P::x_high},
    Field<std::int64_t>{"x_ends", &P::x_ends},
    Field<std::int64_t>{"x_zeros", &P::x_zeros},
    Field<std::int64_t>{"w_low", &P::w_low},
    Field<std::int64_t>{"w_high", &P::w_high},
    Field<std::int64_t>{"w_ends", &P::w_ends},
    Field<std::int64_t>{"w_zeros", &P::w_zeros},
    Field<std::int64_t>{"relu", &P::relu},
    Field<std::int64_t>{"saturation", &P::saturation},
    Field<std::int64_t>{"traced", &P::traced},
    Field<std::int64_t>{"p4_vector", &P::p4_vector},
    Field<std::int64_t>{"seed", &P::seed},
};

Error wrong(std::string message) {
  return Error(ErrorCode::Usage, std::move(message))
      .remedy("A problem reads: conv target=esp32s3 in=7x9 in_c=33 out_c=20 kernel=3x3 seed=5");
}

std::int64_t parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    throw wrong(fmt::format("'{}' is not a number", text));
  return value;
}

Shape parse_shape(std::string_view text) {
  Shape shape;
  while (!text.empty()) {
    const std::size_t cross = std::min(text.find('x'), text.size());
    shape.push_back(parse_number(text.substr(0, cross)));
    text.remove_prefix(std::min(cross + 1, text.size()));
  }
  return shape;
}

void set_field(P& problem, std::string_view name, std::string_view value) {
  for (const auto& field : kTexts)
    if (field.name == name) return void(problem.*field.member = value);
  for (const auto& field : kShapes)
    if (field.name == name) return void(problem.*field.member = parse_shape(value));
  for (const auto& field : kNumbers)
    if (field.name == name) return void(problem.*field.member = parse_number(value));
  throw wrong(fmt::format("'{}' is not a field of a problem", name));
}

}  // namespace

std::string line_of(const KernelProblem& problem) {
  const KernelProblem defaults;
  std::string line = problem.op;
  for (const auto& field : kTexts)
    if (problem.*field.member != defaults.*field.member)
      line += fmt::format(" {}={}", field.name, problem.*field.member);
  for (const auto& field : kShapes)
    if (problem.*field.member != defaults.*field.member)
      line += fmt::format(" {}={}", field.name, fmt::join(problem.*field.member, "x"));
  for (const auto& field : kNumbers)
    if (problem.*field.member != defaults.*field.member)
      line += fmt::format(" {}={}", field.name, problem.*field.member);
  return line;
}

KernelProblem parse_problem(std::string_view line) {
  KernelProblem problem;
  bool first = true;
  while (!line.empty()) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, space);
    line.remove_prefix(std::min(space + 1, line.size()));
    if (word.empty()) continue;
    const std::size_t equals = word.find('=');
    if (first) {
      problem.op = word;
    } else if (equals == std::string_view::npos) {
      throw wrong(fmt::format("'{}' is not of the form field=value", word));
    } else {
      set_field(problem, word.substr(0, equals), word.substr(equals + 1));
    }
    first = false;
  }
  return problem;
}

}  // namespace espquant::test
