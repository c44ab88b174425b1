#include "strategy/mask_bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>

#include "base/parallel.h"
#include "ops/executor.h"
#include "passes/softmax_masks.h"

namespace espquant::strategy {
namespace {

constexpr std::int64_t kMaskSamples = 64;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Below the row's other constants by more than this: a mask, no bias.
constexpr float kFarBelow = 12;
/// Rows of other samples may reach less far.
constexpr float kMargin = 1;

struct MaskToSettle {
  passes::SoftmaxMask mask;
  passes::SoftmaxRows rows;
  /// By element: one that masks.
  std::vector<bool> masks;
};

struct Reach {
  /// The least of the rows' largest scores.
  float lowest = kInfinity;
  /// The largest score at a masked position, without what the mask adds.
  float highest = -kInfinity;
};

std::vector<MaskToSettle> masks_to_settle(const Graph& network) {
  std::vector<MaskToSettle> found;
  for (passes::SoftmaxMask& mask : passes::softmax_masks(network)) {
    if (network.node(mask.node).op != "Add") continue;
    MaskToSettle one{std::move(mask), {}, {}};
    const passes::SoftmaxMask& m = one.mask;
    one.rows = passes::softmax_rows(network, network.node(m.softmax));
    std::vector<float> nearest(m.added.size(), -kInfinity);
    for (std::int64_t row = 0; row < one.rows.count; ++row) {
      const auto element = [&](std::int64_t i) {
        return static_cast<std::size_t>(
            m.element_at[static_cast<std::size_t>(one.rows.at(row, i))]);
      };
      float most = -kInfinity;
      for (std::int64_t i = 0; i < one.rows.length; ++i) most = std::max(most, m.added[element(i)]);
      for (std::int64_t i = 0; i < one.rows.length; ++i)
        nearest[element(i)] = std::max(nearest[element(i)], m.added[element(i)] - most);
    }
    bool any = false;
    for (float distance : nearest) {
      one.masks.push_back(std::isfinite(distance) && distance <= -kFarBelow);
      any = any || one.masks.back();
    }
    if (any) found.push_back(std::move(one));
  }
  return found;
}

Reach reach_of(const MaskToSettle& candidate, std::span<const float> scores) {
  Reach reach;
  for (std::int64_t row = 0; row < candidate.rows.count; ++row) {
    float most = -kInfinity;
    for (std::int64_t i = 0; i < candidate.rows.length; ++i) {
      const auto at = static_cast<std::size_t>(candidate.rows.at(row, i));
      const auto element = static_cast<std::size_t>(candidate.mask.element_at[at]);
      most = std::max(most, scores[at]);
      if (candidate.masks[element])
        reach.highest = std::max(reach.highest, scores[at] - candidate.mask.added[element]);
    }
    reach.lowest = std::min(reach.lowest, most);
  }
  return reach;
}

void settle(Graph& network, const MaskToSettle& candidate, const Reach& reach, int bits) {
  const passes::SoftmaxMask& mask = candidate.mask;
  const float nothing = std::log(static_cast<float>(mask.row_length)) +
                        static_cast<float>(bits) * std::log(2.0F) + kMargin;
  const float least = reach.lowest - nothing - reach.highest;
  if (!std::isfinite(least)) return;
  std::vector<float> values(mask.added.size());
  bool changed = false;
  for (std::size_t e = 0; e < values.size(); ++e) {
    const bool raised = candidate.masks[e] && mask.added[e] < least;
    changed = changed || raised;
    values[e] = (raised ? least : mask.added[e]) / mask.factor;
  }
  if (!changed) return;
  const Node& node = network.node(mask.node);
  const std::size_t index = network.value(node.inputs[0]).is_constant() ? 0 : 1;
  const std::string name = network.unique_value_name(network.value(node.inputs[index]).name);
  const ValueId constant = network.add_constant(name, Tensor::of<float>(mask.shape, values));
  network.set_input(mask.node, index, constant);
}

/// An infinity that passes/bound_masks could not take for a mask would be NaN in what follows.
void refuse_infinities(const Graph& network) {
  for (NodeId id : network.topological_order()) {
    const Node& n = network.node(id);
    if (n.op != "Add" && n.op != "Sub" && n.op != "Mul" && n.op != "Div" && n.op != "Concat")
      continue;
    for (ValueId v : n.inputs) {
      if (v == kNone || !network.value(v).is_constant()) continue;
      const Tensor& constant = network.value(v).constant;
      if (constant.dtype() != DType::Float32) continue;
      const auto data = constant.data<float>();
      if (std::all_of(data.begin(), data.end(), [](float x) { return std::isfinite(x); })) continue;
      throw Error(ErrorCode::BadData, "takes an infinity that is no mask of one Softmax alone")
          .node(n.name)
          .tensor(network.value(v).name)
          .remedy("Use a large finite number, as -10000, in the mask");
    }
  }
}

}  // namespace

void settle_masks(Graph& network, const calib::SampleSource& source, int bits) {
  refuse_infinities(network);
  const std::vector<MaskToSettle> candidates = masks_to_settle(network);
  if (candidates.empty()) return;
  const std::int64_t count = std::min(source.count, kMaskSamples);
  std::vector<std::vector<Reach>> found(static_cast<std::size_t>(count),
                                        std::vector<Reach>(candidates.size()));
  {
    const ops::Executor executor(network);
    std::vector<std::unique_ptr<ops::Executor::Workspace>> workspaces(
        static_cast<std::size_t>(thread_count()));
    parallel_for(count, [&](std::int64_t i) {
      auto& workspace = workspaces.at(static_cast<std::size_t>(worker_index()));
      if (!workspace) workspace = std::make_unique<ops::Executor::Workspace>(executor);
      const std::vector<Tensor> inputs = source.sample(i * source.count / count);
      executor.run(inputs, *workspace, [&](const ops::Executor::View& view) {
        for (std::size_t c = 0; c < candidates.size(); ++c) {
          const Node& softmax = network.node(candidates[c].mask.softmax);
          if (softmax.inputs[0] != view.value) continue;
          const Tensor scores = view.to_tensor();
          found[static_cast<std::size_t>(i)][c] = reach_of(candidates[c], scores.data<float>());
        }
      });
    });
  }
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    Reach all;
    for (const auto& of_sample : found) {
      all.lowest = std::min(all.lowest, of_sample[c].lowest);
      all.highest = std::max(all.highest, of_sample[c].highest);
    }
    settle(network, candidates[c], all, bits);
  }
}

}  // namespace espquant::strategy
