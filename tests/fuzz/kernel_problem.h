#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/shape.h"

/// Differential fuzzing of the simulator's kernels: a random one-node model is computed by the fast
/// kernel and by plain loops, and every bit must be equal. A problem is one line of text, by which
/// it can be replayed and, since every number is a field, reduced by hand.
namespace espquant::test {

/// "conv target=esp32s3 in=7x9 in_c=33 out_c=20 kernel=3x3 pads=1x1x1x1 y_e=9 seed=5": the operator
/// and the fields that differ from their defaults.
struct KernelProblem {
  /// conv, conv1d, depthwise, depthwise1d, gemm, matmul: KernelChoice::Fast against Reference.
  /// mul, add, max_pool, average_pool, transpose: against the plain loops of plain_kernels.h.
  std::string op = "conv";
  std::string target = "esp32s3";
  /// Instruction set of the vector kernels, as Highway names it; "best" is the machine's own.
  std::string isa = "best";
  std::int64_t bits = 8;
  /// Of the weights; 0: the same. 8 below 16: W8A16 of a dense Conv, Gemm or MatMul by a constant.
  std::int64_t w_bits = 0;

  /// H x W; Gemm and MatMul have W rows, 1D operators W alone.
  Shape in{1, 1}, kernel{1, 1}, stride{1, 1}, dilation{1, 1};
  /// Top, left, bottom, right.
  Shape pads{0, 0, 0, 0};
  std::int64_t in_c = 1, out_c = 1;
  /// MatMul: matrices of both operands (equal, or 1), whether the second is an initializer, and
  /// whether it lies row by row.
  std::int64_t x_batch = 1, w_batch = 1, w_constant = 1, native = 0;
  /// Mul, Add, Transpose: shapes of the operands, and the permutation.
  Shape a{1}, b{1}, perm{};

  /// Exponents. With w_spread > 0 every output channel has its own, in [w_e, w_e + w_spread].
  std::int64_t x_e = 0, w_e = 0, w_spread = 0, y_e = 0;
  /// Biases lie in [bias_low, bias_high]; there are none when both are 0.
  std::int64_t bias_low = 0, bias_high = 0;
  /// Elements lie in [low, high]; at the two ends only where `ends` is set; `zeros` percent are 0.
  std::int64_t x_low = -128, x_high = 127, x_ends = 0, x_zeros = 0;
  std::int64_t w_low = -128, w_high = 127, w_ends = 0, w_zeros = 0;
  std::int64_t relu = 0, saturation = 1, traced = 0, p4_vector = 1;
  std::int64_t seed = 1;
};

std::string line_of(const KernelProblem& problem);
/// Throws Error(Usage) on an unknown operator, field or value.
KernelProblem parse_problem(std::string_view line);
KernelProblem draw_problem(Random& random);

struct Comparison {
  std::int64_t outputs = 0, saturated = 0;
  /// Both kernels refused the problem, for the same reason.
  bool refused = false;
  /// Empty when all is equal.
  std::string difference;
};
Comparison compare_kernels(const KernelProblem& problem);

}  // namespace espquant::test
