#include "cli/network.h"

#include "cli/port_metadata.h"
#include "onnx/import.h"
#include "ops/op.h"
#include "passes/pass_manager.h"
#include "passes/single_batch.h"

namespace espquant::cli {

namespace {

bool takes_less(const espdl::Model& model, const Graph& network) {
  for (const ValueId v : network.inputs()) {
    const Value& value = network.value(v);
    const auto* stored = model.find_value(value.name);
    if (stored != nullptr && value.shape &&
        element_count(stored->shape) < element_count(*value.shape))
      return true;
  }
  return false;
}

}  // namespace

Graph load_network(const std::filesystem::path& path, const espdl::Model& model) try {
  Graph network = onnx::import_model(path);
  ops::infer_shapes(network);
  if (takes_less(model, network)) passes::set_batch_to_one(network);
  return passes::simplify(std::move(network));
} catch (Error& error) {
  throw error.file(path.string());
}

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

}  // namespace espquant::cli
