#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "espdl/index.h"
#include "target/target.h"

namespace espquant::schedule {

struct Range {
  std::int64_t low = 0, high = 0;
};

/// Which integers can stand in an activation, whatever the input of the network is. A bound, not
/// what data show: ReLU and tables narrow it, and weights that are small.
class ValueRanges {
 public:
  ValueRanges(const espdl::Model& model, const espdl::ModelIndex& index, const Target& target);

  Range of(std::string_view tensor) const;

 private:
  Range range_of(const espdl::Node& node, const Range& input, DType dtype) const;
  bool holds_biases(const espdl::Constant* bias, const espdl::ValueInfo& input) const;

  const espdl::ModelIndex& index_;
  const Target& target_;
  std::unordered_map<std::string_view, Range> ranges_;
};

/// The filter of a Conv or Gemm as [N][H][W][C] (depthwise: [N][H][W][1]) of int8 or int16, and its
/// place: lanes of its layout.
struct Weights {
  Tensor logical;
  bool depthwise = false;
  int lanes = 1;
  std::int64_t channels() const { return logical.shape()[0]; }
};
/// Nothing where the node has no constant filter of its own, or a foreign layout.
std::optional<Weights> weights_of(const espdl::Node& node, const espdl::ModelIndex& index,
                                  const Target& target);

/// Between which limits every partial sum of an output channel stays, its bias included, for inputs
/// of that range.
Range partial_sums(const Weights& weights, const espdl::Constant* bias, std::int64_t channel,
                   const Range& input);

/// The bias of a Conv or Gemm; null without one.
const espdl::Constant* bias_of(const espdl::Node& node, const espdl::ModelIndex& index);

}  // namespace espquant::schedule
