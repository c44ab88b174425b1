#include "job/network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "base/text.h"
#include "data/open_extents.h"
#include "job/outline.h"
#include "onnx/import.h"
#include "ops/op.h"
#include "passes/constant_outputs.h"
#include "passes/pass_manager.h"
#include "passes/single_batch.h"

namespace espquant::job {
namespace {

[[noreturn]] void bad_shape(const std::string& text) {
  throw Error(ErrorCode::Usage, fmt::format("--input-shape {}: not a shape", text))
      .remedy("Write --input-shape NAME=1,3,224,224");
}

/// "1,3,224,224" or "1x3x224x224".
Shape parse_shape(std::string_view text, const std::string& whole) {
  Shape shape;
  while (true) {
    const std::size_t end = std::min(text.find_first_of(",x"), text.size());
    std::int64_t extent = 0;
    const auto [last, error] = std::from_chars(text.data(), text.data() + end, extent);
    if (error != std::errc() || last != text.data() + end || extent < 1) bad_shape(whole);
    shape.push_back(extent);
    if (end == text.size()) return shape;
    text.remove_prefix(end + 1);
  }
}

/// Shapes under the name "" are those of the only input.
std::map<std::string, Shape> parse_shapes(const std::vector<std::string>& texts) {
  std::map<std::string, Shape> shapes;
  for (const std::string& text : texts) {
    const std::size_t equals = text.rfind('=');
    const std::string name = equals == std::string::npos ? "" : text.substr(0, equals);
    const std::size_t start = equals == std::string::npos ? 0 : equals + 1;
    if (!shapes.emplace(name, parse_shape(std::string_view(text).substr(start), text)).second)
      throw Error(ErrorCode::Usage, fmt::format("--input-shape: '{}' is given twice", name));
  }
  return shapes;
}

onnx::ImportOptions import_options(const std::filesystem::path& path,
                                   const NetworkOptions& options) {
  onnx::ImportOptions import;
  import.inputs = options.inputs;
  import.outputs = options.outputs;
  import.input_shapes = parse_shapes(options.input_shapes);
  const auto unnamed = import.input_shapes.extract("");
  if (unnamed.empty()) return import;
  std::vector<Error> unimportant;
  import.refused = &unimportant;
  const Graph graph = onnx::import_model(path, import);
  if (graph.inputs().size() != 1) {
    std::vector<std::string> names;
    for (const ValueId v : graph.inputs()) names.push_back(graph.value(v).name);
    throw Error(ErrorCode::Usage,
                fmt::format("--input-shape {}: the network has the inputs {}",
                            fmt::join(unnamed.mapped(), ","), fmt::join(names, ", ")))
        .remedy(fmt::format("Say which: --input-shape {}={}", names.empty() ? "NAME" : names[0],
                            fmt::join(unnamed.mapped(), ",")));
  }
  import.refused = nullptr;
  import.input_shapes.emplace(graph.value(graph.inputs()[0]).name, unnamed.mapped());
  return import;
}

bool is_open(const Value& value) {
  return value.shape && std::ranges::any_of(*value.shape, [](std::int64_t e) { return e < 0; });
}

void take_extents(Graph& graph, const DataOptions& options, const Tell& tell) {
  const auto inputs = graph.inputs();
  if (std::ranges::none_of(inputs, [&](ValueId v) { return is_open(graph.value(v)); })) return;
  const std::vector<data::InputSpec> specs = input_specs(graph);
  std::vector<std::optional<Shape>> shapes;
  try {
    shapes = options.arrays
                 ? data::extents_of_data(*options.arrays, specs)
                 : data::extents_of_data(options.path, specs, given_settings(options, {}));
  } catch (const Error&) {
    // Who opens the data says what is wrong with them.
    return;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Value& value = graph.value(inputs[i]);
    if (!is_open(value) || !shapes[i]) continue;
    const bool only_batch = std::ranges::none_of(value.shape->begin() + 1, value.shape->end(),
                                                 [](std::int64_t e) { return e < 0; }) &&
                            shapes[i]->front() == 1;
    if (!only_batch)
      tell(fmt::format("input '{}' is {}, as the data have it", value.name, to_string(*shapes[i])));
    value.shape = shapes[i];
  }
}

/// With what `target` cannot run cut off, as far as Survey::cut goes.
Graph read_without_tail(const std::filesystem::path& path, const NetworkOptions& options,
                        const DataOptions& data, const Target& target, const Tell& tell) {
  std::vector<Error> refused;
  Graph whole = read_network(path, options, refused);
  take_extents(whole, data, tell);
  const survey::Cut cut = survey::survey(std::move(whole), target, refused).cut;
  if (cut.empty()) return read_network(path, options);
  tell(fmt::format("what {} cannot run is cut off, as by {}", target.name, options_of(cut)));
  NetworkOptions shorter = options;
  if (!cut.inputs.empty()) shorter.inputs = cut.inputs;
  if (!cut.outputs.empty()) shorter.outputs = cut.outputs;
  return read_network(path, shorter);
}

Graph cut_like(const std::filesystem::path& path, const NetworkOptions& options,
               const espdl::Model& model) {
  if (!options.outputs.empty() || !options.inputs.empty()) return read_network(path, options);
  NetworkOptions as_model = options;
  as_model.outputs = model.outputs;
  as_model.inputs = model.inputs;
  try {
    return read_network(path, as_model);
  } catch (const Error& error) {
    // Other tools name values otherwise.
    if (error.code() != ErrorCode::Usage) throw;
    return read_network(path, options);
  }
}

void take_extents(Graph& graph, const Graph& model) {
  for (const ValueId v : graph.inputs()) {
    Value& value = graph.value(v);
    const ValueId stored = model.find_value(value.name);
    if (!is_open(value) || stored == kNone) continue;
    const Shape& shape = *model.value(stored).shape;
    if (shape.size() == value.shape->size()) value.shape = shape;
  }
}

bool takes_less(const Graph& model, const Graph& network) {
  for (const ValueId v : network.inputs()) {
    const Value& value = network.value(v);
    const ValueId stored = model.find_value(value.name);
    if (stored != kNone && value.shape &&
        element_count(*model.value(stored).shape) < element_count(*value.shape))
      return true;
  }
  return false;
}

}  // namespace

std::string options_of(const survey::Cut& cut) {
  std::vector<std::string> parts;
  if (!cut.inputs.empty())
    parts.push_back(
        fmt::format("--inputs {}", shell_word(fmt::format("{}", fmt::join(cut.inputs, ",")))));
  if (!cut.outputs.empty())
    parts.push_back(
        fmt::format("--outputs {}", shell_word(fmt::format("{}", fmt::join(cut.outputs, ",")))));
  return fmt::format("{}", fmt::join(parts, " "));
}

Graph read_network(const std::filesystem::path& path, const NetworkOptions& options) {
  return onnx::import_model(path, import_options(path, options));
}

Graph read_network(const std::filesystem::path& path, const NetworkOptions& options,
                   std::vector<Error>& refused) {
  onnx::ImportOptions import = import_options(path, options);
  import.refused = &refused;
  return onnx::import_model(path, import);
}

Graph import_network(const std::filesystem::path& path, const NetworkOptions& options,
                     const DataOptions& data, const Target& target, const Tell& tell) try {
  Graph graph = options.cut_tail ? read_without_tail(path, options, data, target, tell)
                                 : read_network(path, options);
  onnx::check_finite_constants(graph);
  take_extents(graph, data, tell);
  ops::infer_shapes(graph);
  for (const std::string& output : passes::drop_constant_outputs(graph))
    tell(fmt::format(
        "the output '{}' depends on no input: it is left out, the application can hold it as a "
        "constant",
        output));
  return graph;
} catch (Error& error) {
  throw error.file(path.string());
}

Graph load_network(const std::filesystem::path& path, const NetworkOptions& options,
                   const espdl::Model& model) try {
  Graph network = cut_like(path, options, model);
  const Graph known = outline(model);
  take_extents(network, known);
  ops::infer_shapes(network);
  passes::drop_constant_outputs(network);
  if (takes_less(known, network)) passes::set_batch_to_one(network);
  return passes::simplify(std::move(network));
} catch (Error& error) {
  throw error.file(path.string());
}

}  // namespace espquant::job
