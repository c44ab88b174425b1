#include "cost/node_work.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "cost/board.h"
#include "cost/cache.h"
#include "cost/convolution_work.h"
#include "cost/in_place.h"

namespace espquant::cost {
namespace {

using std::string_view_literals::operator""sv;

/// Totals over the activations that a node reads or writes.
struct Traffic {
  double elements = 0, bytes = 0;
  /// Of those, behind the cache.
  double cached_bytes = 0;
};

bool is_internal(const std::string& tensor, const WorkOptions& options) {
  return options.internal_tensors != nullptr && options.internal_tensors->contains(tensor);
}

Traffic traffic(const espdl::ModelIndex& index, const std::vector<std::string>& tensors,
                const WorkOptions& options) {
  Traffic sum;
  for (const auto& name : tensors) {
    const auto* value = index.value(name);
    if (value == nullptr || index.initializer(name) != nullptr) continue;
    const auto count = static_cast<double>(element_count(value->shape));
    const double bytes =
        count * static_cast<double>(std::max<std::size_t>(size_of(value->dtype), 1));
    sum.elements += count;
    sum.bytes += bytes;
    if (!is_internal(name, options)) sum.cached_bytes += bytes;
  }
  return sum;
}

/// Reading `bytes` in several passes through a cache that also sees `others`: all lines the first
/// time, afterwards those that were replaced meanwhile.
double streamed_lines(double bytes, double others, double passes, double cache, double line) {
  if (line == 0) return 0;
  const double lost = 1 - cyclic_hit_rate(bytes + others, cache);
  return bytes / line * (1 + std::max(0.0, passes - 1) * lost);
}

/// The rows of the input that a kernel spans are read again for the next row of outputs.
double input_lines(const ConvolutionShape& s, double rows, double filter_in_use,
                   const Board& board) {
  if (board.line_bytes == 0) return 0;
  const double bytes = s.in_height * s.in_width * s.in_channels * s.element_bytes();
  const double again = std::max(0.0, s.kernel_height / s.stride_y - 1);
  const double lost = 1 - cyclic_hit_rate(rows + filter_in_use, board.cache_bytes);
  return bytes / board.line_bytes * (1 + again * lost);
}

NodeWork convolution_work(const ConvolutionShape& s, const Target& target, const Board& board,
                          bool internal_input, bool in_flash) {
  NodeWork work;
  work.calls = s.pixels();
  if (target.family == Family::C) {
    (s.depthwise ? work.depthwise_macs : work.macs) = s.macs();
    return work;
  }
  const auto tiles = tiles_of(s, target, board.tile_bytes);
  const double calls_per_pixel = tiles ? tiles->count : 1;
  const double passes = tiles ? tiles->passes : s.pixels();
  work.calls *= calls_per_pixel;
  work.instructions = s.pixels() * vector_instructions_per_pixel(s, target, calls_per_pixel);
  // Between two readings of the filter: of a 1x1 kernel one pixel's inputs.
  const double pixels_between =
      s.is_pointwise() && target.release.has(Feature::TiledPointwise) ? 1 : s.in_width;
  const double rows = s.kernel_height * pixels_between * s.in_channels * s.element_bytes();
  const double filter_in_use = s.filter_bytes() / calls_per_pixel;
  (in_flash ? work.flash_lines : work.filter_lines) =
      streamed_lines(s.filter_bytes(), rows, passes, board.cache_bytes, board.line_bytes);
  if (!internal_input) work.activation_lines = input_lines(s, rows, filter_in_use, board);
  work.second_lines = streamed_lines(s.filter_bytes(), rows, passes, board.second_cache_bytes,
                                     board.second_line_bytes);
  return work;
}

struct PerByte {
  std::string_view op;
  double instructions;
};

/// Vector loops and block copies: instructions per byte written.
constexpr std::array kVectorLoops = {
    PerByte{"Add"sv, 0.19},          PerByte{"Sub"sv, 0.19},   PerByte{"Mul"sv, 1.44},
    PerByte{"PRelu"sv, 1.5},         PerByte{"Resize"sv, 0.4}, PerByte{"RequantizeLinear"sv, 0.5},
    PerByte{"Concat"sv, 0.3},        PerByte{"Split"sv, 0.3},  PerByte{"Slice"sv, 0.3},
    PerByte{"Gather"sv, 0.3},        PerByte{"Pad"sv, 0.3},    PerByte{"InsertZeros"sv, 0.5},
    PerByte{"StreamingCache"sv, 0.3}};

constexpr double kCopyPerByte = 0.3;

/// What a byte of those takes where there is no vector unit.
constexpr double kScalarPerByte = 8;

const double* vector_loop(std::string_view op) {
  const auto at = std::find_if(kVectorLoops.begin(), kVectorLoops.end(),
                               [&](const PerByte& entry) { return entry.op == op; });
  return at == kVectorLoops.end() ? nullptr : &at->instructions;
}

bool is_copy(std::string_view op) {
  constexpr std::array kCopies = {"Concat"sv, "Split"sv, "Slice"sv,
                                  "Gather"sv, "Pad"sv,   "StreamingCache"sv};
  return std::find(kCopies.begin(), kCopies.end(), op) != kCopies.end();
}

bool is_exponential(std::string_view op) {
  constexpr std::array kSlow = {"Sigmoid"sv, "Tanh"sv, "Swish"sv, "Elu"sv, "Exp"sv,
                                "Log"sv,     "Pow"sv,  "GRU"sv,   "LSTM"sv};
  return std::find(kSlow.begin(), kSlow.end(), op) != kSlow.end();
}

double table_instructions(Family family) { return family == Family::P4 ? 4.4 : 6; }

bool has_vector_transpose(const Target& target) {
  return target.family != Family::C && target.release.has(Feature::FastDataMovement);
}

/// Instructions per element of operators that are plain C++ on every chip.
double scalar_instructions(const espdl::Node& node, std::size_t rank) {
  if (node.op == "Transpose")  // an index list is built for every element; a division per axis
    return rank <= 4 ? 60 : 45 * static_cast<double>(rank);
  if (node.op == "Softmax" || node.op == "LogSoftmax") return 25;
  if (node.op == "QuantizeLinear" || node.op == "DequantizeLinear") return 40;
  if (is_exponential(node.op)) return 110;
  return 50;
}

std::size_t rank_of_input(const espdl::Node& node, const espdl::ModelIndex& index) {
  if (node.inputs.empty()) return 0;
  const auto* value = index.value(node.inputs.front());
  return value == nullptr ? 0 : value->shape.size();
}

double kernel_area(const espdl::Node& node) {
  double area = 1;
  for (const auto extent : node.get_ints("kernel_shape"))
    area *= std::max(1.0, static_cast<double>(extent));
  return area;
}

double last_extent(const espdl::ModelIndex& index, const std::string& tensor) {
  const auto* value = index.value(tensor);
  return value == nullptr || value->shape.empty() ? 1 : static_cast<double>(value->shape.back());
}

NodeWork pooling_work(const espdl::Node& node, const espdl::ModelIndex& index, const Target& target,
                      const Traffic& in, const Traffic& out) {
  NodeWork work;
  if (node.op == "AveragePool") {
    // Every output sums its window (ESP-DL 3.6), whatever the stride.
    work.summed_elements = out.elements * kernel_area(node);
  } else if (node.op == "MaxPool" && target.family != Family::C && !node.outputs.empty()) {
    const double channels = std::max(1.0, last_extent(index, node.outputs.front()));
    const double vectors = std::ceil(channels * out.bytes / std::max(out.elements, 1.0) / 16);
    work.calls = out.elements / channels;
    work.instructions = work.calls * (21 + vectors * (8 + 2 * kernel_area(node)));
  } else {
    work.summed_elements = node.op == "MaxPool" ? out.elements * kernel_area(node) : in.elements;
  }
  return work;
}

bool is_pooling(std::string_view op) {
  return op == "AveragePool" || op == "GlobalAveragePool" || op == "MaxPool" ||
         op.starts_with("Reduce");
}

/// What a Slice reads of its input: the lines that it copies, where it takes runs of at least a line.
double sliced_share(const espdl::Node& node, const espdl::ModelIndex& index, double line_bytes) {
  const auto* in = node.inputs.empty() ? nullptr : index.value(node.inputs[0]);
  const auto* out = node.outputs.empty() ? nullptr : index.value(node.outputs[0]);
  if (in == nullptr || out == nullptr || in->shape.size() != out->shape.size()) return 1;
  const auto all = static_cast<double>(element_count(in->shape));
  auto run = static_cast<double>(std::max<std::size_t>(size_of(in->dtype), 1));
  for (std::size_t axis = in->shape.size(); axis-- > 0;) {
    run *= static_cast<double>(out->shape[axis]);
    if (in->shape[axis] != out->shape[axis]) break;
  }
  return run < line_bytes || all == 0 ? 1 : static_cast<double>(element_count(out->shape)) / all;
}

/// Of every operator but convolutions.
NodeWork loop_work(const espdl::Node& node, const espdl::ModelIndex& index, const Target& target,
                   const Board& board, const WorkOptions& options) {
  if (in_place_kind(node.op) == InPlace::Alias) return {};
  const Traffic in = traffic(index, node.inputs, options);
  const Traffic out = traffic(index, node.outputs, options);
  NodeWork work;
  const bool linear = node.op == "Resize" && node.get_string("mode", "nearest") != "nearest";
  if (is_pooling(node.op)) {
    work = pooling_work(node, index, target, in, out);
  } else if (node.has("lut") || node.op == "LUT") {
    work.instructions = table_instructions(target.family) * out.elements;
  } else if (node.op == "Transpose" && has_vector_transpose(target)) {
    work.instructions = kCopyPerByte * out.bytes;
  } else if (const double* per_byte = vector_loop(node.op); per_byte != nullptr && !linear) {
    const bool vector = target.family != Family::C || is_copy(node.op);
    work.instructions = (vector ? *per_byte : kScalarPerByte) * out.bytes;
  } else {
    work.instructions = scalar_instructions(node, rank_of_input(node, index)) * out.elements;
  }
  if (board.line_bytes > 0) work.activation_lines = in.cached_bytes / board.line_bytes;
  if (node.op == "Slice") work.activation_lines *= sliced_share(node, index, board.line_bytes);
  return work;
}

}  // namespace

double macs_of(const espdl::Node& node, const espdl::ModelIndex& index) {
  const auto shape = convolution_shape(node, index);
  return shape ? shape->macs() : 0;
}

NodeWork work_of(const espdl::Node& node, const espdl::ModelIndex& index, const Target& target,
                 const Board& board, const WorkOptions& options) {
  const auto shape = convolution_shape(node, index);
  const bool in_flash = options.parameters_in_flash && board.cycles.flash_lines > 0;
  NodeWork work = shape ? convolution_work(*shape, target, board,
                                           is_internal(node.inputs.front(), options), in_flash)
                        : loop_work(node, index, target, board, options);
  work.nodes = 1;
  return work;
}

bool is_split_over_cores(const espdl::Node& node, const espdl::ModelIndex& index) {
  if (node.op != "Conv") return false;
  const auto shape = convolution_shape(node, index);
  if (!shape) return false;
  const auto dilations = node.get_ints("dilations");
  const double dilation = dilations.size() < 2 ? 1 : static_cast<double>(dilations.front());
  return shape->in_height > 4 * dilation * shape->kernel_height;
}

}  // namespace espquant::cost
