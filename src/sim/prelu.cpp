#include <fmt/format.h>

#include <algorithm>

#include "sim/lut.h"
#include "sim/operators.h"
#include "sim/rounding.h"
#include "sim/vector_shift.h"

/// PRelu (ESP-DL 3.12; s3-kernels 1). Every family and width has formulas of its own for the
/// negative side, and most forget the exponents on the positive side.
namespace espquant::sim {
namespace {

struct PReluShifts {
  int negative;  ///< e_out - e_in - e_alpha
  int positive;  ///< e_out - e_in
};

/// The factor that scales positive values up, as an int8 lane holds it.
std::int32_t int8_factor(int shift) {
  const std::int64_t factor = std::int64_t{1} << std::clamp(-shift, 0, 8);
  return static_cast<std::int32_t>(wrap_bits(factor, 8));
}

/// Both sides are computed and one is chosen, as the chip does, so that the loop vectorises.
struct S3Int8 {
  S3Shift negative, positive;
  std::int32_t factor;

  explicit S3Int8(PReluShifts s)
      : negative(s.negative, true),
        positive(std::max(s.positive, 0), true),
        factor(int8_factor(s.positive)) {}
  std::int8_t operator()(std::int8_t q, std::int8_t alpha) const {
    const std::int32_t below = negative(q * alpha), above = positive(q * factor);
    return narrow<std::int8_t>(q < 0 ? below : above);
  }
};

/// The negative side as the portable kernel has it: the rounding of ESP.VPRELU.S8 is not
/// documented.
struct P4Int8 {
  int negative;
  P4Shift positive;
  std::int32_t factor;

  explicit P4Int8(PReluShifts s)
      : negative(std::min(s.negative, 31)),
        positive(std::max(s.positive, 0)),
        factor(int8_factor(s.positive)) {}
  std::int8_t operator()(std::int8_t q, std::int8_t alpha) const {
    const std::int32_t below = (q * alpha) >> negative, above = positive(q * factor);
    return narrow<std::int8_t>(q < 0 ? below : above);
  }
};

/// EE.VPRELU.S16: no rounding, and the low 16 bits of the product.
struct S3Int16 {
  int negative;

  explicit S3Int16(PReluShifts s) : negative(std::min(s.negative & 63, 31)) {}
  std::int16_t operator()(std::int16_t q, std::int16_t alpha) const {
    const std::int32_t below = (std::int32_t{q} * alpha) >> negative;
    return q > 0 ? q : static_cast<std::int16_t>(below);
  }
};

/// Products are held in twice the width, which a left shift may leave. Whether positive values are
/// brought to the output's exponent depends on the release; that they are rounded half up is what
/// all other portable kernels do.
template <typename T>
struct Portable {
  PReluShifts shifts;
  bool rescales;
  T operator()(T q, T alpha) const {
    if (q >= 0) return rescales ? rescaled(q) : q;
    const std::int64_t product = std::int64_t{q} * alpha;
    const int shift = std::clamp(shifts.negative, -31, 31);
    if (shift >= 0) return saturate<T>(product >> shift);
    return saturate<T>(wrap_bits(product * (std::int64_t{1} << -shift), 16 * sizeof(T)));
  }
  T rescaled(T q) const {
    const int shift = std::clamp(shifts.positive, -31, 31);
    if (shift >= 0) return saturate<T>(round_shift(q, shift, Rounding::HalfUp));
    return saturate<T>(std::int64_t{q} * (std::int64_t{1} << -shift));
  }
};

struct FloatPRelu {
  float operator()(float x, float alpha) const { return x >= 0 ? x : x * alpha; }
};

template <typename T, typename F>
std::unique_ptr<Kernel> prelu_kernel(std::vector<T> alpha, std::int64_t count, F f) {
  return make_kernel([alpha = std::move(alpha), count, f](const KernelArgs& args) {
    const auto channels = static_cast<std::int64_t>(alpha.size());
    const T* in = args.in<T>(0);
    T* out = args.out<T>(0);
    for (std::int64_t i = 0; i < count; i += channels)
      for (std::int64_t c = 0; c < channels; ++c)
        out[i + c] = f(in[i + c], alpha[static_cast<std::size_t>(c)]);
  });
}

/// Whether int8 positive values come out at the output's exponent.
bool rescales_int8(const NodeContext& context) {
  return uses_vector_kernels(context) || (context.target.family == Family::C &&
                                          context.target.release.has(Feature::PReluRescalesOnC));
}

template <typename T>
std::unique_ptr<Kernel> quantized_prelu(const NodeContext& context, std::vector<T> alpha,
                                        std::int64_t count, PReluShifts shifts) {
  if (!uses_vector_kernels(context))
    return prelu_kernel(std::move(alpha), count,
                        Portable<T>{shifts, sizeof(T) == 1 && rescales_int8(context)});
  const bool s3 = context.target.family == Family::S3;
  if constexpr (sizeof(T) == 1) {
    if (s3) return prelu_kernel(std::move(alpha), count, S3Int8(shifts));
    return prelu_kernel(std::move(alpha), count, P4Int8(shifts));
  } else {
    if (s3) return prelu_kernel(std::move(alpha), count, S3Int16(shifts));
    return prelu_kernel(std::move(alpha), count, Portable<T>{shifts, false});
  }
}

/// The slopes, one per channel. int16 takes the first for all unless alpha's first axis is the
/// channels; float takes a single one for all; int8 always reads as many as there are channels.
template <typename T>
std::vector<T> slopes(const NodeContext& context, std::int64_t channels) {
  const espdl::Constant& alpha = context.constant(1);
  require_type(context, 1, dtype_of<T>);
  const Shape& shape = alpha.data.shape();
  if (shape.size() != 3)
    refuse(fmt::format("alpha of shape {}: ESP-DL asserts three axes", to_string(shape)),
           "Store alpha as C,1,1");
  const auto values = alpha.data.data<T>();
  const bool per_channel = shape[0] == channels;
  if (!per_channel && sizeof(T) > 1 && !values.empty() && (sizeof(T) == 2 || shape[0] == 1))
    return std::vector<T>(static_cast<std::size_t>(channels), values[0]);
  if (static_cast<std::int64_t>(values.size()) != channels)
    refuse(fmt::format("alpha of shape {} for {} channels: ESP-DL reads one slope per channel",
                       to_string(shape), channels),
           "Store alpha as C,1,1, or export the node with a table");
  return {values.begin(), values.end()};
}

/// Whether a product of the negative side can lose bits, so that its rounding matters.
bool rounds_negative_side(const NodeContext& context, int shift) {
  if (shift <= 0) return false;
  const auto slopes = context.constant(1).data.data<std::int8_t>();
  const auto lost = static_cast<std::int32_t>((std::uint32_t{1} << std::min(shift, 31)) - 1);
  return std::any_of(slopes.begin(), slopes.end(),
                     [&](std::int8_t alpha) { return (std::int32_t{alpha} & lost) != 0; });
}

void note_int8_faults(const NodeContext& context, Prepared& prepared, PReluShifts shifts) {
  const bool vector_unit = uses_vector_kernels(context);
  if (!rescales_int8(context) && shifts.positive != 0)
    add_fault(prepared, "prelu-int8-ignores-exponent");
  if (!vector_unit && rescales_int8(context) && shifts.positive > 0)
    add_fault(prepared, "prelu-rounding-unknown");
  if (vector_unit && shifts.positive <= -7) add_fault(prepared, "prelu-factor-beyond-int8");
  if (context.target.family == Family::P4 && rounds_negative_side(context, shifts.negative))
    add_fault(prepared, "prelu-rounding-unknown");
  note_portable_kernel(context, prepared);
}

void note_faults(const NodeContext& context, Prepared& prepared, PReluShifts shifts) {
  const bool int8 = prepared.outputs[0].dtype == DType::Int8;
  if (int8) return note_int8_faults(context, prepared, shifts);
  if (shifts.positive != 0) add_fault(prepared, "prelu-int16-ignores-exponent");
  const Shape& alpha = context.input(1).shape;
  if (alpha[0] != context.input(0).shape.back() && element_count(alpha) != 1)
    add_fault(prepared, "prelu-int16-takes-first-slope");
}

}  // namespace

Prepared prepare_p_relu(const NodeContext& context) {
  if (uses_int8_lut(context)) return prepare_table_lookup(context);
  const DType dtype = element_type(context);
  const Shape& shape = context.input(0).shape;
  require_single_image(context, shape, 4, 4);
  const TensorDesc output = output_desc(context, 0, shape, dtype);
  const std::int64_t count = element_count(shape);
  const int positive = output.exponent() - context.input(0).exponent();
  const PReluShifts shifts{positive - context.input(1).exponent(), positive};
  if (!is_float(dtype) && shifts.negative < 0 && context.target.family != Family::C)
    refuse(fmt::format("the negative side must be shifted left by {}, which vectors cannot",
                       -shifts.negative),
           "Give alpha a smaller exponent");

  auto kernel = visit_element_type(dtype, [&]<typename T>() -> std::unique_ptr<Kernel> {
    std::vector<T> alpha = slopes<T>(context, shape.back());
    if constexpr (std::is_floating_point_v<T>)
      return prelu_kernel(std::move(alpha), count, FloatPRelu{});
    else
      return quantized_prelu<T>(context, std::move(alpha), count, shifts);
  });
  Prepared prepared = prepared_with(context, shape, dtype, std::move(kernel));
  if (!is_float(dtype)) note_faults(context, prepared, shifts);
  return prepared;
}

}  // namespace espquant::sim
