#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "base/fixed_point.h"
#include "lower/rules.h"
#include "quant/prelu.h"
#include "quant/weights.h"
#include "quant/widths.h"

/// PRelu (ESP-DL 3.12). Most of the runtime's kernels do not rescale the positive side, so input
/// and output need one exponent; where they have two, the function is put together from others.
namespace espquant::lower {
namespace {

struct ConstantSlope {
  const Value& value;
  /// The axis of the input that it varies along, if it is no more than one.
  std::optional<std::size_t> axis;
};

ConstantSlope slope_of(const Builder& b, const Node& n) {
  const Value& slope = b.graph().value(n.inputs.at(1));
  if (!slope.is_constant())
    refuse(n, "its slope is computed at run time", "Make the slope a constant");
  const std::size_t rank = b.shape(n.inputs[0]).size();
  const Shape& shape = slope.constant.shape();
  ConstantSlope found{slope, std::nullopt};
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    if (found.axis) return {slope, std::nullopt};
    found.axis = rank - shape.size() + i;
  }
  return found;
}

/// Stored so that the slopes run along the last axis.
Perm perm_with_last(std::size_t rank, std::size_t axis) {
  Perm perm = identity_perm(rank);
  const auto at = perm.begin() + static_cast<std::ptrdiff_t>(axis);
  std::rotate(at, at + 1, perm.end());
  return perm;
}

/// A node on the way from the input to the output.
struct Step {
  std::string op;
  Shape shape;
  TensorQuant quant;
  std::vector<std::string> operands;
};

/// A chain of nodes of which the last writes the output under its own name.
class Chain {
 public:
  Chain(Builder& b, const Node& n, const Perm& perm)
      : b_(b), n_(n), perm_(perm), input_(b.read_as(n.inputs[0], perm, input_quant(b, n))) {
    start_ = {"", permuted(b.shape(n.inputs[0]), perm), input_quant(b, n), {}};
  }

  void requantize(const TensorQuant& quant) {
    if (quant == last().quant) return;
    const DType dtype = quant.bits == 8 ? DType::Int8 : DType::Int16;
    std::vector<std::string> inputs =
        b_.with_scale("", n_.name, pow2(quant.exponent() - last().quant.exponent()), dtype);
    // The first input is known when the chain is written.
    inputs.erase(inputs.begin());
    steps_.push_back({"RequantizeLinear", last().shape, quant, std::move(inputs)});
  }

  void reshape(const Shape& shape) {
    if (shape == last().shape) return;
    steps_.push_back({"Reshape",
                      shape,
                      last().quant,
                      {b_.constant_ints(b_.unique_name(n_.name + "_shape"), shape)}});
  }

  void prelu(const std::string& slopes) {
    steps_.push_back({"PRelu", last().shape, last().quant, {slopes}});
  }

  /// The same, into another exponent.
  void prelu(const std::string& slopes, const TensorQuant& quant) {
    prelu(slopes);
    steps_.back().quant = quant;
  }

  void write() {
    std::string at = input_;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      Step& step = steps_[i];
      step.operands.insert(step.operands.begin(), at);
      const bool own_name = step.op == "PRelu";
      const std::string name =
          own_name ? n_.name : b_.unique_name(fmt::format("{}_{}", n_.name, step.op));
      at = i + 1 == steps_.size()
               ? b_.define(n_.outputs[0], perm_)
               : b_.declare(fmt::format("{}_{}", n_.name, step.op), step.shape, step.quant);
      b_.node(step.op, name, std::move(step.operands), {at}, step.quant.bits);
    }
  }

  const Step& last() const { return steps_.empty() ? start_ : steps_.back(); }

 private:
  Builder& b_;
  const Node& n_;
  const Perm& perm_;
  std::string input_;
  Step start_;
  std::vector<Step> steps_;
};

/// PRelu's kernel reads one image (1,H,W,C).
Shape as_image(const Shape& stored) {
  if (stored.size() == 4 && stored[0] == 1) return stored;
  return {1, element_count(stored) / stored.back(), 1, stored.back()};
}

std::string slopes_constant(Builder& b, const Value& slope, const TensorQuant& quant) {
  return b.constant(b.unique_name(slope.name),
                    b.quantized(slope.constant, quant).reshaped({slope.constant.size(), 1, 1}),
                    quant.exponents);
}

/// f of every integer of exponent `in`, in integers of `out`.
std::string int8_table(Builder& b, const std::string& name, float (*f)(float), int in, int out) {
  std::array<float, 256> real;
  for (int q = -128; q < 128; ++q)
    real[static_cast<std::size_t>(q + 128)] = f(static_cast<float>(q) * pow2(in));
  Tensor table(DType::Int8, {256});
  quantize_values(real.data(), real.size(), pow2(-out), b.target().rounding,
                  table.mutable_data<std::int8_t>().data());
  return b.constant(b.unique_name(name + "_lut"), std::move(table), {out});
}

/// y = max(x, 0) + slope * min(x, 0): operators that take any exponents and any shape of slopes.
void lower_in_parts(Builder& b, const Node& n) {
  const Perm perm = b.stored(n.inputs[0]).perm;
  if (perm.size() > 4) refuse(n, "ESP-DL broadcasts up to four dimensions", "Reshape the input");
  const TensorQuant in = input_quant(b, n), out = quant_of(b, n.outputs[0]);
  const Value& slope = b.graph().value(n.inputs[1]);
  const TensorQuant& slope_quant = quant_of(b, n.inputs[1]);
  const Shape shape = permuted(b.shape(n.inputs[0]), perm);
  const std::string x = b.read_as(n.inputs[0], perm, in);

  std::string above, below;
  if (in.bits == 8) {
    above = b.derive("Relu", n.name, {x}, shape, out,
                     {{"lut", int8_table(
                                  b, n.name + "_above", [](float v) { return std::max(v, 0.0F); },
                                  in.exponent(), out.exponent())}});
    below = b.derive("LUT", n.name, {x}, shape, in,
                     {{"lut", int8_table(
                                  b, n.name + "_below", [](float v) { return std::min(v, 0.0F); },
                                  in.exponent(), in.exponent())},
                      {"original_op_type", std::string("Clip")}});
  } else {
    above = b.derive("Relu", n.name, {x}, shape, out);
    const auto bound = [&](std::int16_t value) {
      return b.constant(b.unique_name(n.name + "_bound"), Tensor::of<std::int16_t>({}, {value}),
                        in.exponents);
    };
    const std::string least = bound(-32768), most = bound(0);
    below = b.derive("Clip", n.name, {x, least, most}, shape, in);
  }

  Tensor slopes = b.quantized(slope.constant, slope_quant);
  Shape spread = slopes.shape();
  spread.insert(spread.begin(), perm.size() - spread.size(), 1);
  slopes = slopes.reshaped(spread).transposed(perm);
  const std::string factor = b.constant(b.unique_name(slope.name), slopes, slope_quant.exponents);
  // ESP-DL 3.9: the product cannot be shifted left.
  const int finest = in.exponent() + slope_quant.exponent();
  const TensorQuant product{out.bits, {std::max(out.exponent(), finest)}, -1};
  below = b.derive("Mul", n.name, {below, factor}, shape, product);
  if (product != out) {
    std::vector<std::string> inputs =
        b.with_scale(below, n.name, pow2(out.exponent() - product.exponent()),
                     out.bits == 8 ? DType::Int8 : DType::Int16);
    below = b.derive("RequantizeLinear", n.name, std::move(inputs), shape, out);
  }
  b.node("Add", n.name, {above, below}, {b.define(n.outputs[0], perm)}, out.bits);
}

/// One slope for all: LeakyRelu, which takes any exponents.
void lower_one_slope(Builder& b, const Node& n, float slope) {
  Node leaky = n;
  leaky.op = "LeakyRelu";
  leaky.inputs.resize(1);
  leaky.attributes = {};
  leaky.attributes.set("alpha", slope);
  lower_table(b, leaky);
}

/// Input and output of the kernel, where there are such.
struct KernelQuants {
  TensorQuant in, out, slopes;
};

// More than this cannot be made up for by the width of the integers.
constexpr int kMostBitsLost = 4;

std::optional<KernelQuants> wide_quants(const Target& target, std::span<const float> slopes,
                                        const TensorQuant& slope_quant, int in, int out) {
  const int growth = target.family == Family::S3 ? quant::prelu_growth(slopes) : 0;
  const int exponent = std::max(in + growth, out);
  if (slope_quant.exponent() > 0 || exponent > in + kMostBitsLost) return std::nullopt;
  const TensorQuant kernel{16, {exponent}, -1};
  return KernelQuants{kernel, kernel, slope_quant};
}

std::optional<KernelQuants> narrow_quants(const Target& target, std::span<const float> slopes,
                                          const TensorQuant& slope_quant, const TensorQuant& in,
                                          const TensorQuant& out) {
  const int positive = out.exponent() - in.exponent();
  const int negative = positive - slope_quant.exponent();
  if (target.family == Family::S3) {
    // The factor that scales positive values up is an int8.
    constexpr int kLargestFactorShift = 6;
    const bool legal = negative >= 0 && negative <= 31 && positive >= -kLargestFactorShift;
    return legal ? std::optional(KernelQuants{in, out, slope_quant}) : std::nullopt;
  }
  if (positive == 0 && negative >= 0 && negative <= 31) return KernelQuants{in, out, slope_quant};
  // Eight bits more hold both sides exactly, and floor costs nothing there.
  constexpr int kMoreBits = 8;
  const int exponent = std::max(in.exponent(), out.exponent()) - kMoreBits;
  const int finest_slope =
      quant::best_exponent(slopes, 1.0F, quant::max_q_of(16), -30).exponents[0];
  if (exponent > in.exponent() || finest_slope > 0) return std::nullopt;
  const TensorQuant kernel{16, {exponent}, -1};
  return KernelQuants{kernel, kernel, {16, {finest_slope}, -1}};
}

}  // namespace

void lower_prelu(Builder& b, const Node& n) {
  const ConstantSlope slope = slope_of(b, n);
  const auto slopes = slope.value.constant.data<float>();
  const bool all_alike =
      std::adjacent_find(slopes.begin(), slopes.end(), std::not_equal_to<>()) == slopes.end();
  if (!slopes.empty() && all_alike) return lower_one_slope(b, n, slopes[0]);
  if (!slope.axis) return lower_in_parts(b, n);

  const TensorQuant in = input_quant(b, n), out = quant_of(b, n.outputs[0]);
  const TensorQuant& slope_quant = quant_of(b, n.inputs[1]);
  const auto kernel =
      out.bits == 16 ? wide_quants(b.target(), slopes, slope_quant, in.exponent(), out.exponent())
                     : narrow_quants(b.target(), slopes, slope_quant, in, out);
  if (!kernel) return lower_in_parts(b, n);
  const Perm perm = perm_with_last(b.shape(n.inputs[0]).size(), *slope.axis);
  Chain chain(b, n, perm);
  const Shape stored = chain.last().shape;
  chain.requantize(kernel->in);
  chain.reshape(as_image(stored));
  chain.prelu(slopes_constant(b, slope.value, kernel->slopes), kernel->out);
  chain.reshape(stored);
  chain.requantize(out);
  chain.write();
}

}  // namespace espquant::lower
