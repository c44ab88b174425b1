#include "cost/latency.h"

#include <algorithm>

#include "base/error.h"
#include "cost/node_work.h"

namespace espquant::cost {
namespace {

struct Trust {
  double below, above;
  const char* basis;
};

/// Beyond the largest difference to a published time of the kind: tests/cost/latency_test.cpp and
/// bench/latency_fit. Before tiles, one network of the P4's 28, MobileNetV2, is outside: measured
/// 66 % above its estimate.
Trust trust_without_tiles(const Target& target, bool mostly_int16, bool in_flash) {
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

/// A network is expected to be off as far as the worst of those that a fit did not know.
Trust trust_with_tiles(const Target& target, bool mostly_int16, bool in_flash) {
  if (target.family == Family::C) return trust_without_tiles(target, mostly_int16, in_flash);
  if (!target.release.has(Feature::TiledConvolutions))
    return {0.45, 0.30, "times of other releases; one network measured with this kind"};
  if (target.name == "esp32s31") return {0.16, 0.17, "18 networks measured on the S31"};
  if (target.family == Family::P4)
    return {0.19, 0.29, "21 networks measured on the P4, int16 among them"};
  if (mostly_int16) return {0.30, 0.30, "int8 times published for the S3; int16 by its kernels"};
  if (in_flash) return {0.30, 0.30, "times published for parameters in PSRAM only"};
  return {0.12, 0.12, "16 networks measured on the S3"};
}

bool has_two_cores(const Target& target) {
  return target.family != Family::C || target.name == "esp32";
}

Trust trust_on(const Target& target, bool mostly_int16, double saves,
               const LatencyOptions& options) {
  Trust trust = target.release.has(Feature::TiledPointwise)
                    ? trust_with_tiles(target, mostly_int16, options.parameters_in_flash)
                    : trust_without_tiles(target, mostly_int16, options.parameters_in_flash);
  if (options.board && options.board->within > 0)
    trust = {options.board->within, options.board->within, "a profile of this board"};
  else if (options.board)
    trust.basis = "the board's file";
  if (options.cores == 2 && has_two_cores(target)) {
    trust.below = std::min(0.9, trust.below + 0.15);
    trust.above += 0.25;
    trust.basis = saves > 0 ? "one network measured on two cores"
                            : "no gain of a second core is published for this chip";
  }
  if (target.family != Family::C && !options.internal_tensors.empty())
    trust.below = std::min(0.9, trust.below + 0.10);
  return trust;
}

bool is_int16(const espdl::Node& node, const espdl::ModelIndex& index) {
  if (node.inputs.empty()) return false;
  const auto* value = index.value(node.inputs.front());
  return value != nullptr && value->dtype == DType::Int16;
}

struct Cycles {
  double all = 0, waiting = 0;

  void scale(double factor) {
    all *= factor;
    waiting *= factor;
  }
};

Cycles cycles_of(const NodeWork& work, const Board& board) {
  Cycles cycles;
  for (const auto& kind : kWorkKinds) {
    const double spent = work.*kind.amount * board.cycles.*kind.amount;
    cycles.all += spent;
    if (kind.waits) cycles.waiting += spent;
  }
  return cycles;
}

}  // namespace

std::set<std::string, std::less<>> internal_tensors_of(const MemoryPlan& plan) {
  std::set<std::string, std::less<>> tensors;
  for (const auto& tensor : plan.tensors)
    if (tensor.memory == Memory::Internal) tensors.insert(tensor.name);
  return tensors;
}

LatencyEstimate estimate_latency(const espdl::Model& model, const Target& target,
                                 const LatencyOptions& options) {
  if (options.cores != 1 && options.cores != 2)
    throw Error(ErrorCode::Usage, "a model runs on 1 or 2 cores");
  const espdl::ModelIndex index(model);
  const Board board = options.board ? *options.board : board_of(target);
  const double cycles_per_millisecond = board.clock_mhz * 1000;
  WorkOptions work_options;
  work_options.parameters_in_flash = options.parameters_in_flash;
  work_options.internal_tensors = &options.internal_tensors;
  LatencyEstimate estimate;
  estimate.clock_mhz = board.clock_mhz;
  estimate.cores = has_two_cores(target) ? options.cores : 1;
  double int16_milliseconds = 0;
  for (const auto& node : model.nodes) {
    Cycles cycles = cycles_of(work_of(node, index, target, board, work_options), board);
    if (estimate.cores == 2 && is_split_over_cores(node, index))
      cycles.scale(1 - board.second_core_saves);
    NodeLatency latency;
    latency.node = node.name;
    latency.op = node.op;
    latency.milliseconds = cycles.all / cycles_per_millisecond;
    latency.memory_milliseconds = cycles.waiting / cycles_per_millisecond;
    latency.macs = macs_of(node, index);
    estimate.milliseconds += latency.milliseconds;
    if (is_int16(node, index)) int16_milliseconds += latency.milliseconds;
    estimate.nodes.push_back(std::move(latency));
  }
  const bool mostly_int16 = int16_milliseconds > estimate.milliseconds / 4;
  const Trust trust = trust_on(target, mostly_int16, board.second_core_saves, options);
  estimate.below = trust.below;
  estimate.above = trust.above;
  estimate.basis = trust.basis;
  return estimate;
}

}  // namespace espquant::cost
