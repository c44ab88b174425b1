#pragma once

#include <cstdint>
#include <vector>

#include "calib/calibrate.h"
#include "graph/graph.h"

/// Outputs of a network that Concat puts together from parts of very different sizes: boxes of a
/// hundred pixels beside probabilities of a hundredth. The exponent of the large ones would round
/// the small ones away at 8 bits.
namespace espquant::quant {

/// Marks such Concats, those inside of others included: their operands keep exponents of their own,
/// and the result is to have 16 bits, which hold the integers of all of them. `statistics` of the
/// graph as it is. Returns the number of parts that would have been lost.
std::int64_t part_uneven_outputs(Graph& graph, const calib::Statistics& statistics);

/// Of a marked Concat.
bool keeps_operands_apart(const Node& concat);

/// Whether an operand of a marked Concat is the result of another one, moved or not: these share an
/// exponent.
bool is_from_marked_concat(const Graph& graph, ValueId operand);

/// By ValueId: sets the results of marked Concats, for Plan::wide.
void widen_uneven_outputs(const Graph& graph, std::vector<bool>& wide);

/// What the marked Concats behind one output of the network join, part by part; nothing where there
/// is no such Concat.
std::vector<ValueId> parts_of_uneven_output(const Graph& graph, ValueId output);

}  // namespace espquant::quant
