#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cost/latency.h"
#include "cost/memory_plan.h"
#include "espdl/index.h"
#include "espdl/model.h"
#include "target/target.h"

namespace espquant::schedule {

/// Where a model runs, by which rewrites are judged.
struct Conditions {
  const Target& target;
  cost::LatencyOptions latency = {};
  cost::PlannerOptions planner = {};
};

/// Names that a model has not yet.
class Names {
 public:
  /// Those of nodes, activations and constants are taken.
  explicit Names(const espdl::Model& model);
  /// `base`, or with a number behind it; taken from now on.
  std::string unique(const std::string& base);

 private:
  std::set<std::string, std::less<>> taken_;
};

/// Nodes that may take the place of others, with the tensors that they bring along.
struct Fragment {
  std::vector<espdl::Node> nodes;
  std::vector<espdl::ValueInfo> values;
  std::vector<espdl::Constant> constants;
};

/// What one run of these nodes takes beside the rest of a model, which `index` knows.
double milliseconds_of(const Fragment& fragment, const espdl::ModelIndex& index,
                       const Conditions& conditions);
double milliseconds_of(const espdl::Node& node, const espdl::ModelIndex& index,
                       const Conditions& conditions);

/// By the index of the node whose place they take.
using Replacements = std::unordered_map<std::size_t, Fragment>;

/// Puts fragments in the places of single nodes; constants and activations that nobody names any
/// more go.
void replace_nodes(espdl::Model& model, Replacements replacements);

/// Removes constants and activations that no node, input, output or test value names.
void remove_unused(espdl::Model& model);

/// Lets `change_one(copy)` change a copy of the model, which takes the model's place, as long as it
/// says that it found something. Returns how often it did.
template <typename ChangeOne>
std::int64_t change_one_by_one(espdl::Model& model, const ChangeOne& change_one) {
  std::int64_t changes = 0;
  for (espdl::Model next = model; change_one(next); next = model) {
    remove_unused(next);
    model = std::move(next);
    ++changes;
  }
  return changes;
}

/// Whether applications or the file's test values see the tensor: name, shape and exponent stay.
class Visible {
 public:
  explicit Visible(const espdl::Model& model);
  bool contains(std::string_view tensor) const { return names_.contains(tensor); }

 private:
  std::set<std::string, std::less<>> names_;
};

/// Who makes what a single node reads. Refers to the model, and to it as it was.
class SoleMakers {
 public:
  explicit SoleMakers(const espdl::Model& model);
  /// The node that makes the tensor, where one node reads it, once, and nobody else sees it.
  std::optional<std::size_t> maker_of(std::string_view tensor) const;

 private:
  std::unordered_map<std::string_view, std::size_t> makers_;
};

/// A Concat of `parts` along `axis` that makes `output`.
espdl::Node concat_node(std::string name, std::vector<std::string> parts,
                        const espdl::ValueInfo& output, std::int64_t axis);

/// A constant list of whole numbers.
espdl::Constant list_constant(std::string name, const std::vector<std::int64_t>& numbers);

}  // namespace espquant::schedule
