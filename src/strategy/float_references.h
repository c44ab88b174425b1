#pragma once

#include <map>
#include <string>
#include <vector>

#include "ops/executor.h"
#include "sim/program.h"

namespace espquant::strategy {

/// Which value of a float network each tensor of the chip stands for, and in which order of axes.
class FloatReferences {
 public:
  /// `order` as from lower::lower().
  FloatReferences(const Graph& graph, const sim::Program& program,
                  const std::map<std::string, std::vector<std::int64_t>>& order);

  /// By tensor of the program, in its order.
  using Values = std::vector<std::vector<float>>;
  /// Keeps what is observed, if it is a tensor of the chip.
  void keep(const ops::Executor::View& view, Values& values) const;

  /// The value that `tensor` stands for; kNone for what the lowering adds.
  ValueId value_of(std::size_t tensor) const { return value_of_[tensor]; }
  /// Stored axis i is axis order_of()[i] of the network's value.
  const std::vector<std::int64_t>& order_of(std::size_t tensor) const {
    return order_[static_cast<std::size_t>(value_of_[tensor])];
  }
  /// Axes 0, 2, 3, ..., 1.
  static bool is_channels_last(std::span<const std::int64_t> order);

 private:
  static constexpr std::size_t kAbsent = static_cast<std::size_t>(-1);
  /// By ValueId.
  std::vector<std::size_t> tensor_of_;
  std::vector<std::vector<std::int64_t>> order_;
  std::vector<ValueId> value_of_;
};

}  // namespace espquant::strategy
