#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "espdl/filter_layout.h"
#include "sim/mac_engine.h"
#include "sim/operators.h"
#include "sim/prepare.h"

/// MatMul: each product of two matrices is a 1x1 convolution whose filter is the second operand,
/// which therefore arrives in filter order, constant or not (ESP-DL 3.5), unless the node says that
/// it lies row by row (ESP-DL 3.3.15).
namespace espquant::sim {
namespace {

constexpr std::int64_t kMostBatches = std::int64_t{1} << 20;

/// The second operand's matrices, one after the other: matrix b of the output uses x[x_index[b]]
/// and filter[w_index[b]].
struct Batches {
  std::vector<std::int64_t> x_index, w_index;
  std::int64_t filters = 1;
};

/// In place of the lanes that a second operand is packed for.
constexpr int kRowByRow = 0;

class MatMulKernel final : public Kernel {
 public:
  MatMulKernel(MacEngine engine, Batches batches, DType dtype, DType filter_dtype, int lanes)
      : engine_(std::move(engine)),
        batches_(std::move(batches)),
        dtype_(dtype),
        filter_dtype_(filter_dtype),
        lanes_(lanes) {}

  /// For a second operand that never changes.
  void preload(const std::byte* filters) { constant_filters_ = load(filters); }

  void run(const KernelArgs& args) const override {
    const std::vector<MacEngine::Filter> loaded =
        constant_filters_.empty() ? load(args.inputs[1]) : std::vector<MacEngine::Filter>{};
    const auto& filters = constant_filters_.empty() ? loaded : constant_filters_;
    const std::size_t element = size_of(dtype_);
    const std::size_t x_bytes = static_cast<std::size_t>(engine_.geometry().in_size()) * element;
    const std::size_t y_bytes = static_cast<std::size_t>(engine_.geometry().out_size()) * element;
    for (std::size_t b = 0; b < batches_.x_index.size(); ++b)
      engine_.run(args.inputs[0] + static_cast<std::size_t>(batches_.x_index[b]) * x_bytes,
                  filters[static_cast<std::size_t>(batches_.w_index[b])],
                  args.outputs[0] + b * y_bytes, args.workspace);
  }

 private:
  std::vector<MacEngine::Filter> load(const std::byte* filters) const {
    const ConvGeometry& g = engine_.geometry();
    std::vector<MacEngine::Filter> loaded;
    for (std::int64_t f = 0; f < batches_.filters; ++f) {
      Tensor physical(filter_dtype_, {g.in_c, g.out_c});
      std::memcpy(physical.mutable_bytes().data(),
                  filters + static_cast<std::size_t>(f) * physical.byte_size(),
                  physical.byte_size());
      loaded.push_back(engine_.load(lanes_ == kRowByRow
                                        ? physical.transposed(kSwapped)
                                        : espdl::unpack_filter(physical, false, lanes_)));
    }
    return loaded;
  }

  static constexpr std::array<std::int64_t, 2> kSwapped = {1, 0};

  MacEngine engine_;
  Batches batches_;
  DType dtype_, filter_dtype_;
  int lanes_;
  std::vector<MacEngine::Filter> constant_filters_;
};

Error does_not_fit(const Shape& a, const Shape& b) {
  return Error(ErrorCode::Malformed,
               fmt::format("{} and {} cannot be multiplied", to_string(a), to_string(b)))
      .remedy("ESP-DL multiplies matrices of up to 4 dimensions whose inner extents are equal");
}

/// Pairs the matrices of both operands by broadcasting their outer dimensions.
Batches pair_batches(const Shape& a, const Shape& b, Shape& outer) {
  outer = broadcast(a, b);
  if (element_count(outer) > kMostBatches)
    throw Error(ErrorCode::BadData,
                fmt::format("{} products of matrices are beyond any chip", to_string(outer)));
  Batches batches;
  batches.filters = element_count(b);
  const auto flat_index = [&](const Shape& shape, std::int64_t position) {
    std::int64_t index = 0, stride = 1;
    for (std::size_t i = 0; i < outer.size(); ++i) {
      const std::int64_t extent = outer[outer.size() - 1 - i];
      const std::int64_t coordinate = position % extent;
      position /= extent;
      if (i >= shape.size()) continue;
      const std::int64_t own = shape[shape.size() - 1 - i];
      if (own != 1) index += coordinate * stride;
      stride *= own;
    }
    return index;
  };
  for (std::int64_t p = 0; p < element_count(outer); ++p) {
    batches.x_index.push_back(flat_index(a, p));
    batches.w_index.push_back(flat_index(b, p));
  }
  return batches;
}

/// Whether the second operand is [K,N] row by row.
bool is_native(const NodeContext& context) {
  const std::string layout = context.node.get_string("input1_layout", "packed");
  if (layout != "packed" && layout != "native_kn")
    refuse(fmt::format("input1_layout '{}' is not known", layout), "It is packed or native_kn");
  return layout == "native_kn";
}

int native_shift(const NodeContext& context) {
  constexpr std::int64_t kLargest = 127;
  if (context.input(1).exponents.size() > 1)
    refuse(fmt::format("{} exponents for the second operand, which has one",
                       context.input(1).exponents.size()),
           "Quantize the tensor with one exponent");
  const std::int64_t shift = std::int64_t{context.declared[0].exponent()} -
                             context.input(0).exponent() - context.input(1).exponent();
  if (shift < -kLargest || shift > kLargest)
    refuse(fmt::format("the exponents ask for a shift by {}", shift),
           "Check the exponents of both operands and of the output");
  return static_cast<int>(shift);
}

/// Kernels of their own multiply by rows. Columns that fill vectors are summed in the vector
/// unit's lanes, and clip there (S3); the others, and all where the result is shifted left or no
/// vector is filled, are exact sums of portable code. No shift register wraps.
MacArithmetic native_arithmetic(const NodeContext& context, const ConvGeometry& geometry) {
  const Target& target = context.target;
  MacArithmetic arithmetic;
  arithmetic.bits = context.input(0).dtype == DType::Int8 ? 8 : 16;
  const std::string activation = context.node.get_string("activation", "Linear");
  if (activation != "Linear" && activation != "Relu")
    refuse(fmt::format("the activation '{}' cannot be fused into {}", activation, context.node.op),
           "Only Relu can; make another activation a node of its own");
  arithmetic.relu = activation == "Relu";
  const int shift = native_shift(context);
  // Half up and to the left as the portable kernels, which is what the S3's lanes amount to.
  arithmetic.family = target.family == Family::P4 && shift >= 0 ? Family::P4 : Family::C;
  const int lanes = target.lanes(arithmetic.bits);
  arithmetic.scalar_from = geometry.out_c;
  if (target.family == Family::S3 && shift >= 0 && context.options.saturation) {
    arithmetic.scalar_from = geometry.out_c / lanes * lanes;
    arithmetic.lanes.bits = target.accumulator_bits(arithmetic.bits);
  }
  arithmetic.shifts.assign(static_cast<std::size_t>(geometry.out_c), shift);
  arithmetic.bias.assign(static_cast<std::size_t>(geometry.out_c), 0);
  return arithmetic;
}

}  // namespace

Prepared prepare_mat_mul(const NodeContext& context) {
  Shape a = context.input(0).shape, b = context.input(1).shape;
  if (a.empty() || b.empty() || a.size() > 4 || b.size() > 4) throw does_not_fit(a, b);
  const bool vector_a = a.size() == 1, vector_b = b.size() == 1;
  if (vector_a) a.insert(a.begin(), 1);
  if (vector_b) b.push_back(1);
  if (a.back() != b[b.size() - 2] || element_count(a) == 0 || element_count(b) == 0)
    throw does_not_fit(context.input(0).shape, context.input(1).shape);

  ConvGeometry geometry;
  geometry.in_c = a.back();
  geometry.out_c = b.back();
  geometry.in_w = geometry.out_w = a[a.size() - 2];
  Shape shape;
  Batches batches =
      pair_batches(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2), shape);
  if (!vector_a) shape.push_back(geometry.out_w);
  if (!vector_b) shape.push_back(geometry.out_c);
  // Two vectors: ESP-DL gives one element, not a scalar.
  if (shape.empty()) shape.push_back(1);

  Prepared prepared;
  prepared.outputs.push_back(mac_output(context, std::move(shape)));
  const DType dtype = context.input(0).dtype;
  const bool native = is_native(context);
  MacArithmetic arithmetic =
      native ? native_arithmetic(context, geometry)
             : make_arithmetic(context, geometry, context.input(1), nullptr, prepared.faults);
  const int lanes = native ? kRowByRow : context.target.lanes(dtype == DType::Int8 ? 8 : 16);
  auto kernel =
      std::make_unique<MatMulKernel>(MacEngine(geometry, std::move(arithmetic), context.options),
                                     std::move(batches), dtype, context.input(1).dtype, lanes);
  if (context.constants[1] != nullptr) kernel->preload(context.constants[1]->data.bytes().data());
  prepared.kernel = std::move(kernel);
  return prepared;
}

}  // namespace espquant::sim
