#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "espdl/filter_layout.h"
#include "lower/rules.h"

/// MatMul whose second operand is no layer's weights: an activation, which is put in the order of a
/// filter at run time, or one constant matrix for each entry of a batch (ESP-DL 3.5, 4.1).
namespace espquant::lower {
namespace {

/// Writes the nodes that put matrices, [...][K][N], in the order of filters. Shapes that no
/// Transpose needs otherwise are left as they are: each Reshape is a node.
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
        batch_(shape.begin(), shape.end() - 2) {}

  std::string write(const std::string& matrices) {
    // A single column or row is in order as it stands.
    if (columns_ == 1 || (rows_ == 1 && batch_count() == 1)) return matrices;
    const std::int64_t whole = columns_ / lanes_ * lanes_;
    if (lanes_ == 1 || whole == 0) return reshaped(by_column(matrices), shape_);
    if (whole == columns_) return reshaped(by_block(matrices), shape_);
    const std::string columns = by_column(matrices);
    const std::string blocks = blocks_of_columns(part(columns, 0, whole), whole);
    const std::string rest = part(columns, whole, columns_);
    const std::string all = b_.derive("Concat", name_, {blocks, rest}, with({columns_, rows_}),
                                      quant_, {{"axis", column_axis()}});
    return reshaped(all, shape_);
  }

 private:
  std::int64_t batch_count() const { return element_count(batch_); }
  std::int64_t column_axis() const { return static_cast<std::int64_t>(batch_.size()); }

  Shape with(const Shape& inner) const {
    Shape shape = batch_;
    shape.insert(shape.end(), inner.begin(), inner.end());
    return shape;
  }

  std::string reshaped(const std::string& tensor, const Shape& shape) {
    return b_.derive("Reshape", name_, {tensor, b_.constant_ints(name_ + "_shape", shape)}, shape,
                     quant_);
  }

  /// With the axes behind the batch in the order `inner`, counted from there.
  std::string transposed(const std::string& tensor, const Shape& shape, const Perm& inner) {
    Perm perm = identity_perm(batch_.size());
    for (const std::int64_t axis : inner) perm.push_back(column_axis() + axis);
    return b_.derive("Transpose", name_, {tensor}, permuted(shape, perm), quant_, {{"perm", perm}});
  }

  /// [...][column][K]
  std::string by_column(const std::string& matrices) {
    return transposed(matrices, shape_, {1, 0});
  }

  /// Columns [first, end) of [...][column][K].
  std::string part(const std::string& columns, std::int64_t first, std::int64_t end) {
    const auto ints = [&](const char* what, std::int64_t value) {
      return b_.constant_ints(fmt::format("{}_{}", name_, what), {value});
    };
    return b_.derive("Slice", name_,
                     {columns, ints("starts", first), ints("ends", end),
                      ints("axes", column_axis()), ints("steps", 1)},
                     with({end - first, rows_}), quant_);
  }

  /// [...][block][K][column of the block], of [...][K][N].
  std::string by_block(const std::string& matrices) {
    const Shape in_blocks = with({rows_, columns_ / lanes_, lanes_});
    return transposed(reshaped(matrices, in_blocks), in_blocks, {1, 0, 2});
  }

  /// The same of [...][column][K], in the shape of that.
  std::string blocks_of_columns(const std::string& columns, std::int64_t count) {
    const Shape in_blocks = with({count / lanes_, lanes_, rows_});
    const std::string blocks = transposed(reshaped(columns, in_blocks), in_blocks, {0, 2, 1});
    return reshaped(blocks, with({count, rows_}));
  }

  Builder& b_;
  const std::string& name_;
  const Shape& shape_;
  const TensorQuant& quant_;
  std::int64_t lanes_, rows_, columns_;
  Shape batch_;
};

/// Constant matrices, [...][K][N], each in the order of a filter.
Tensor pack_matrices(const Tensor& integers, int lanes) {
  const Shape& shape = integers.shape();
  const std::int64_t rows = shape[shape.size() - 2], columns = shape.back();
  const std::int64_t count = integers.size() / (rows * columns);
  const Tensor matrices =
      integers.reshaped({count, rows, columns}).transposed(std::array<std::int64_t, 3>{0, 2, 1});
  Tensor packed(integers.dtype(), shape);
  const std::size_t bytes = integers.byte_size() / static_cast<std::size_t>(count);
  for (std::int64_t i = 0; i < count; ++i) {
    Tensor logical(integers.dtype(), {columns, 1, 1, rows});
    const std::size_t begin = static_cast<std::size_t>(i) * bytes;
    std::ranges::copy(matrices.bytes().subspan(begin, bytes), logical.mutable_bytes().begin());
    std::ranges::copy(espdl::pack_filter(logical, false, lanes).bytes(),
                      packed.mutable_bytes().begin() + static_cast<std::ptrdiff_t>(begin));
  }
  return packed;
}

std::string filter_of(Builder& b, const Node& n, const TensorQuant& quant) {
  const ValueId v = n.inputs[1];
  const Value& value = b.graph().value(v);
  const Shape& shape = b.shape(v);
  if (!value.is_constant()) {
    const std::string stored = b.read_as(v, identity_perm(shape.size()), quant);
    return shape.size() < 2 ? stored : FilterOrder(b, n, shape, quant).write(stored);
  }
  if (shape.size() < 2) return b.quantized_constant(v, quant);
  const int lanes = b.target().lanes(quant.bits);
  return b.constant(b.unique_name(value.name),
                    pack_matrices(b.quantized(value.constant, quant), lanes), quant.exponents,
                    espdl::filter_layout_doc(2, false, lanes, shape.back()));
}

}  // namespace

void lower_product(Builder& b, const Node& n) {
  const TensorQuant& left = input_quant(b, n, 0);
  const TensorQuant& right = input_quant(b, n, 1);
  const TensorQuant& out = quant_of(b, n.outputs[0]);
  for (ValueId v : n.inputs) {
    if (b.shape(v).size() > 4)
      refuse(n, "ESP-DL multiplies matrices of up to four dimensions", "Reshape the operands");
    if (element_count(b.shape(v)) == 0)
      refuse(n, "one of its operands has no elements", "Leave the node out of the network");
  }
  if (b.shape(n.outputs[0]).empty())
    refuse(n, "ESP-DL has no tensors without axes", "Give one of the vectors a second axis");
  check_shift(n, out.exponent() - left.exponent() - right.exponent());
  const std::string x =
      b.graph().value(n.inputs[0]).is_constant()
          ? b.quantized_constant(n.inputs[0], left)
          : b.read_as(n.inputs[0], identity_perm(b.shape(n.inputs[0]).size()), left);
  const std::string filter = filter_of(b, n, right);
  const Fused fused = fuse_activation(b, n);
  const std::string output = b.define(fused.output, identity_perm(b.shape(fused.output).size()));
  b.node("MatMul", n.name, {x, filter}, {output}, out.bits).attributes["activation"] =
      std::string(fused.relu ? "Relu" : "Linear");
}

}  // namespace espquant::lower
