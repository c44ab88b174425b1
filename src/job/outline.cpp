#include "job/outline.h"

#include "job/port_metadata.h"

namespace espquant::job {

Graph outline(const espdl::Model& model) {
  Graph graph;
  const auto add_value = [&](const std::string& name) {
    const Shape& stored = model.find_value(name)->shape;
    const auto layout = layout_of(model, name, stored.size());
    const ValueId v =
        graph.add_value(name, DType::Float32, layout ? network_shape(stored, *layout) : stored);
    if (takes_integers(model, name)) graph.value(v).given = DType::UInt8;
    return v;
  };
  for (const std::string& name : model.inputs) graph.add_input(add_value(name));
  for (const std::string& name : model.outputs) {
    const ValueId known = graph.find_value(name);
    graph.add_output(known != kNone ? known : add_value(name));
  }
  return graph;
}

}  // namespace espquant::job
