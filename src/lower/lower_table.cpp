#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/fixed_point.h"
#include "lower/rules.h"
#include "ops/op.h"
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

// f(q * 2^in) for the given integers, in the output's integers.
template <typename T>
Tensor tabulate(const Builder& b, const Node& n, std::int64_t first, std::int64_t step,
                std::int64_t count, int in, int out) {
  Tensor x(DType::Float32, {count});
  auto values = x.mutable_data<float>();
  for (std::int64_t i = 0; i < count; ++i)
    values[static_cast<std::size_t>(i)] = static_cast<float>(first + i * step) * pow2(in);
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
  Tensor table(dtype_of<T>, {count});
  const auto entries = y.data<float>();
  quantize_values(entries.data(), entries.size(), pow2(-out), b.target().rounding,
                  table.mutable_data<T>().data());
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
  const TensorQuant& in = input_quant(b, n);
  const TensorQuant& out = quant_of(b, n.outputs[0]);
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
    const std::string table = b.unique_name(fmt::format("{}_lut", n.name));
    node.attributes["lut"] = table;
    b.constant(table, tabulate<std::int8_t>(b, n, -128, 1, 256, in.exponent(), out.exponent()),
               {out.exponent()});
  } else if (!named) {
    // The int16 operator LUT takes the nearest entry without interpolation: only a full table is
    // exact.
    const std::string table = b.unique_name(fmt::format("{}_lut", n.name));
    node.attributes["lut"] = table;
    node.attributes["int16_lut_step"] = std::int64_t{1};
    b.constant(table, tabulate<std::int16_t>(b, n, -32768, 1, 65536, in.exponent(), out.exponent()),
               {out.exponent()});
  }
}

}  // namespace

void lower_table(Builder& b, const Node& n) { lower_with_table(b, n); }

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
