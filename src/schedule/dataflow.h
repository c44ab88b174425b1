#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "schedule/fragment.h"
#include "schedule/row_rule.h"

namespace espquant::schedule {

inline constexpr std::size_t kNoTensor = static_cast<std::size_t>(-1);
inline constexpr std::size_t kForever = static_cast<std::size_t>(-1);

/// An activation of a model.
struct FlowTensor {
  const espdl::ValueInfo* value = nullptr;
  std::size_t bytes = 0;
  /// The node that writes it; none for inputs of the network.
  std::optional<std::size_t> producer;
  /// The last node that reads its elements, under whatever name; kForever where the application
  /// does. Its own producer where none does.
  std::size_t last_read = 0;
  /// The application or test values name it.
  bool is_visible = false;
  /// The tensor that it only shows (Reshape and the like), itself otherwise.
  std::size_t source = kNoTensor;

  std::int64_t rows() const { return value->shape.size() > 1 ? value->shape[1] : 1; }
};

struct FlowNode {
  /// Per input of the node; kNoTensor for constants and inputs that are not given.
  std::vector<std::size_t> inputs, outputs;
  std::optional<RowRule> rule;
};

/// Who reads and writes what in a model, by numbers. Refers to the model.
class Dataflow {
 public:
  explicit Dataflow(const espdl::Model& model);

  const espdl::Model& model() const { return model_; }
  const espdl::ModelIndex& index() const { return index_; }
  const std::vector<FlowNode>& nodes() const { return nodes_; }
  const std::vector<FlowTensor>& tensors() const { return tensors_; }

  /// Bytes of what is there between node `step` - 1 and node `step`, and is read from there on; in
  /// whole blocks of the planner.
  std::size_t bytes_between(std::size_t step) const;

 private:
  std::size_t number(const std::string& name);

  const espdl::Model& model_;
  const espdl::ModelIndex index_;
  std::vector<FlowNode> nodes_;
  std::vector<FlowTensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> numbers_;
};

}  // namespace espquant::schedule
