#include "passes/pass_manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/cancel.h"
#include "base/text.h"
#include "ops/op.h"
#include "passes/passes.h"

namespace espquant::passes {
namespace {

// Those that run twice.
constexpr Pass kRemoveDead{"remove_dead", "removes nodes whose results nobody reads", remove_dead,
                           true};
constexpr Pass kFoldConstants{"fold_constants", "computes what depends on no input",
                              fold_constants};
constexpr Pass kRemoveIdentity{"remove_identity", "removes nodes that return their input",
                               remove_identity};
constexpr Pass kFuseHardSwish{"fuse_hard_swish", "x * clip(x + 3, 0, 6) / 6 becomes HardSwish",
                              fuse_hard_swish};
constexpr Pass kFuseSwish{"fuse_swish", "x * Sigmoid(x) becomes Swish", fuse_swish};
constexpr Pass kFuseGelu{"fuse_gelu", "x * (1 + erf(x / sqrt 2)) / 2 becomes Gelu", fuse_gelu};
constexpr Pass kFuseLayerNormalization{
    "fuse_layer_normalization", "its parts become LayerNormalization", fuse_layer_normalization};
constexpr Pass kFuseLpNormalization{"fuse_lp_normalization", "x / norm(x) becomes LpNormalization",
                                    fuse_lp_normalization};
constexpr Pass kFuseRmsNormalization{"fuse_rms_normalization", "its parts become RMSNormalization",
                                     fuse_rms_normalization};
constexpr Pass kMergeBroadcastAxes{"merge_broadcast_axes",
                                   "Add, Mul, MatMul of more than four axes get fewer",
                                   merge_broadcast_axes};
constexpr Pass kFuseSoftmax{"fuse_softmax", "exp(x) / sum(exp(x)) becomes Softmax", fuse_softmax};

constexpr std::array kPasses = {
    kRemoveDead,
    Pass{"float_inputs", "inputs of whole numbers that are cast to float are taken as floats",
         float_inputs, true},
    kFoldConstants,
    Pass{"embed_by_product", "rows that an input of whole numbers chooses become a MatMul",
         embed_by_product},
    Pass{"upgrade_opset", "rewrites operators of older sets in the meaning of the newest",
         upgrade_opset, true},
    Pass{"explicit_arguments",
         "spells out defaults: Split sizes, Pad and Resize over all axes; bounds in order",
         explicit_arguments, true},
    Pass{"resolve_auto_pad", "auto_pad and output_shape become explicit pads", resolve_auto_pad,
         true},
    Pass{"remove_quantization", "QuantizeLinear and DequantizeLinear in pairs go",
         remove_quantization},
    Pass{"split_variadic", "Sum, Mean, Max and Min over many inputs become nodes over two",
         split_variadic},
    Pass{"plain_recurrent", "LSTM and GRU run forwards, steps in front of the batch",
         plain_recurrent},
    Pass{"unroll_recurrent", "LSTM and GRU that the chip lacks become operators, step by step",
         unroll_recurrent},
    kRemoveIdentity,
    Pass{"merge_clips", "Relu, Min, Max and Clip in a row become one", merge_clips},
    // Patterns are looked for before anything rewrites their parts.
    kFuseHardSwish,
    kFuseSwish,
    kFuseGelu,
    kFuseLayerNormalization,
    kFuseLpNormalization,
    kFuseRmsNormalization,
    kFuseSoftmax,
    Pass{"space_to_batch", "a convolution between SpaceToBatch and BatchToSpace gets a dilation",
         space_to_batch},
    Pass{"expand_einsum", "Einsum becomes Transpose, MatMul, Mul and ReduceSum", expand_einsum},
    Pass{"multiply_triangles", "Trilu and CumSum become products with constant triangles",
         multiply_triangles},
    Pass{"reverse_by_position", "ReverseSequence of constant lengths becomes Gather",
         reverse_by_position},
    Pass{"matmul_with_vector", "MatMul of a constant and a vector becomes one with a matrix",
         matmul_with_vector},
    Pass{"matmul_of_batch", "MatMul by a batch of one constant matrix becomes one by the matrix",
         matmul_of_batch},
    Pass{"bound_masks", "masks in front of a Softmax become small numbers", bound_masks},
    Pass{"canonicalize_gemm", "MatMul and every form of Gemm become Gemm(x, W, b)",
         canonicalize_gemm},
    Pass{"use_global_pools", "ReduceMean over all of space becomes GlobalAveragePool",
         use_global_pools},
    Pass{"resize_single", "Resize from one element becomes Expand", resize_single},
    Pass{"where_with_constant", "Where by a constant becomes a product with a mask",
         where_with_constant},
    Pass{"where_by_sign", "Where by the sign of what it chooses from becomes LeakyRelu or PRelu",
         where_by_sign},
    Pass{"where_by_comparison", "what reads comparisons becomes Max, Min or a product with 0 and 1",
         where_by_comparison},
    Pass{"move_expanded", "Expand and Tile are left to broadcasting, or become Gather",
         move_expanded},
    Pass{"scatter_by_position", "Scatter with constant indices becomes slices and Concat",
         scatter_by_position},
    Pass{"merge_transposes", "moves Transposes together and cancels them", merge_transposes},
    kMergeBroadcastAxes,
    Pass{"merge_reshapes", "Reshape, Flatten, Squeeze and Unsqueeze in a row become one",
         merge_reshapes},
    Pass{"merge_slices", "Slices in a row over different axes become one", merge_slices},
    Pass{"fold_batch_normalization", "BatchNormalization into the weights beside it",
         fold_batch_normalization},
    Pass{"merge_bias_add", "constant Add, Sub, Mul and Div per channel into the weights before",
         merge_bias_add},
    // Once more: what merging the moves between their parts brought together.
    kFuseHardSwish,
    kFuseSwish,
    kFuseGelu,
    kFuseLayerNormalization,
    kFuseLpNormalization,
    kFuseRmsNormalization,
    kFuseSoftmax,
    Pass{"shape_prelu", "PRelu of any rank becomes one of N,C,H,W", shape_prelu},
    Pass{"reduce_extremes", "Max and Min of two activations become ReduceMax and ReduceMin",
         reduce_extremes},
    kMergeBroadcastAxes,
    Pass{"order_depth_space", "DepthToSpace and SpaceToDepth in ESP-DL's order of channels",
         order_depth_space},
    Pass{"merge_pads", "Pad into the pads of the window operator behind it", merge_pads},
    Pass{"flatten_depth", "convolutions and pools over depth, rows and columns become flat ones",
         flatten_depth},
    Pass{"count_average_padding", "AveragePool that does not count padding is corrected by Mul",
         count_average_padding},
    Pass{"decompose_group_normalization",
         "InstanceNormalization and GroupNormalization become LayerNormalization",
         decompose_group_normalization},
    Pass{"decompose_conv_transpose", "ConvTranspose becomes InsertZeros and Conv",
         decompose_conv_transpose},
    Pass{"split_uneven_rows", "a last layer of channels of very different sizes becomes several",
         split_uneven_rows},
    Pass{"number_comparisons", "comparisons that the network puts out become 0 and 1",
         number_comparisons, true},
    kFoldConstants,
    kRemoveIdentity,
    Pass{"spread_operands", "a Div by or of a single element takes it several times",
         spread_operands},
    kRemoveDead,
};

bool is_disabled(const Pass& pass, const PassOptions& options) {
  return std::find(options.disabled.begin(), options.disabled.end(), pass.name) !=
         options.disabled.end();
}

std::vector<bool> living(const Graph& graph) {
  std::vector<bool> alive(graph.node_count());
  for (std::size_t n = 0; n < alive.size(); ++n)
    alive[n] = graph.node(static_cast<NodeId>(n)).alive;
  return alive;
}

}  // namespace

std::span<const Pass> all_passes() { return kPasses; }

void check_options(const PassOptions& options) {
  std::vector<std::string> names;
  for (const Pass& pass : kPasses)
    if (!pass.required) names.emplace_back(pass.name);
  for (const std::string& name : options.disabled) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const bool required =
        std::any_of(kPasses.begin(), kPasses.end(), [&](const Pass& p) { return p.name == name; });
    if (required)
      throw Error(ErrorCode::Usage, fmt::format("pass '{}' cannot be switched off", name))
          .remedy("the passes after it rely on its result");
    const std::string near = nearest_name(name, names);
    throw Error(ErrorCode::Usage, fmt::format("there is no pass '{}'", name))
        .remedy(near.empty() ? fmt::format("the passes are: {}", fmt::join(names, ", "))
                             : fmt::format("did you mean '{}'?", near));
  }
}

void run_passes(Graph& graph, std::span<const Pass> passes, const PassOptions& options,
                std::vector<PassRecord>* records) {
  using Clock = std::chrono::steady_clock;
  ops::infer_shapes(graph, options.batch);
  for (const Pass& pass : passes) {
    if (is_disabled(pass, options)) continue;
    throw_if_cancelled();
    const Clock::time_point start = Clock::now();
    const std::vector<bool> before = records == nullptr ? std::vector<bool>() : living(graph);
    const std::int64_t changes = pass.run(graph);
    if (changes > 0) {
      graph.remove_dead();
      verify(graph, pass.name);
      ops::infer_shapes(graph, options.batch);
    } else {
      verify(graph, pass.name);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (records == nullptr) continue;
    records->push_back({std::string(pass.name), seconds, changes, {}});
    for (std::size_t n = 0; n < before.size(); ++n)
      if (before[n] && !graph.node(static_cast<NodeId>(n)).alive)
        records->back().removed.push_back(static_cast<NodeId>(n));
  }
}

Graph simplify(Graph graph, const PassOptions& options, std::vector<PassRecord>* records) {
  check_options(options);
  run_passes(graph, kPasses, options, records);
  return graph;
}

}  // namespace espquant::passes
