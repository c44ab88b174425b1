#include <fmt/format.h>

#include "ops/operators.h"
#include "ops/unary.h"

/// Cast, CastLike.
namespace espquant::ops {
namespace {

bool is_castable(DType dtype) {
  return dtype != DType::Undefined && dtype != DType::String && size_of(dtype) != 0;
}

void infer_to(const InferContext& context, DType to) {
  const DType from = context.dtype(0);
  const bool narrows_to_half = (to == DType::Float16 || to == DType::BFloat16) && to != from;
  if (!is_castable(from) || !is_castable(to) || narrows_to_half)
    unsupported(fmt::format("a cast from {} to {}", to_string(from), to_string(to)),
                "Export the network in float32");
  set_output(context, 0, to, context.shape(0));
}

void infer_cast(const InferContext& context) {
  const std::int64_t to = context.node.attributes.get_int("to", 0);
  if (to <= 0 || to > 16)
    unsupported(fmt::format("a cast to ONNX type {}", to), "Export the network in float32");
  infer_to(context, static_cast<DType>(to));
}

void infer_cast_like(const InferContext& context) { infer_to(context, context.dtype(1)); }

template <typename To, typename From>
To convert(From x) {
  // ONNX leaves floats beyond an integer's range open, C++ makes them undefined: saturate.
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To> &&
                !std::is_same_v<To, bool>)
    return to_integer<To>(static_cast<double>(x));
  else
    return static_cast<To>(x);
}

void run_cast(const RunContext& context) {
  Tensor& out = context.outputs[0];
  const DType from = context.in(0).dtype();
  const bool half = from == DType::Float16 || from == DType::BFloat16;
  const Tensor in =
      half && out.dtype() != from ? context.in(0).cast(DType::Float32) : context.in(0);
  if (in.dtype() == out.dtype()) {
    out = in;
    return;
  }
  visit_any(in.dtype(), [&]<typename From>(From) {
    visit_any(out.dtype(), [&]<typename To>(To) {
      const auto source = in.data<From>();
      auto target = out.mutable_data<To>();
      for (std::size_t i = 0; i < source.size(); ++i) target[i] = convert<To>(source[i]);
    });
  });
}

}  // namespace

const OpDef kCast{"Cast", QuantRule::Float, infer_cast, run_cast};
const OpDef kCastLike{"CastLike", QuantRule::Float, infer_cast_like, run_cast};

}  // namespace espquant::ops
