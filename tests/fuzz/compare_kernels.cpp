#include <fmt/format.h>

#include <cstring>

#include "base/fixed_point.h"
#include "espdl/filter_layout.h"
#include "sim/program.h"
#include "tests/fuzz/instruction_sets.h"
#include "tests/fuzz/kernel_problem.h"
#include "tests/fuzz/plain_kernels.h"
#include "tests/sim/one_node.h"

namespace espquant::test {
namespace {

using Ints = std::vector<std::int64_t>;

DType element_of(std::int64_t bits) { return bits == 8 ? DType::Int8 : DType::Int16; }
DType element_of(const KernelProblem& p) { return element_of(p.bits); }
std::int64_t weight_bits_of(const KernelProblem& p) { return p.w_bits == 0 ? p.bits : p.w_bits; }
int lanes_of(const KernelProblem& p) {
  return find_target(p.target).lanes(static_cast<int>(p.bits));
}

struct Values {
  std::int64_t low, high, ends, zeros;
};

Tensor draw_tensor(Random& random, std::int64_t bits, Shape shape, Values v) {
  if (v.low > v.high || v.low < -(std::int64_t{1} << (bits - 1)) ||
      v.high >= std::int64_t{1} << (bits - 1))
    throw Error(ErrorCode::Usage,
                fmt::format("[{}, {}] is no range of int{}", v.low, v.high, bits));
  Tensor t(element_of(bits), std::move(shape));
  const auto fill = [&](auto elements) {
    for (auto& e : elements) {
      std::int64_t q = random.between(v.low, v.high);
      if (v.ends != 0) q = random.below(2) == 0 ? v.low : v.high;
      if (v.zeros > 0 && static_cast<std::int64_t>(random.below(100)) < v.zeros) q = 0;
      e = static_cast<std::remove_reference_t<decltype(e)>>(q);
    }
  };
  bits == 8 ? fill(t.mutable_data<std::int8_t>()) : fill(t.mutable_data<std::int16_t>());
  return t;
}

/// A problem's node and the tensors of its inputs, in order.
struct Case {
  OneNode node{""};
  std::vector<Tensor> inputs;

  void input(Tensor value, std::int64_t exponent) {
    inputs.push_back(value);
    node.input(std::move(value), static_cast<int>(exponent));
  }
};

class CaseBuilder {
 public:
  explicit CaseBuilder(const KernelProblem& problem)
      : p_(problem), random_(static_cast<std::uint64_t>(problem.seed)) {}

  Case build() {
    const bool one_dimensional = p_.op.ends_with("1d");
    if (p_.op.starts_with("conv") || p_.op.starts_with("depthwise")) return conv(one_dimensional);
    if (p_.op == "gemm") return gemm();
    if (p_.op == "matmul") return mat_mul();
    if (p_.op == "max_pool" || p_.op == "average_pool") return pool();
    if (p_.op == "mul" || p_.op == "add") return element_wise();
    if (p_.op == "transpose") return transpose();
    throw Error(ErrorCode::Usage, fmt::format("'{}' is not an operator of the fuzzer", p_.op));
  }

 private:
  Tensor x(Shape shape) {
    return draw_tensor(random_, p_.bits, std::move(shape),
                       {p_.x_low, p_.x_high, p_.x_ends, p_.x_zeros});
  }
  Tensor w(Shape shape) {
    return draw_tensor(random_, weight_bits_of(p_), std::move(shape),
                       {p_.w_low, p_.w_high, p_.w_ends, p_.w_zeros});
  }

  void add_filter(Case& c, Tensor filter) {
    if (p_.w_spread == 0) return void(c.node.constant(std::move(filter), static_cast<int>(p_.w_e)));
    std::vector<int> exponents;
    for (std::int64_t n = 0; n < p_.out_c; ++n)
      exponents.push_back(static_cast<int>(p_.w_e + random_.between(0, p_.w_spread)));
    c.node.constant_per_channel(std::move(filter), std::move(exponents));
  }

  void add_bias(Case& c) {
    if (p_.bias_low == 0 && p_.bias_high == 0) return;
    if (p_.bias_low > p_.bias_high)
      throw Error(ErrorCode::Usage, fmt::format("[{}, {}] is no range", p_.bias_low, p_.bias_high));
    Tensor bias(DType::Int64, {p_.out_c});
    for (std::int64_t& b : bias.mutable_data<std::int64_t>())
      b = random_.between(p_.bias_low, p_.bias_high);
    c.node.constant(p_.bits == 8 ? bias.cast(DType::Int32) : bias);
  }

  void finish(Case& c) const {
    if (p_.relu != 0) c.node.attribute("activation", std::string("Relu"));
    if (weight_bits_of(p_) < p_.bits) c.node.attribute("quant_type", std::string(espdl::kW8A16));
    c.node.output(element_of(p_), static_cast<int>(p_.y_e));
  }

  void add_window(Case& c, bool one_dimensional) const {
    const auto list = [&](const Shape& both) {
      return one_dimensional ? Ints{both.at(1)} : Ints{both.at(0), both.at(1)};
    };
    c.node.attribute("kernel_shape", list(p_.kernel)).attribute("strides", list(p_.stride));
    c.node.attribute("dilations", list(p_.dilation));
    c.node.attribute("pads", one_dimensional ? Ints{p_.pads.at(1), p_.pads.at(3)} : p_.pads);
  }

  Case conv(bool one_dimensional) {
    const bool depthwise = p_.op.starts_with("depthwise");
    Case c{OneNode("Conv"), {}};
    c.input(
        one_dimensional ? x({1, p_.in.at(1), p_.in_c}) : x({1, p_.in.at(0), p_.in.at(1), p_.in_c}),
        p_.x_e);
    Tensor filter =
        espdl::pack_filter(w({p_.out_c, p_.kernel.at(0), p_.kernel.at(1), depthwise ? 1 : p_.in_c}),
                           depthwise, lanes_of(p_));
    if (one_dimensional)
      filter = filter.reshaped(Shape(filter.shape().begin() + 1, filter.shape().end()));
    add_filter(c, std::move(filter));
    add_bias(c);
    add_window(c, one_dimensional);
    // A depthwise convolution of a single channel is a dense one.
    if (depthwise && p_.in_c > 1) c.node.attribute("group", p_.in_c);
    finish(c);
    return c;
  }

  Case gemm() {
    Case c{OneNode("Gemm"), {}};
    c.input(x({p_.in.at(1), p_.in_c}), p_.x_e);
    add_filter(c, espdl::pack_filter(w({p_.out_c, 1, 1, p_.in_c}), false, lanes_of(p_)));
    add_bias(c);
    finish(c);
    return c;
  }

  Case mat_mul() {
    Case c{OneNode("MatMul"), {}};
    c.input(x({p_.x_batch, p_.in.at(1), p_.in_c}), p_.x_e);
    Tensor matrices(element_of(weight_bits_of(p_)), {p_.w_batch, p_.in_c, p_.out_c});
    const std::size_t bytes = matrices.byte_size() / static_cast<std::size_t>(p_.w_batch);
    for (std::int64_t m = 0; m < p_.w_batch; ++m) {
      const Tensor packed =
          p_.native != 0 ? w({p_.in_c, p_.out_c})
                         : espdl::pack_filter(w({p_.out_c, 1, 1, p_.in_c}), false, lanes_of(p_));
      std::memcpy(matrices.mutable_bytes().data() + static_cast<std::size_t>(m) * bytes,
                  packed.bytes().data(), bytes);
    }
    if (p_.w_constant != 0) {
      c.node.constant(std::move(matrices), static_cast<int>(p_.w_e));
    } else {
      c.input(std::move(matrices), p_.w_e);
    }
    if (p_.native != 0) c.node.attribute("input1_layout", std::string("native_kn"));
    finish(c);
    return c;
  }

  Case pool() {
    Case c{OneNode(p_.op == "max_pool" ? "MaxPool" : "AveragePool"), {}};
    c.input(x({1, p_.in.at(0), p_.in.at(1), p_.in_c}), p_.x_e);
    add_window(c, false);
    finish(c);
    return c;
  }

  Case element_wise() {
    Case c{OneNode(p_.op == "mul" ? "Mul" : "Add"), {}};
    c.input(x(p_.a), p_.x_e);
    c.input(w(p_.b), p_.w_e);
    finish(c);
    return c;
  }

  Case transpose() {
    Case c{OneNode("Transpose"), {}};
    c.input(x(p_.a), p_.x_e);
    c.node.attribute("perm", p_.perm);
    finish(c);
    return c;
  }

  const KernelProblem& p_;
  Random random_;
};

struct Result {
  Tensor output;
  sim::Workspace::Saturation saturation;
  std::string refusal;
};

Result run(const KernelProblem& p, const Case& c, sim::KernelChoice kernels) try {
  const OnlyInstructionSet only(p.isa);
  const sim::Options options{
      .kernels = kernels, .saturation = p.saturation != 0, .p4_portable_kernels = p.p4_vector == 0};
  const sim::Program program(c.node.model(), find_target(p.target), options);
  sim::Program::Frame frame(program);
  for (std::size_t i = 0; i < c.inputs.size(); ++i) frame.set(program.inputs()[i], c.inputs[i]);
  std::vector<sim::Workspace::Saturation> books(program.node_count());
  books[0].traced = p.traced != 0;
  frame.saturation = &books;
  frame.run();
  return {frame.tensor(program.outputs()[0]), books[0], {}};
} catch (const Error& error) {
  if (error.code() == ErrorCode::Internal || error.code() == ErrorCode::Usage) throw;
  return {{}, {}, error.what()};
}

std::string compare_outputs(const Tensor& actual, const Tensor& expected) {
  if (actual.shape() != expected.shape() || actual.dtype() != expected.dtype())
    return fmt::format("shape {}, expected {}", to_string(actual.shape()),
                       to_string(expected.shape()));
  const Tensor a = actual.cast(DType::Int32), e = expected.cast(DType::Int32);
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.size()); ++i)
    if (a.data<std::int32_t>()[i] != e.data<std::int32_t>()[i])
      return fmt::format("element {} of {} is {}, expected {}", i, to_string(a.shape()),
                         a.data<std::int32_t>()[i], e.data<std::int32_t>()[i]);
  return {};
}

std::string compare_books(const sim::Workspace::Saturation& actual,
                          const sim::Workspace::Saturation& expected) {
  const auto text = [&](const sim::Workspace::Saturation& s) {
    std::string books = fmt::format("{} of {} outputs saturated", s.saturated, s.outputs);
    if (actual.traced) books += fmt::format(", {} above half, peak {:.17g}", s.above_half, s.peak);
    return books;
  };
  if (text(actual) == text(expected)) return {};
  return fmt::format("{}, expected {}", text(actual), text(expected));
}

}  // namespace

Comparison compare_kernels(const KernelProblem& problem) {
  const Case c = CaseBuilder(problem).build();
  const Result fast = run(problem, c, sim::KernelChoice::Fast);
  const bool has_reference = problem.op.starts_with("conv") ||
                             problem.op.starts_with("depthwise") || problem.op == "gemm" ||
                             problem.op == "matmul";
  Result expected;
  if (has_reference) {
    expected = run(problem, c, sim::KernelChoice::Reference);
  } else if (fast.refusal.empty()) {
    expected.output =
        plain_result(problem, c.inputs.at(0), c.inputs.size() > 1 ? c.inputs.at(1) : Tensor());
  } else {
    expected.refusal = fast.refusal;
  }

  Comparison comparison;
  comparison.refused = !fast.refusal.empty();
  if (fast.refusal != expected.refusal) {
    comparison.difference =
        fmt::format("refused with '{}', expected '{}'", fast.refusal, expected.refusal);
  } else if (!comparison.refused) {
    comparison.outputs = fast.output.size();
    comparison.saturated = expected.saturation.saturated;
    comparison.difference = compare_outputs(fast.output, expected.output);
    if (comparison.difference.empty())
      comparison.difference = compare_books(fast.saturation, expected.saturation);
  }
  return comparison;
}

}  // namespace espquant::test
