#pragma once

#include <vector>

#include "lower/lower.h"
#include "ops/executor.h"
#include "sim/program.h"

namespace espquant::measure {

/// Which value of a float network each tensor of the chip stands for, and in which order of axes.
class FloatReferences {
 public:
  FloatReferences(const Graph& graph, const sim::Program& program, const lower::Orders& orders);

  /// By tensor of the program, in its order.
  using Values = std::vector<std::vector<float>>;
  /// Keeps what is observed, if it is a tensor of the chip.
  void keep(const ops::Executor::View& view, Values& values) const;

  /// The value that `tensor` stands for; kNone for what the lowering adds.
  ValueId value_of(std::size_t tensor) const { return value_of_[tensor]; }
  const lower::Order& order_of(std::size_t tensor) const {
    return order_[static_cast<std::size_t>(value_of_[tensor])];
  }

 private:
  static constexpr std::size_t kAbsent = static_cast<std::size_t>(-1);
  /// By ValueId.
  std::vector<std::size_t> tensor_of_;
  std::vector<lower::Order> order_;
  std::vector<ValueId> value_of_;
};

}  // namespace espquant::measure
