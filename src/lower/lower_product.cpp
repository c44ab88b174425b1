#include <fmt/format.h>

#include "lower/rules.h"

/// MatMul of two activations: the chip takes the second for a filter, so that it is put in the
/// order of one at run time (ESP-DL 3.5, 4.1).
namespace espquant::lower {
namespace {

/// Writes the nodes that put matrices, [batch][K][N], in the order of filters.
class FilterOrder {
 public:
  FilterOrder(Builder& b, const Node& n, const Shape& shape, const TensorQuant& quant)
      : b_(b),
        name_(n.name),
        shape_(shape),
        quant_(quant),
        lanes_(b.target().lanes(quant.bits)),
        rows_(shape[shape.size() - 2]),
        columns_(shape.back()),
        batch_(element_count(shape) / (rows_ * columns_)) {}

  std::string write(const std::string& matrices) {
    const std::int64_t whole = columns_ / lanes_ * lanes_;
    if (lanes_ == 1 || whole == 0)
      return reshaped(by_column(reshaped(matrices, {batch_, rows_, columns_}), columns_), shape_);
    if (whole == columns_) return reshaped(by_block(matrices, whole), shape_);
    const std::string plain = reshaped(matrices, {batch_, rows_, columns_});
    const std::string blocks = by_block(columns(plain, 0, whole), whole);
    const std::string rest = by_column(columns(plain, whole, columns_), columns_ - whole);
    const std::string all =
        b_.derive("Concat", name_,
                  {reshaped(blocks, {batch_, rows_ * whole}),
                   reshaped(rest, {batch_, rows_ * (columns_ - whole)})},
                  {batch_, rows_ * columns_}, quant_, {{"axis", std::int64_t{1}}});
    return reshaped(all, shape_);
  }

 private:
  std::string reshaped(const std::string& tensor, const Shape& shape) {
    return b_.derive("Reshape", name_, {tensor, b_.constant_ints(name_ + "_shape", shape)}, shape,
                     quant_);
  }

  std::string transposed(const std::string& tensor, const Shape& shape, const Perm& perm) {
    return b_.derive("Transpose", name_, {tensor}, permuted(shape, perm), quant_, {{"perm", perm}});
  }

  /// Columns [first, end) of [batch][K][N].
  std::string columns(const std::string& matrices, std::int64_t first, std::int64_t end) {
    const auto ints = [&](const char* what, std::int64_t value) {
      return b_.constant_ints(fmt::format("{}_{}", name_, what), {value});
    };
    return b_.derive(
        "Slice", name_,
        {matrices, ints("starts", first), ints("ends", end), ints("axes", 2), ints("steps", 1)},
        {batch_, rows_, end - first}, quant_);
  }

  /// [batch][column][K]
  std::string by_column(const std::string& matrices, std::int64_t count) {
    return transposed(matrices, {batch_, rows_, count}, {0, 2, 1});
  }

  /// [batch][block][K][column of the block]
  std::string by_block(const std::string& matrices, std::int64_t count) {
    const Shape in_blocks{batch_, rows_, count / lanes_, lanes_};
    return transposed(reshaped(matrices, in_blocks), in_blocks, {0, 2, 1, 3});
  }

  Builder& b_;
  const std::string& name_;
  const Shape& shape_;
  const TensorQuant& quant_;
  std::int64_t lanes_, rows_, columns_, batch_;
};

}  // namespace

void lower_product(Builder& b, const Node& n) {
  const TensorQuant& left = input_quant(b, n, 0);
  const TensorQuant& right = input_quant(b, n, 1);
  const TensorQuant& out = quant_of(b, n.outputs[0]);
  const Shape& shape = b.shape(n.inputs[1]);
  for (ValueId v : n.inputs) {
    if (b.shape(v).size() > 4)
      refuse(n, "ESP-DL multiplies matrices of up to four dimensions", "Reshape the operands");
    if (element_count(b.shape(v)) == 0)
      refuse(n, "one of its operands has no elements", "Leave the node out of the network");
  }
  if (b.shape(n.outputs[0]).empty())
    refuse(n, "ESP-DL has no tensors without axes", "Give one of the vectors a second axis");
  check_shift(n, out.exponent() - left.exponent() - right.exponent());
  const auto read = [&](ValueId v, const TensorQuant& quant) {
    if (b.graph().value(v).is_constant()) return b.quantized_constant(v, quant);
    return b.read_as(v, identity_perm(b.shape(v).size()), quant);
  };
  const std::string x = read(n.inputs[0], left);
  std::string filter = read(n.inputs[1], right);
  // A vector is a single column, which is in order as it stands.
  if (shape.size() > 1) filter = FilterOrder(b, n, shape, right).write(filter);
  const std::string output = b.define(n.outputs[0], identity_perm(b.shape(n.outputs[0]).size()));
  b.node("MatMul", n.name, {x, filter}, {output}, out.bits).attributes["activation"] =
      std::string("Linear");
}

}  // namespace espquant::lower
