#include "cost/latency.h"

#include "cost/board.h"
#include "cost/node_work.h"

namespace espquant::cost {
namespace {

struct Trust {
  double below, above;
  const char* basis;
};

/// Beyond the largest difference to a published time of the kind: tests/cost/latency_test.cpp. One
/// network of the P4's 28, MobileNetV2, is outside: measured 66 % above its estimate.
Trust trust_in(const Target& target, bool mostly_int16, bool in_flash) {
  switch (target.family) {
    case Family::S3:
      if (mostly_int16)
        return {0.30, 0.30, "int8 times published for the S3; int16 by its kernels"};
      if (in_flash) return {0.15, 0.15, "5 networks measured on the S3, parameters in flash"};
      return {0.15, 0.15, "17 networks and 6 kernels measured on the S3"};
    case Family::P4:
      return {0.30, 0.40, "28 networks measured on the P4, int16 among them"};
    case Family::C:
      break;
  }
  return {0.50, 1.00, "portable kernels measured on the S3; nothing published for this chip"};
}

bool is_int16(const espdl::Node& node, const espdl::ModelIndex& index) {
  if (node.inputs.empty()) return false;
  const auto* value = index.value(node.inputs.front());
  return value != nullptr && value->dtype == DType::Int16;
}

struct Cycles {
  double compute = 0, memory = 0;
};

Cycles cycles_of(const NodeWork& work, const Board& board, bool in_flash) {
  Cycles cycles;
  cycles.compute =
      work.instructions * board.cycles_per_instruction + work.pixels * board.cycles_per_pixel +
      work.summed_elements * board.cycles_per_summed_element + work.macs * board.cycles_per_mac +
      work.depthwise_macs * board.cycles_per_depthwise_mac + board.cycles_per_node;
  const bool slow_filters = in_flash && board.cycles_per_flash_line > 0;
  cycles.memory =
      work.activation_lines * board.cycles_per_line +
      work.filter_lines * (slow_filters ? board.cycles_per_flash_line : board.cycles_per_line) +
      work.second_filter_lines * board.cycles_per_second_line;
  return cycles;
}

}  // namespace

LatencyEstimate estimate_latency(const espdl::Model& model, const Target& target,
                                 const LatencyOptions& options) {
  const espdl::ModelIndex index(model);
  const Board board = board_of(target);
  const double cycles_per_millisecond = board.clock_mhz * 1000;
  LatencyEstimate estimate;
  estimate.clock_mhz = board.clock_mhz;
  double int16_milliseconds = 0;
  for (const auto& node : model.nodes) {
    const NodeWork work = work_of(node, index, target, board);
    const Cycles cycles = cycles_of(work, board, options.parameters_in_flash);
    NodeLatency latency;
    latency.node = node.name;
    latency.op = node.op;
    latency.milliseconds = (cycles.compute + cycles.memory) / cycles_per_millisecond;
    latency.memory_milliseconds = cycles.memory / cycles_per_millisecond;
    latency.macs = work.macs + work.depthwise_macs;
    estimate.milliseconds += latency.milliseconds;
    if (is_int16(node, index)) int16_milliseconds += latency.milliseconds;
    estimate.nodes.push_back(std::move(latency));
  }
  const bool mostly_int16 = int16_milliseconds > estimate.milliseconds / 4;
  const Trust trust = trust_in(target, mostly_int16, options.parameters_in_flash);
  estimate.below = trust.below;
  estimate.above = trust.above;
  estimate.basis = trust.basis;
  return estimate;
}

}  // namespace espquant::cost
