#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/fixed_point.h"
#include "lower/rules.h"
#include "ops/op.h"
#include "quant/exponents.h"
#include "quant/groups.h"

/// Operators of one input and one output, element by element: at 8 bits a table of 256 entries
/// (ESP-DL 3.12).
namespace espquant::lower {
namespace {

// Those that ESP-DL knows by name; any other becomes the operator LUT.
bool known_to_runtime(std::string_view op) {
  static constexpr std::array<std::string_view, 14> kOps = {
      "Clip", "Elu", "Exp",  "Gelu",    "HardSigmoid", "HardSwish", "LeakyRelu",
      "Log",  "Neg", "Relu", "Sigmoid", "Sqrt",        "Swish",     "Tanh"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

// Where a function has no value (Acos beyond 1), rounding alone leads: the nearest value that it
// has.
void extend_domain(std::span<float> values) {
  const auto has_value = [](float v) { return !std::isnan(v); };
  const auto first = std::find_if(values.begin(), values.end(), has_value);
  if (first == values.end()) return;
  float last = *first;
  for (float& v : values) {
    if (has_value(v))
      last = v;
    else
      v = last;
  }
}

// f(q * 2^in) for the given integers.
Tensor tabulate(const Builder& b, const Node& n, std::int64_t first, std::int64_t count, int in) {
  Tensor x(DType::Float32, {count});
  auto values = x.mutable_data<float>();
  for (std::int64_t i = 0; i < count; ++i)
    values[static_cast<std::size_t>(i)] = static_cast<float>(first + i) * pow2(in);
  std::vector<const Tensor*> inputs{&x};
  std::vector<Tensor> constants;
  constants.reserve(n.inputs.size());
  for (std::size_t i = 1; i < n.inputs.size(); ++i) {
    if (n.inputs[i] == kNone) {
      inputs.push_back(nullptr);
      continue;
    }
    constants.push_back(b.graph().value(n.inputs[i]).constant);
    inputs.push_back(&constants.back());
  }
  Tensor y = ops::run_node(b.graph(), n, inputs).at(0);
  if (!known_to_runtime(n.op)) extend_domain(y.mutable_data<float>());
  return y;
}

// The same in the output's integers.
template <typename T>
Tensor in_integers(const Builder& b, const Tensor& y, int out) {
  Tensor table(dtype_of<T>, {y.size()});
  const auto entries = y.data<float>();
  quantize_values(entries.data(), entries.size(), pow2(-out), b.target().rounding,
                  table.mutable_data<T>().data());
  return table;
}

constexpr std::int64_t kIntegers16 = 65536;

// Noise to signal of `exact`, one entry for each integer and one beyond, where only every
// 2^log2_step-th is kept and the nearest taken, the chip's `rounding` deciding between two; over
// the `integers` in the middle.
double noise_of_step(std::span<const std::int16_t> exact, int log2_step, std::int64_t integers,
                     Rounding rounding) {
  double noise = 0, signal = 0;
  const std::int64_t half = log2_step > 0 ? std::int64_t{1} << (log2_step - 1) : 0;
  for (std::int64_t u = (kIntegers16 - integers) / 2; u < (kIntegers16 + integers) / 2; ++u) {
    // An odd point below draws the tie up; half to even leaves the others down.
    const bool down = rounding == Rounding::HalfEven && half > 0 && ((u >> log2_step) & 1) == 0;
    const std::int64_t kept = ((u + half - (down ? 1 : 0)) >> log2_step) << log2_step;
    const double y = exact[static_cast<std::size_t>(u)];
    const double error = exact[static_cast<std::size_t>(kept)] - y;
    noise += error * error;
    signal += y * y;
  }
  return noise > 0 ? noise / signal : 0;
}

// ESP-DL 3.12: the runtime takes the nearest entry, without interpolation.
struct Table16 {
  Tensor entries;
  std::int64_t step = 1;
};

Table16 table16(const Builder& b, const Node& n, int in, int out) {
  constexpr int kCoarsest = 8;
  // Activations are seldom spread evenly: most are small.
  constexpr std::int64_t kSmall = kIntegers16 / 8;
  const Tensor all =
      in_integers<std::int16_t>(b, tabulate(b, n, -kIntegers16 / 2, kIntegers16 + 1, in), out);
  const auto exact = all.data<std::int16_t>();
  const double most = b.options().table_error;
  const Rounding rounding = b.target().rounding;
  int log2_step = most > 0 ? kCoarsest : 0;
  while (log2_step > 0 && (noise_of_step(exact, log2_step, kIntegers16, rounding) > most ||
                           noise_of_step(exact, log2_step, kSmall, rounding) > most))
    --log2_step;
  const std::int64_t step = std::int64_t{1} << log2_step;
  // The runtime tells the full table by its having no entry beyond.
  const std::int64_t count = step == 1 ? kIntegers16 : kIntegers16 / step + 1;
  Table16 table{Tensor(DType::Int16, {count}), step};
  auto entries = table.entries.mutable_data<std::int16_t>();
  for (std::int64_t i = 0; i < count; ++i)
    entries[static_cast<std::size_t>(i)] = exact[static_cast<std::size_t>(i * step)];
  return table;
}

void copy_attributes(const Node& from, espdl::Node& to) {
  for (const auto& [name, value] : from.attributes) {
    if (const auto* i = std::get_if<std::int64_t>(&value))
      to.attributes[name] = *i;
    else if (const auto* f = std::get_if<float>(&value))
      to.attributes[name] = *f;
    else if (const auto* s = std::get_if<std::string>(&value))
      to.attributes[name] = *s;
  }
}

void lower_with_table(Builder& b, const Node& n) {
  const TensorQuant& out = quant_of(b, n.outputs[0]);
  const TensorQuant& in = quant::clips_in_steps_of_result(b.graph(), n) ? out : input_quant(b, n);
  const Perm perm = b.stored(n.inputs[0]).perm;
  std::vector<std::string> inputs{b.read_as(n.inputs[0], perm, in)};
  if (in.bits != out.bits)
    refuse(n, "its input and output differ in width", "Give both the same bits");
  if (n.op == "Clip") {
    for (std::size_t i = 1; i < n.inputs.size(); ++i) {
      if (n.inputs[i] == kNone) {
        inputs.emplace_back();
        continue;
      }
      const Value& c = b.graph().value(n.inputs[i]);
      if (!c.is_constant())
        refuse(n, "one of its parameters is computed at run time", "Make it a constant");
      inputs.push_back(b.quantized_constant(n.inputs[i], quant_of(b, n.inputs[i])));
    }
  }
  const bool named = known_to_runtime(n.op) && !(in.bits == 16 && n.op == "Gelu");
  espdl::Node& node = b.node(named ? n.op : "LUT", n.name, std::move(inputs),
                             {b.define(n.outputs[0], perm)}, out.bits);
  copy_attributes(n, node);
  if (!named) node.attributes["original_op_type"] = n.op;
  if (in.bits == 8) {
    Tensor entries =
        in_integers<std::int8_t>(b, tabulate(b, n, -128, 256, in.exponent()), out.exponent());
    node.attributes["lut"] =
        b.table(fmt::format("{}_lut", n.name), std::move(entries), out.exponent());
  } else if (!named) {
    Table16 table = table16(b, n, in.exponent(), out.exponent());
    node.attributes["int16_lut_step"] = table.step;
    node.attributes["lut"] =
        b.table(fmt::format("{}_lut", n.name), std::move(table.entries), out.exponent());
  }
}

// At 16 bits the runtime computes these by formulas of other operators, for which it needs no
// table.
bool lower_without_table(Builder& b, const Node& n) {
  if (n.op != "Abs" && n.op != "Selu") return false;
  const TensorQuant& in = input_quant(b, n);
  const TensorQuant& out = quant_of(b, n.outputs[0]);
  if (in.bits != 16 || out.bits != 16) return false;
  const Perm perm = b.stored(n.inputs[0]).perm;
  const std::string input = b.read_as(n.inputs[0], perm, in);
  if (n.op == "Abs") {
    b.node("LeakyRelu", n.name, {input}, {b.define(n.outputs[0], perm)}, 16).attributes["alpha"] =
        -1.0F;
    return true;
  }
  // Selu's own defaults.
  const float alpha = n.attributes.get_float("alpha", 1.67326319217681884765625F);
  const float gamma = n.attributes.get_float("gamma", 1.05070102214813232421875F);
  const TensorQuant factor{16, {covering_exponent(std::abs(gamma), 32767)}, -1};
  // As much finer or coarser than the output as the factor makes larger or smaller.
  const TensorQuant between{16, {out.exponent() - (factor.exponent() + 14)}, -1};
  if (gamma <= 0 || factor.exponent() > 0) return false;
  const std::string elu = b.derive("Elu", n.name, {input}, permuted(b.shape(n.inputs[0]), perm),
                                   between, {{"alpha", alpha}});
  const std::string gain = b.constant(
      b.unique_name(n.name + "_gamma"),
      b.quantized(Tensor::of<float>({1}, std::vector<float>{gamma}), factor), factor.exponents);
  b.node("Mul", n.name, {elu, gain}, {b.define(n.outputs[0], perm)}, 16);
  return true;
}

}  // namespace

void lower_table(Builder& b, const Node& n) {
  if (!lower_without_table(b, n)) lower_with_table(b, n);
}

void lower_power(Builder& b, const Node& n) {
  const Value& operand = b.graph().value(n.inputs.at(1));
  if (operand.is_constant() && operand.dtype != DType::Float32)
    refuse(n, "its second operand is not of type float", "Export it as float32");
  const bool of_one_tensor = operand.is_constant() && operand.constant.size() == 1 &&
                             operand.constant.shape().size() <= b.shape(n.inputs[0]).size() &&
                             !b.graph().value(n.inputs[0]).is_constant();
  // A table of 16 bits has 65536 entries: there the runtime's function does.
  if (of_one_tensor && quant_of(b, n.outputs[0]).bits == 8)
    lower_with_table(b, n);
  else
    lower_binary(b, n);
}

}  // namespace espquant::lower
