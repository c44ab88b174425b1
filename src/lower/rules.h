#pragma once

#include <span>
#include <string_view>

#include "lower/builder.h"

namespace espquant::lower {

/// Lowers one node.
using Rule = void (*)(Builder&, const Node&);

struct RuleEntry {
  std::string_view op;
  Rule rule;
};

/// The explicit list (rules.cpp), in alphabetical order.
std::span<const RuleEntry> all_rules();

void lower_conv(Builder&, const Node&);
void lower_gemm(Builder&, const Node&);
void lower_matmul(Builder&, const Node&);
void lower_product(Builder&, const Node&);
void lower_layer_normalization(Builder&, const Node&);
void lower_rms_normalization(Builder&, const Node&);
void lower_lp_normalization(Builder&, const Node&);
void lower_power(Builder&, const Node&);
void lower_average_pool(Builder&, const Node&);
void lower_global_average_pool(Builder&, const Node&);
void lower_max_pool(Builder&, const Node&);
void lower_global_max_pool(Builder&, const Node&);
void lower_table(Builder&, const Node&);
void lower_prelu(Builder&, const Node&);
void lower_aligned_binary(Builder&, const Node&);
void lower_binary(Builder&, const Node&);
void lower_comparison(Builder&, const Node&);
void lower_cast(Builder&, const Node&);
void lower_concat(Builder&, const Node&);
void lower_split(Builder&, const Node&);
void lower_slice(Builder&, const Node&);
void lower_pad(Builder&, const Node&);
void lower_transpose(Builder&, const Node&);
void lower_reshape(Builder&, const Node&);
void lower_softmax(Builder&, const Node&);
void lower_resize(Builder&, const Node&);
void lower_recurrent(Builder&, const Node&);
void lower_reduce(Builder&, const Node&);
void lower_gather(Builder&, const Node&);
void lower_depth_space(Builder&, const Node&);
void lower_identity(Builder&, const Node&);
void lower_insert_zeros(Builder&, const Node&);

/// True when a Clip or Relu `activation` behind an integer node of output quantization `quant` is a
/// plain ReLU there: lower bound 0, upper bound at or beyond the largest integer, where saturation
/// does its work.
bool is_saturating_relu(const Graph& graph, const Node& activation, const TensorQuant& quant);

/// What a Conv, Gemm or MatMul writes: its output, or that of the ReLU behind it, which it takes as
/// its own activation where both have the same integers (ESP-DL 3.1).
struct Fused {
  ValueId output;
  bool relu;
};
Fused fuse_activation(const Builder& b, const Node& n);

/// The TensorQuant of a value, or Error(Internal).
const TensorQuant& quant_of(const Builder& b, ValueId v);

/// How node `n` reads its input `index`: in its own width, that of its output.
const TensorQuant& input_quant(const Builder& b, const Node& n, std::size_t index = 0);

/// Refuses what lies between an accumulator and its result where the chip cannot shift by it:
/// shifts are not negative, and the S3's shift register keeps five bits (ESP-DL 3.1).
void check_shift(const Node& n, int shift);

[[noreturn]] void refuse(const Node& n, std::string_view what, std::string_view remedy);

}  // namespace espquant::lower
