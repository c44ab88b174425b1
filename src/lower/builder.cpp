#include "lower/builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/fixed_point.h"

namespace espquant::lower {

Perm identity_perm(std::size_t rank) {
  Perm perm(rank);
  std::iota(perm.begin(), perm.end(), std::int64_t{0});
  return perm;
}

Perm channels_last_perm(std::size_t rank) {
  Perm perm = identity_perm(rank);
  if (rank >= 3) std::rotate(perm.begin() + 1, perm.begin() + 2, perm.end());
  return perm;
}

Perm inverse(const Perm& perm) {
  Perm out(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i)
    out[static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
  return out;
}

std::int64_t stored_axis(const Perm& perm, std::int64_t axis) {
  return inverse(perm).at(static_cast<std::size_t>(axis));
}

bool same_order(const Shape& shape, const Perm& a, const Perm& b) {
  const auto without_units = [&](const Perm& perm) {
    Perm kept;
    for (std::int64_t axis : perm)
      if (shape[static_cast<std::size_t>(axis)] != 1) kept.push_back(axis);
    return kept;
  };
  return without_units(a) == without_units(b);
}

namespace {

// The permutation that takes a tensor stored in the order `from` to the order `to`.
Perm moves_between(const Perm& from, const Perm& to) {
  const Perm where = inverse(from);
  Perm moves(to.size());
  for (std::size_t i = 0; i < to.size(); ++i) moves[i] = where[static_cast<std::size_t>(to[i])];
  return moves;
}

// The S3's vector kernel that widens int8 and changes the exponent leaves the last 8 elements as
// they were (ESP-DL 3.11, s3-kernels 6); one step after the other does not.
bool leaves_tail_unwritten(const Target& target, std::int64_t elements) {
  constexpr std::int64_t kVectorThreshold = 50, kStep = 16;
  return target.family == Family::S3 && elements > kVectorThreshold && elements % kStep == 8;
}

DType integer_type(int bits) { return bits == 8 ? DType::Int8 : DType::Int16; }

}  // namespace

const Shape& Builder::shape(ValueId v) const {
  const auto& s = graph_.value(v).shape;
  ESPQUANT_ASSERT(s.has_value(), "a value without shape reached the lowering");
  return *s;
}

const Stored& Builder::stored(ValueId v) const {
  const auto it = stored_.find(v);
  ESPQUANT_ASSERT(it != stored_.end(),
                  "a value is read before it is written: " + graph_.value(v).name);
  return it->second;
}

std::string Builder::unique_name(const std::string& base) {
  const int n = names_[base]++;
  if (n == 0 && graph_.find_value(base) == kNone) return base;
  return unique_name(fmt::format("{}_{}", base, n));
}

void Builder::add_value(const std::string& name, DType dtype, Shape stored_shape, int exponent) {
  model_.values.push_back({name, dtype, std::move(stored_shape), {exponent}});
}

espdl::Node& Builder::node(std::string op, std::string name, std::vector<std::string> inputs,
                           std::vector<std::string> outputs, int bits) {
  espdl::Node n;
  n.op = std::move(op);
  n.name = std::move(name);
  n.inputs = std::move(inputs);
  n.outputs = std::move(outputs);
  n.attributes["quant_type"] = std::string(bits == 8 ? "S8" : bits == 16 ? "S16" : "F32");
  model_.nodes.push_back(std::move(n));
  return model_.nodes.back();
}

std::string Builder::declare(const std::string& base, Shape shape, const TensorQuant& quant) {
  const std::string out = unique_name(base + "_out");
  add_value(out, integer_type(quant.bits), std::move(shape), quant.exponent());
  return out;
}

std::string Builder::derive(const std::string& op, const std::string& base,
                            std::vector<std::string> inputs, Shape shape, const TensorQuant& quant,
                            std::map<std::string, espdl::AttributeValue> attributes) {
  const std::string out = declare(fmt::format("{}_{}", base, op), std::move(shape), quant);
  espdl::Node& written = node(op, unique_name(out + "_node"), std::move(inputs), {out}, quant.bits);
  for (auto& [name, value] : attributes) written.attributes[name] = std::move(value);
  return out;
}

std::string Builder::constant(const std::string& name, Tensor data, std::vector<int> exponents,
                              std::string doc) {
  model_.initializers.push_back({name, std::move(data), std::move(exponents), std::move(doc)});
  return name;
}

std::string Builder::table(const std::string& base, Tensor data, int exponent) {
  const auto bytes = data.bytes();
  for (std::size_t i : tables_) {
    const espdl::Constant& known = model_.initializers[i];
    const auto others = known.data.bytes();
    if (known.data.dtype() == data.dtype() && known.exponent() == exponent &&
        std::equal(bytes.begin(), bytes.end(), others.begin(), others.end()))
      return known.name;
  }
  tables_.push_back(model_.initializers.size());
  return constant(unique_name(base), std::move(data), {exponent});
}

std::vector<std::string> Builder::with_scale(std::string input, const std::string& base,
                                             float scale, DType dtype) {
  std::string factor = constant(unique_name(base + "_scale"), Tensor::scalar(scale), {0});
  std::string zero = constant(unique_name(base + "_zero"), Tensor(dtype, {}), {0});
  return {std::move(input), std::move(factor), std::move(zero)};
}

std::string Builder::constant_ints(const std::string& name,
                                   const std::vector<std::int64_t>& values) {
  return constant(
      unique_name(name),
      Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, std::span(values)), {0});
}

Tensor Builder::quantized(const Tensor& real, const TensorQuant& quant) const {
  Tensor out(integer_type(quant.bits), real.shape());
  ESPQUANT_ASSERT(!quant.per_channel(), "quantized() is for one exponent");
  const auto x = real.data<float>();
  const float inv = pow2(-quant.exponent());
  if (quant.bits == 8)
    quantize_values(x.data(), x.size(), inv, target_.rounding,
                    out.mutable_data<std::int8_t>().data());
  else
    quantize_values(x.data(), x.size(), inv, target_.rounding,
                    out.mutable_data<std::int16_t>().data());
  return out;
}

std::string Builder::quantized_constant(ValueId v, const TensorQuant& quant) {
  const Value& value = graph_.value(v);
  return constant(unique_name(value.name), quantized(value.constant, quant), quant.exponents);
}

std::string Builder::reordered(const Stored& from, const Shape& value_shape, const Perm& perm) {
  if (from.perm == perm) return from.name;
  // Keyed by how the stored axes move: values that are one tensor seen in several orders share what
  // is derived.
  const std::string key =
      fmt::format("{}|{}", from.name, fmt::join(moves_between(from.perm, perm), ","));
  if (const auto it = derived_.find(key); it != derived_.end()) return it->second;
  const std::string out = unique_name(from.name + "_reordered");
  write_reordered(from, value_shape, perm, out);
  return derived_[key] = out;
}

void Builder::write_reordered(const Stored& from, const Shape& value_shape, const Perm& perm,
                              const std::string& out) {
  const int bits = from.dtype == DType::Int8 ? 8 : from.dtype == DType::Int16 ? 16 : 0;
  const Shape after = permuted(value_shape, perm);
  add_value(out, from.dtype, after, from.exponent);
  if (same_order(value_shape, from.perm, perm)) {
    // Only unit axes move, if any: a Reshape, which ESP-DL turns into an alias.
    const std::string target_shape = constant_ints(out + "_shape", after);
    node("Reshape", unique_name(out + "_node"), {from.name, target_shape}, {out}, bits);
  } else {
    node("Transpose", unique_name(out + "_node"), {from.name}, {out}, bits).attributes["perm"] =
        moves_between(from.perm, perm);
  }
}

std::string Builder::read(ValueId v, const Perm& perm) {
  return reordered(stored(v), shape(v), perm);
}

std::string Builder::read_as(ValueId v, const Perm& perm, const TensorQuant& quant) {
  Stored s = stored(v);
  const DType wanted = integer_type(quant.bits);
  const RequantizedInput here{current_, graph_.value(v).name};
  if (s.dtype == wanted && s.exponent == quant.exponent() && !options_.requantized.contains(here))
    return read(v, perm);
  if (s.dtype == wanted) requantized_.insert(here);
  if (s.dtype == DType::Int8 && wanted == DType::Int16 && s.exponent != quant.exponent() &&
      leaves_tail_unwritten(target_, element_count(shape(v)))) {
    s.name = read_as(v, s.perm, {16, {s.exponent}, -1});
    s.dtype = DType::Int16;
  }
  const std::string key = fmt::format("{}|q{}e{}", s.name, quant.bits, quant.exponent());
  auto it = derived_.find(key);
  if (it == derived_.end()) {
    const std::string out =
        unique_name(graph_.value(v).name + (is_float(s.dtype) ? "_quantized" : "_requantized"));
    add_value(out, wanted, permuted(shape(v), s.perm), quant.exponent());
    const float scale =
        is_float(s.dtype) ? pow2(quant.exponent()) : pow2(quant.exponent() - s.exponent);
    std::vector<std::string> inputs = with_scale(s.name, out, scale, wanted);
    node(is_float(s.dtype) ? "QuantizeLinear" : "RequantizeLinear", unique_name(out + "_node"),
         std::move(inputs), {out}, quant.bits);
    it = derived_.emplace(key, out).first;
  }
  return reordered({it->second, s.perm, wanted, quant.exponent()}, shape(v), perm);
}

std::string Builder::read_float(ValueId v, const Perm& perm) {
  const Stored s = stored(v);
  if (is_float(s.dtype)) return read(v, perm);
  const std::string key = s.name + "|f";
  auto it = derived_.find(key);
  if (it == derived_.end()) {
    const std::string out = unique_name(graph_.value(v).name + "_dequantized");
    add_value(out, DType::Float32, permuted(shape(v), s.perm), 0);
    std::vector<std::string> inputs = with_scale(s.name, out, pow2(s.exponent), s.dtype);
    node("DequantizeLinear", unique_name(out + "_node"), std::move(inputs), {out}, 0);
    it = derived_.emplace(key, out).first;
  }
  return reordered({it->second, s.perm, DType::Float32, 0}, shape(v), perm);
}

std::string Builder::define(ValueId v, const Perm& perm) {
  const auto& quant = graph_.value(v).quant;
  return quant ? define_as(v, perm, *quant) : define_float(v, perm);
}

std::string Builder::define_as(ValueId v, const Perm& perm, const TensorQuant& quant) {
  const Stored s{graph_.value(v).name, perm, integer_type(quant.bits), quant.exponent()};
  add_value(s.name, s.dtype, permuted(shape(v), perm), s.exponent);
  orders_[s.name] = {s.name, shape(v), perm};
  stored_[v] = s;
  return s.name;
}

std::string Builder::define_float(ValueId v, const Perm& perm) {
  return define_unscaled(v, perm, graph_.value(v).dtype);
}

std::string Builder::define_bool(ValueId v, const Perm& perm) {
  return define_unscaled(v, perm, DType::Bool);
}

std::string Builder::define_unscaled(ValueId v, const Perm& perm, DType dtype) {
  const std::string& name = graph_.value(v).name;
  add_value(name, dtype, permuted(shape(v), perm), 0);
  orders_[name] = {name, shape(v), perm};
  stored_[v] = {name, perm, dtype, 0};
  return name;
}

void Builder::flatten(ValueId v, const Shape& shape, const Perm& perm) {
  const std::string& name = graph_.value(v).name;
  orders_[name] = {name, shape, perm};
}

void Builder::alias(ValueId v, ValueId source, Perm perm) {
  Stored s = stored(source);
  s.perm = std::move(perm);
  orders_[graph_.value(v).name] = {s.name, shape(v), s.perm};
  stored_[v] = std::move(s);
}

}  // namespace espquant::lower
