#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cost/latency.h"
#include "cost/memory_plan.h"
#include "graph/graph.h"
#include "target/target.h"

/// What a chip makes of a network before any data are seen.
namespace espquant::survey {

enum class Verdict : std::uint8_t {
  Supported,    ///< the chip has the operator
  Rewritten,    ///< other operators compute the same, or none is needed
  Unsupported,  ///< see the message
  Unknown,      ///< behind an unsupported node whose outputs have no known shape
};
/// "supported", ...: stable names for machines.
std::string_view to_string(Verdict verdict);

/// Of a node of the network as imported.
struct NodeVerdict {
  std::string node, op;
  Verdict verdict = Verdict::Supported;
  /// Rewritten: the operators that stand in its place; empty where none does.
  std::vector<std::string> becomes;
  /// Rewritten into nothing: by which rewrite. Unsupported: what is missing.
  std::string message;
  /// Unsupported: what to do about it.
  std::string remedy;
  /// Of 8 and 16 bits the only width that the chip has it in; 0: both.
  int only_bits = 0;
};

/// Where to cut the network so that the chip can run the rest: names of values, empty where it
/// begins or ends as it does.
struct Cut {
  std::vector<std::string> inputs, outputs;
  bool empty() const { return inputs.empty() && outputs.empty(); }
};

/// Of one run with all layers in that width.
struct WidthCost {
  int bits = 8;
  cost::MemoryPlan memory;
  double milliseconds = 0;
};

struct Survey {
  /// In order of execution.
  std::vector<NodeVerdict> nodes;
  /// Of what the chip can run; a width is missing where a node needs the other one.
  std::vector<WidthCost> costs;
  /// What the unsupported nodes leave to the application, where those are only a tail that decodes,
  /// or a head that prepares: no layer with weights is cut off.
  Cut cut;

  /// Unsupported and unknown ones.
  std::size_t unsupported() const;
};

/// `imported`: as onnx::import_model gives it, with the refusals and the stated shapes that it
/// collected. Every node that cannot be run is found, not only the first. Throws Error for a
/// network that is broken altogether.
Survey survey(Graph imported, const Target& target, std::span<const Error> refused_at_import = {},
              const cost::LatencyOptions& latency = {});

}  // namespace espquant::survey
