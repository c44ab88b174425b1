#pragma once

#include <cstdint>

#include "graph/graph.h"

/// The graph rewrites, one per file. Each keeps the function that the network computes, expects a
/// graph whose shapes are known, and returns how many places it changed; shapes of values it adds
/// are set, dead nodes are left for Graph::remove_dead. The order in which they run stands in
/// pass_manager.cpp.
namespace espquant::passes {

/// The operator set that every node follows after upgrade_opset.
inline constexpr std::int64_t kCanonicalOpset = 22;

std::int64_t remove_dead(Graph& graph);
std::int64_t float_inputs(Graph& graph);
std::int64_t fold_constants(Graph& graph);
std::int64_t upgrade_opset(Graph& graph);
std::int64_t resolve_auto_pad(Graph& graph);
std::int64_t explicit_arguments(Graph& graph);
std::int64_t split_variadic(Graph& graph);
std::int64_t plain_recurrent(Graph& graph);
std::int64_t unroll_recurrent(Graph& graph);
std::int64_t bound_masks(Graph& graph);
std::int64_t canonicalize_gemm(Graph& graph);
std::int64_t use_global_pools(Graph& graph);
std::int64_t remove_identity(Graph& graph);
std::int64_t merge_clips(Graph& graph);
std::int64_t fold_batch_normalization(Graph& graph);
std::int64_t merge_bias_add(Graph& graph);
std::int64_t fuse_hard_swish(Graph& graph);
std::int64_t fuse_swish(Graph& graph);
std::int64_t fuse_gelu(Graph& graph);
std::int64_t fuse_softmax(Graph& graph);
std::int64_t fuse_layer_normalization(Graph& graph);
std::int64_t fuse_rms_normalization(Graph& graph);
std::int64_t fuse_lp_normalization(Graph& graph);
std::int64_t merge_pads(Graph& graph);
std::int64_t merge_transposes(Graph& graph);
std::int64_t merge_reshapes(Graph& graph);
std::int64_t merge_broadcast_axes(Graph& graph);
std::int64_t embed_by_product(Graph& graph);
std::int64_t split_uneven_rows(Graph& graph);
std::int64_t merge_slices(Graph& graph);
std::int64_t decompose_conv_transpose(Graph& graph);
std::int64_t remove_quantization(Graph& graph);
std::int64_t expand_einsum(Graph& graph);
std::int64_t matmul_with_vector(Graph& graph);
std::int64_t resize_single(Graph& graph);
std::int64_t where_with_constant(Graph& graph);
std::int64_t where_by_sign(Graph& graph);
std::int64_t where_by_comparison(Graph& graph);
std::int64_t matmul_of_batch(Graph& graph);
std::int64_t multiply_triangles(Graph& graph);
std::int64_t number_comparisons(Graph& graph);
std::int64_t reverse_by_position(Graph& graph);
std::int64_t move_expanded(Graph& graph);
std::int64_t scatter_by_position(Graph& graph);
std::int64_t order_depth_space(Graph& graph);
std::int64_t space_to_batch(Graph& graph);
std::int64_t decompose_group_normalization(Graph& graph);
std::int64_t shape_prelu(Graph& graph);
std::int64_t flatten_depth(Graph& graph);
std::int64_t count_average_padding(Graph& graph);
std::int64_t reduce_extremes(Graph& graph);
std::int64_t spread_operands(Graph& graph);

}  // namespace espquant::passes
