#pragma once

#include <string>
#include <vector>

#include "cost/latency.h"
#include "espdl/model.h"
#include "target/target.h"

/// Rewrites of an espdl::Model that change when and where its integers are computed, but none of
/// them.
namespace espquant::schedule {

/// A node that would have written over data that is still needed, and what was done about it.
struct MovedWrite {
  enum class Remedy {
    Order,  ///< it runs behind the last node that reads the data
    Alias,  ///< the data are read through another Reshape, which the planner sees
    Guard,  ///< a Reshape that nobody reads keeps the planner from choosing this memory
    Last,   ///< an output that is an alias is made when nobody reads its memory any more
    Copy,   ///< an output gets memory of its own
  };
  std::string node, tensor;
  Remedy remedy = Remedy::Order;
};

/// The runtime's planner lets an operator write in place when nobody reads its operand again, but
/// looks one link deep: data seen through a Reshape can be lost, to a later node or to the
/// application (ESP-DL 5.2). And it gives the memory of an output that is an alias back when
/// another of its tensors is read later (5.2 d: the lifetime that the output has made endless gets
/// an end again). Where its plan of `model` loses data, the nodes are put in another order, or a
/// Reshape is added through which the data are read: in front of the writing node, so that the
/// planner knows of it and gives the node memory of its own. A Reshape is an alias and copies
/// nothing. Of what helps, the least of the latency model counts, then the fewest bytes of
/// activations, then the fewest nodes. Shapes, integers and names of outputs stay.
///
/// Milliseconds are those of `latency`: the usual board's unless said. Throws as cost::plan_memory
/// does.
std::vector<MovedWrite> protect_from_in_place_writes(espdl::Model& model, const Target& target,
                                                     const cost::LatencyOptions& latency = {});

}  // namespace espquant::schedule
