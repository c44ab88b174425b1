#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "onnx/import.h"

namespace espquant::onnx {
namespace {

constexpr std::array<std::string_view, 5> kInfinityMeansNone = {"Clip", "Max", "Min", "Pad",
                                                                "Where"};

/// Through these, -infinity stays what it is or becomes part of a larger constant.
constexpr std::array<std::string_view, 16> kCarryMasks = {
    "Add",   "Cast", "Concat",  "Expand", "Gather",    "Identity", "Max",       "Reshape",
    "Slice", "Sub",  "Squeeze", "Tile",   "Transpose", "Trilu",    "Unsqueeze", "Where"};

/// Here it says what does not count, as any number far below the others does.
constexpr std::array<std::string_view, 11> kTakeMasks = {
    "Clip",      "Exp",  "GlobalMaxPool",   "HardSigmoid", "LogSoftmax", "MaxPool",
    "ReduceMax", "Relu", "ReduceLogSumExp", "Sigmoid",     "Softmax"};

/// True when every way from the value ends in a Softmax or the like: -infinity in it is a mask.
bool only_masks(const Graph& graph, ValueId constant) {
  std::set<ValueId> seen{constant};
  std::vector<ValueId> open{constant};
  while (!open.empty()) {
    const ValueId v = open.back();
    open.pop_back();
    if (graph.is_output(v) || graph.value(v).consumers.empty()) return false;
    for (NodeId id : graph.value(v).consumers) {
      const Node& n = graph.node(id);
      if (std::find(kTakeMasks.begin(), kTakeMasks.end(), n.op) != kTakeMasks.end()) continue;
      const bool carries =
          std::find(kCarryMasks.begin(), kCarryMasks.end(), n.op) != kCarryMasks.end();
      if (!carries || (n.op == "Sub" && n.input(1) == v)) return false;
      for (ValueId out : n.outputs)
        if (out != kNone && seen.insert(out).second) open.push_back(out);
    }
  }
  return true;
}

}  // namespace

void check_finite_constants(const Graph& graph) {
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const Value& v = graph.value(static_cast<ValueId>(i));
    if (!v.is_constant() || v.constant.dtype() != DType::Float32 || v.consumers.empty()) continue;
    const auto data = v.constant.data<float>();
    const auto bad =
        std::find_if(data.begin(), data.end(), [](float x) { return !std::isfinite(x); });
    if (bad == data.end()) continue;
    const bool has_nan = std::any_of(bad, data.end(), [](float x) { return std::isnan(x); });
    const bool only_low = std::all_of(bad, data.end(), [](float x) { return x < INFINITY; });
    if (only_low && only_masks(graph, static_cast<ValueId>(i))) continue;
    for (NodeId reader : v.consumers) {
      const Node& node = graph.node(reader);
      const bool harmless = std::find(kInfinityMeansNone.begin(), kInfinityMeansNone.end(),
                                      node.op) != kInfinityMeansNone.end();
      if (harmless && !has_nan) continue;
      throw Error(ErrorCode::BadData,
                  fmt::format("holds {} at element {}", has_nan ? "NaN" : "an infinity",
                              bad - data.begin()))
          .tensor(v.name)
          .node(node.name)
          .remedy(
              "the training diverged or the export is damaged; use a checkpoint with finite "
              "weights");
    }
  }
}

}  // namespace espquant::onnx
