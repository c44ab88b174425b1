#pragma once

#include "sim/kernel.h"

/// What prepares each operator of ESP-DL (reference section 11). One line per operator; the table
/// that names them is registry.cpp.
namespace espquant::sim {

// Multiply-accumulate.
Prepared prepare_conv(const NodeContext&);
Prepared prepare_gemm(const NodeContext&);
Prepared prepare_mat_mul(const NodeContext&);

// Change of type or exponent.
Prepared prepare_requantize_linear(const NodeContext&);
Prepared prepare_quantize_linear(const NodeContext&);
Prepared prepare_dequantize_linear(const NodeContext&);

// Two operands.
Prepared prepare_add(const NodeContext&);
Prepared prepare_sub(const NodeContext&);
Prepared prepare_mul(const NodeContext&);
Prepared prepare_div(const NodeContext&);
Prepared prepare_mod(const NodeContext&);
Prepared prepare_pow(const NodeContext&);
Prepared prepare_equal(const NodeContext&);
Prepared prepare_greater(const NodeContext&);
Prepared prepare_greater_or_equal(const NodeContext&);
Prepared prepare_less(const NodeContext&);
Prepared prepare_less_or_equal(const NodeContext&);

// One operand, element by element.
Prepared prepare_clip(const NodeContext&);
Prepared prepare_elu(const NodeContext&);
Prepared prepare_exp(const NodeContext&);
Prepared prepare_gelu(const NodeContext&);
Prepared prepare_hard_sigmoid(const NodeContext&);
Prepared prepare_hard_swish(const NodeContext&);
Prepared prepare_leaky_relu(const NodeContext&);
Prepared prepare_log(const NodeContext&);
Prepared prepare_lut(const NodeContext&);
Prepared prepare_neg(const NodeContext&);
Prepared prepare_p_relu(const NodeContext&);
Prepared prepare_relu(const NodeContext&);
Prepared prepare_sigmoid(const NodeContext&);
Prepared prepare_sqrt(const NodeContext&);
Prepared prepare_swish(const NodeContext&);
Prepared prepare_tanh(const NodeContext&);

// Windows and resampling.
Prepared prepare_average_pool(const NodeContext&);
Prepared prepare_global_average_pool(const NodeContext&);
Prepared prepare_max_pool(const NodeContext&);
Prepared prepare_resize(const NodeContext&);

// Reductions and normalizations.
Prepared prepare_reduce_l1(const NodeContext&);
Prepared prepare_reduce_l2(const NodeContext&);
Prepared prepare_reduce_log_sum(const NodeContext&);
Prepared prepare_reduce_log_sum_exp(const NodeContext&);
Prepared prepare_reduce_max(const NodeContext&);
Prepared prepare_reduce_mean(const NodeContext&);
Prepared prepare_reduce_min(const NodeContext&);
Prepared prepare_reduce_prod(const NodeContext&);
Prepared prepare_reduce_sum(const NodeContext&);
Prepared prepare_reduce_sum_square(const NodeContext&);
Prepared prepare_softmax(const NodeContext&);
Prepared prepare_log_softmax(const NodeContext&);
Prepared prepare_layer_normalization(const NodeContext&);
Prepared prepare_rms_normalization(const NodeContext&);
Prepared prepare_lp_normalization(const NodeContext&);

// Recurrent.
Prepared prepare_gru(const NodeContext&);
Prepared prepare_lstm(const NodeContext&);

// Movement of data.
Prepared prepare_concat(const NodeContext&);
Prepared prepare_depth_to_space(const NodeContext&);
Prepared prepare_flatten(const NodeContext&);
Prepared prepare_gather(const NodeContext&);
Prepared prepare_identity(const NodeContext&);
Prepared prepare_insert_zeros(const NodeContext&);
Prepared prepare_pad(const NodeContext&);
Prepared prepare_reshape(const NodeContext&);
Prepared prepare_reverse_sequence(const NodeContext&);
Prepared prepare_scatter_nd(const NodeContext&);
Prepared prepare_slice(const NodeContext&);
Prepared prepare_space_to_depth(const NodeContext&);
Prepared prepare_split(const NodeContext&);
Prepared prepare_squeeze(const NodeContext&);
Prepared prepare_streaming_cache(const NodeContext&);
Prepared prepare_transpose(const NodeContext&);
Prepared prepare_unsqueeze(const NodeContext&);

}  // namespace espquant::sim
