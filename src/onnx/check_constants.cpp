#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "onnx/import.h"

namespace espquant::onnx {
namespace {

constexpr std::array<std::string_view, 5> kInfinityMeansNone = {"Clip", "Max", "Min", "Pad",
                                                                "Where"};

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
