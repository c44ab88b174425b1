#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "ops/op.h"

/// What the operators' shape inferences have in common. All throw Error without a node:
/// infer_shapes and run_node add its name.
namespace espquant::ops {

/// Bounds of every tensor. A network for a microcontroller is far below them; a hostile file is
/// not.
inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 28;
inline constexpr std::size_t kMaxRank = 16;

[[noreturn]] void malformed(std::string message);
[[noreturn]] void bad_data(std::string message);
[[noreturn]] void unsupported(std::string message, std::string_view remedy);

/// Throws Error(BadData) when the shape exceeds the bounds above.
void check_extents(const Shape& shape);

/// Throws Error(BadData) on overflow.
std::int64_t checked_mul(std::int64_t a, std::int64_t b);

/// Sets output `i` if the node has it.
void set_output(const InferContext& context, std::size_t i, DType dtype, Shape shape);

/// Throws Error(Malformed) when present inputs `i` and `j` differ in type.
void require_same_dtype(const InferContext& context, std::size_t i, std::size_t j);
/// Throws Error(Unsupported) unless input `i` is float32 or float64.
void require_float(const InferContext& context, std::size_t i);
void require_rank(const InferContext& context, std::size_t i, std::int64_t least,
                  std::int64_t most);
/// Throws Error(Malformed) when input `i` has another shape; `what` names it.
void require_shape(const InferContext& context, std::size_t i, const Shape& expected,
                   std::string_view what);

/// Output 0 is like input 0, which must be float.
void infer_float_map(const InferContext& context);
/// Output 0 is like input 0.
void infer_map(const InferContext& context);
/// Output 0 has the broadcast shape of all inputs, which share one type.
void infer_broadcast(const InferContext& context);
/// The same of exactly two inputs.
void infer_binary(const InferContext& context);
/// The same, with a boolean output.
void infer_comparison(const InferContext& context);

/// Non-negative, sorted. Throws Error(Malformed) on a repeated axis or one outside the rank.
std::vector<std::int64_t> normalize_axes(std::vector<std::int64_t> axes, std::int64_t rank);

/// Elements of an int64 or int32 tensor. Throws Error(Malformed) for another type.
std::vector<std::int64_t> to_ints(const Tensor& tensor);

/// Multiply-accumulates, capped at the largest 64-bit number.
std::int64_t saturating_product(std::initializer_list<std::int64_t> factors);

}  // namespace espquant::ops
