#include "onnx/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "onnx/control_flow.h"
#include "onnx/cut.h"
#include "onnx/foreign_formats.h"
#include "onnx/import_attributes.h"
#include "onnx/inline_graphs.h"
#include "onnx/name_text.h"
#include "onnx/tensor_proto.h"
#include "onnx_schema.pb.h"
#include "ops/known_value.h"
#include "ops/op.h"

namespace espquant::onnx {
namespace {

bool is_default_domain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

onnx_schema::Model parse(std::span<const std::byte> bytes) {
  refuse_foreign_format(bytes);
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw Error(ErrorCode::Unsupported, "is larger than 2 GB, more than one ONNX file can hold")
        .remedy("store the weights as external data");
  onnx_schema::Model model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !model.has_graph())
    throw Error(ErrorCode::Malformed, "is not an ONNX model, or is damaged or cut short")
        .remedy("export or download the model again");
  refuse_names_that_are_no_text(model);
  return model;
}

std::int64_t default_opset(const onnx_schema::Model& model, std::int64_t oldest) {
  for (const auto& set : model.opset_import()) {
    if (!is_default_domain(set.domain())) continue;
    if (set.version() < oldest || set.version() > kNewestOpset)
      throw Error(ErrorCode::Unsupported,
                  fmt::format("uses operator set {}, versions {} to {} are read", set.version(),
                              oldest, kNewestOpset))
          .remedy(
              "export the model with opset_version=17, or convert it with onnx.version_converter");
    return set.version();
  }
  throw Error(ErrorCode::Malformed, "states no operator set version")
      .remedy("export the model again");
}

/// Builds the Graph from one message.
class Importer {
 public:
  Importer(const onnx_schema::Model& model, const std::filesystem::path& folder,
           const ImportOptions& options)
      : model_(model), source_(model.graph()), folder_(folder), options_(options) {}

  Graph run() {
    graph_.opset = default_opset(model_, options_.oldest_opset);
    graph_.name = source_.name();
    if (!source_.sparse_initializer().empty())
      throw Error(ErrorCode::Unsupported, "has sparse weights")
          .remedy("store the weights as dense tensors");
    for (const auto& tensor : source_.initializer())
      add_constant(tensor.name(), read_constant(tensor));
    collect_reads(source_.node(), reads_);
    for (const auto& output : source_.output()) ++reads_[output.name()];
    std::vector<onnx_schema::Node> nodes;
    for (const auto& node : source_.node()) expand_calls(node, 0, nodes);
    for (const auto& node : nodes)
      if (is_constant_node(node)) add_constant_node(node);
    for (const auto& input : source_.input()) add_input(input);
    check_all_shapes_used();
    for (const auto& node : nodes) ++name_uses_[node.name()];
    for (const auto& node : nodes)
      if (!is_constant_node(node)) declare_outputs(node);
    add_nodes(nodes);
    write_out_control_flow();
    for (const auto& output : source_.output()) add_output(output);
    if (options_.refused != nullptr) take_stated_shapes();
    if (graph_.outputs().empty()) throw Error(ErrorCode::Malformed, "has no outputs");
    (void)graph_.topological_order();
    return std::move(graph_);
  }

 private:
  static bool is_constant_node(const onnx_schema::Node& node) {
    return node.op_type() == "Constant" && is_default_domain(node.domain());
  }

  Tensor read_constant(const onnx_schema::Tensor& message) const {
    try {
      Tensor tensor = tensor_from_message(message, folder_);
      return options_.float32_only && is_float(tensor.dtype()) ? tensor.cast(DType::Float32)
                                                               : tensor;
    } catch (Error& e) {
      if (e.tensor().empty() && !message.name().empty()) e.tensor(message.name());
      throw;
    }
  }

  void add_constant(const std::string& name, Tensor data) {
    if (name.empty()) throw Error(ErrorCode::Malformed, "a constant has no name");
    graph_.add_constant(name, std::move(data));
  }

  void add_constant_node(const onnx_schema::Node& node) {
    const std::string& name = node.output_size() == 1 ? node.output(0) : node.name();
    try {
      if (node.output_size() != 1 || node.attribute_size() != 1 || node.input_size() != 0)
        throw Error(ErrorCode::Malformed, "a Constant has one attribute, one output and no input");
      add_constant(name, constant_of(node.attribute(0), folder_, options_.float32_only));
    } catch (Error& e) {
      if (e.node().empty()) e.node(node.name().empty() ? name : node.name());
      throw;
    }
  }

  void add_input(const onnx_schema::ValueInfo& info) {
    if (graph_.find_value(info.name()) != kNone) {
      // Up to IR version 3 every initializer is listed among the inputs too.
      const ValueId known = graph_.find_value(info.name());
      if (graph_.value(known).is_constant()) return;
      throw Error(ErrorCode::Malformed, "is listed twice among the inputs").tensor(info.name());
    }
    if (info.name().empty()) throw Error(ErrorCode::Malformed, "an input has no name");
    if (!info.type().has_tensor_type())
      throw Error(ErrorCode::Unsupported, "is a graph input that is not a tensor")
          .tensor(info.name());
    const onnx_schema::TensorType& type = info.type().tensor_type();
    DType dtype = dtype_from_onnx(type.elem_type());
    if (size_of(dtype) == 0)
      throw Error(ErrorCode::Unsupported,
                  fmt::format("is a graph input of element type number {}", type.elem_type()))
          .tensor(info.name())
          .remedy("export the model with float32 inputs");
    if (options_.float32_only && is_float(dtype)) dtype = DType::Float32;
    graph_.add_input(graph_.add_value(info.name(), dtype, input_shape(info.name(), type)));
  }

  std::optional<Shape> input_shape(const std::string& name,
                                   const onnx_schema::TensorType& type) const {
    std::optional<Shape> stated;
    if (type.has_shape()) {
      stated.emplace();
      for (const auto& dim : type.shape().dim())
        stated->push_back(dim.dim_value() > 0 ? dim.dim_value() : -1);
    }
    const auto wanted = options_.input_shapes.find(name);
    if (wanted == options_.input_shapes.end()) return stated;
    const Shape& shape = wanted->second;
    bool fits = !stated || stated->size() == shape.size();
    for (std::size_t i = 0; fits && i < shape.size(); ++i)
      fits = shape[i] > 0 && (!stated || (*stated)[i] == -1 || (*stated)[i] == shape[i]);
    if (!fits)
      throw Error(ErrorCode::Usage,
                  fmt::format("the shape {} does not fit the {} of the model", to_string(shape),
                              stated ? to_string(*stated) : "unknown shape"))
          .tensor(name)
          .remedy(
              "only extents that are symbolic in the model (-1) can be chosen, and they are "
              "positive");
    return shape;
  }

  void check_all_shapes_used() const {
    std::vector<std::string> names;
    for (ValueId v : graph_.inputs()) names.push_back(graph_.value(v).name);
    for (const auto& [name, shape] : options_.input_shapes) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      const std::string near = nearest_name(name, names);
      throw Error(ErrorCode::Usage,
                  fmt::format("a shape is given for '{}', which is no input of the model", name))
          .remedy(near.empty() ? fmt::format("the inputs are: {}", fmt::join(names, ", "))
                               : fmt::format("did you mean '{}'?", near));
    }
  }

  void declare_outputs(const onnx_schema::Node& node) {
    for (int i = 0; i < node.output_size(); ++i) {
      const std::string& name = node.output(i);
      if (name.empty() || is_left_out(node, i)) continue;
      if (graph_.find_value(name) != kNone)
        throw Error(ErrorCode::Malformed, "is defined twice").tensor(name).node(label(node));
      graph_.add_value(name, DType::Float32);
    }
  }

  /// Up to opset 13 the number of outputs of a BatchNormalization says whether it normalizes by the
  /// batch's own statistics (ONNX: "output case #1").
  bool trains(const onnx_schema::Node& node) const {
    return graph_.opset < 14 && is_default_domain(node.domain()) &&
           node.op_type() == "BatchNormalization" &&
           std::count_if(node.output().begin(), node.output().end(),
                         [](const std::string& name) { return !name.empty(); }) > 1;
  }

  /// Statistics and masks that training has beside the result, where nobody reads them.
  bool is_left_out(const onnx_schema::Node& node, int output) const {
    static const std::set<std::string, std::less<>> kOps = {"BatchNormalization", "Dropout",
                                                            "LayerNormalization", "MaxPool"};
    return output > 0 && is_default_domain(node.domain()) && kOps.contains(node.op_type()) &&
           !reads_.contains(node.output(output));
  }

  /// Appends the node, or, where it calls a function of the model, what the function does.
  void expand_calls(const onnx_schema::Node& node, int depth,
                    std::vector<onnx_schema::Node>& nodes) {
    const onnx_schema::Function* called = nullptr;
    for (const auto& function : model_.functions())
      if (function.name() == node.op_type() && function.domain() == node.domain())
        called = &function;
    // Calls count as well: functions that only call others would double them without end.
    count_written_out(1);
    if (called == nullptr) {
      nodes.push_back(node);
      return;
    }
    if (depth >= kDeepestCalls)
      throw Error(ErrorCode::Malformed,
                  fmt::format("the function '{}' calls itself", node.op_type()));
    try {
      const std::string prefix = fmt::format("{}/", label(node));
      const Inlined body = body_of_call(*called, node, free_prefix(prefix));
      for (const auto& inner : body.nodes) {
        for (const std::string& input : inner.input()) ++reads_[input];
        expand_calls(inner, depth + 1, nodes);
      }
    } catch (Error& e) {
      // The model's own node says more than one within a function.
      if (depth == 0) e.node(label(node));
      throw;
    }
  }

  /// Loops within loops, and functions within functions, can ask for any amount.
  void count_written_out(std::size_t nodes, std::size_t constant_bytes = 0) {
    nodes_written_out_ += nodes;
    bytes_written_out_ += constant_bytes;
    if (nodes_written_out_ > kMostNodes)
      throw Error(
          ErrorCode::BadData,
          fmt::format("more than {} nodes once functions and loops are written out", kMostNodes));
    if (bytes_written_out_ > kMostInnerBytes)
      throw Error(ErrorCode::BadData,
                  "more than 1 GiB of constants once branches and loops are written out")
          .remedy("Keep the weights outside of the loop's body, where all iterations share them");
  }

  /// Two calls without a name, or with the same, still have values of their own.
  std::string free_prefix(const std::string& base) {
    const int uses = prefix_uses_[base]++;
    return uses == 0 ? base : fmt::format("{}{}/", base, uses);
  }

  /// Nodes whose outputs are declared. Those of control flow wait.
  void add_nodes(const std::vector<onnx_schema::Node>& nodes) {
    for (const auto& node : nodes) {
      if (is_constant_node(node)) continue;
      if (is_control_flow(node))
        control_flow_.push_back(node);
      else
        add_node(node);
    }
  }

  void add_inlined(const Inlined& inlined) {
    for (const auto& tensor : inlined.constants) {
      Tensor data = read_constant(tensor);
      count_written_out(0, data.byte_size());
      add_constant(tensor.name(), std::move(data));
    }
    std::vector<onnx_schema::Node> nodes;
    for (const auto& node : inlined.nodes) {
      for (const std::string& input : node.input()) ++reads_[input];
      expand_calls(node, 0, nodes);
    }
    for (const auto& node : nodes)
      if (is_constant_node(node)) add_constant_node(node);
    for (const auto& node : nodes) {
      if (is_constant_node(node)) continue;
      for (int i = 0; i < node.output_size(); ++i)
        // What an If or a loop puts out has been declared with it.
        if (!node.output(i).empty() && !is_left_out(node, i) &&
            graph_.find_value(node.output(i)) == kNone)
          graph_.add_value(node.output(i), DType::Float32);
    }
    add_nodes(nodes);
  }

  /// Each node of control flow in its turn: one may decide by what another has put out.
  void write_out_control_flow() {
    const ControlFlowHost host{
        [this](const Inlined& inlined) { add_inlined(inlined); },
        [this](const std::string& name) -> std::optional<std::int64_t> {
          const Tensor value = ops::known_of(graph_, existing(name)).value;
          if (!value.defined() || value.size() != 1) return std::nullopt;
          return value.cast(DType::Int64).data<std::int64_t>()[0];
        },
        [this](const std::string& name) { return ops::known_of(graph_, existing(name)).shape; }};
    while (!control_flow_.empty()) {
      const onnx_schema::Node node = std::move(control_flow_.front());
      control_flow_.pop_front();
      const std::string name = unique_name(node);
      try {
        write_out(node, name, host);
      } catch (Error& e) {
        if (e.node().empty()) e.node(name);
        if (options_.refused == nullptr || e.code() != ErrorCode::Unsupported) throw;
        options_.refused->push_back(e);
        leave_as_node(node, name);
      }
    }
  }

  void leave_as_node(const onnx_schema::Node& node, const std::string& name) {
    std::map<std::string, int> reads;
    onnx::collect_reads(node, reads);
    std::vector<ValueId> inputs, outputs;
    for (const auto& [input, count] : reads)
      if (const ValueId v = graph_.find_value(input); !input.empty() && v != kNone)
        inputs.push_back(v);
    for (const std::string& output : node.output())
      outputs.push_back(output.empty() ? kNone : existing(output));
    graph_.add_node(node.op_type(), name, std::move(inputs), std::move(outputs));
  }

  void take_stated_shapes() {
    for (const auto* list : {&source_.value_info(), &source_.output()})
      for (const onnx_schema::ValueInfo& info : *list) {
        const ValueId v = graph_.find_value(info.name());
        if (v == kNone || graph_.value(v).producer == kNone || !states_shape(info)) continue;
        const onnx_schema::TensorType& type = info.type().tensor_type();
        const DType dtype = dtype_from_onnx(type.elem_type());
        graph_.value(v).dtype =
            options_.float32_only && is_float(dtype) ? DType::Float32 : dtype;
        Shape& shape = graph_.value(v).shape.emplace();
        for (const auto& dim : type.shape().dim()) shape.push_back(dim.dim_value());
      }
  }

  /// A name for messages before the node has one of its own.
  static std::string label(const onnx_schema::Node& node) {
    if (!node.name().empty()) return node.name();
    return node.output_size() > 0 && !node.output(0).empty() ? node.output(0) : node.op_type();
  }

  std::string unique_name(const onnx_schema::Node& node) {
    const bool free = !node.name().empty() && taken_names_.insert(node.name()).second;
    if (free) return node.name();
    const std::string base = label(node);
    std::string name = base;
    for (int i = 1; name_uses_.contains(name) || taken_names_.contains(name); ++i)
      name = fmt::format("{}_{}", base, i);
    taken_names_.insert(name);
    return name;
  }

  void add_node(const onnx_schema::Node& node) {
    const std::string name = unique_name(node);
    try {
      std::vector<ValueId> inputs, outputs;
      for (const std::string& input : node.input())
        inputs.push_back(input.empty() ? kNone : existing(input));
      for (int i = 0; i < node.output_size(); ++i)
        outputs.push_back(
            node.output(i).empty() || is_left_out(node, i) ? kNone : existing(node.output(i)));
      Attributes attributes = read_attributes(node, folder_, options_.float32_only);
      if (trains(node)) attributes.set("training_mode", std::int64_t{1});
      const NodeId id = graph_.add_node(node.op_type(), name, std::move(inputs), std::move(outputs),
                                        std::move(attributes));
      if (!is_default_domain(node.domain())) graph_.node(id).domain = node.domain();
    } catch (Error& e) {
      if (e.node().empty()) e.node(name);
      throw;
    }
  }

  ValueId existing(const std::string& name) const {
    const ValueId v = graph_.find_value(name);
    if (v == kNone)
      throw Error(ErrorCode::Malformed, "is read, but nothing computes it").tensor(name);
    return v;
  }

  void add_output(const onnx_schema::ValueInfo& info) {
    const ValueId v = existing(info.name());
    if (graph_.is_output(v))
      throw Error(ErrorCode::Malformed, "is listed twice among the outputs").tensor(info.name());
    graph_.add_output(v);
  }

  const onnx_schema::Model& model_;
  const onnx_schema::Graph& source_;
  const std::filesystem::path& folder_;
  const ImportOptions& options_;
  static constexpr std::size_t kMostNodes = 200000;
  static constexpr std::size_t kMostInnerBytes = std::size_t{1} << 30;
  static constexpr int kDeepestCalls = 32;

  std::map<std::string, int> name_uses_, prefix_uses_, reads_;
  std::deque<onnx_schema::Node> control_flow_;
  std::size_t nodes_written_out_ = 0, bytes_written_out_ = 0;
  std::set<std::string> taken_names_;
  Graph graph_;
};

onnx_schema::ValueInfo value_info(DType dtype, const Shape* shape) {
  onnx_schema::ValueInfo info;
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<std::int32_t>(dtype));
  if (shape != nullptr)
    for (const std::int64_t extent : *shape) type.mutable_shape()->add_dim()->set_dim_value(extent);
  return info;
}

/// Type and shape of a value at which the network is to begin.
onnx_schema::ValueInfo describe_value(const onnx_schema::Model& model, const std::string& name,
                                      const std::filesystem::path& folder,
                                      const ImportOptions& options) {
  const onnx_schema::ValueInfo* stated = stated_value(model.graph(), name);
  if (options.input_shapes.contains(name)) {
    const DType dtype = stated == nullptr
                            ? DType::Float32
                            : static_cast<DType>(stated->type().tensor_type().elem_type());
    return value_info(dtype, nullptr);
  }
  if (stated != nullptr && states_shape(*stated)) return *stated;
  try {
    onnx_schema::Model before = model;
    cut(*before.mutable_graph(), {}, {name}, nullptr);
    ImportOptions same = options;
    same.inputs.clear();
    same.outputs.clear();
    std::erase_if(same.input_shapes, [&](const auto& given) {
      return stated_value(before.graph(), given.first) == nullptr;
    });
    Graph graph = Importer(before, folder, same).run();
    ops::infer_shapes(graph);
    const Value& value = graph.value(graph.outputs()[0]);
    return value_info(value.dtype, &*value.shape);
  } catch (const Error& error) {
    throw Error(ErrorCode::Unsupported,
                fmt::format("--inputs: the shape of '{}' is not known: {}", name, error.message()))
        .remedy(fmt::format("Give it, as --input-shape {}=1,3,224,224", name));
  }
}

}  // namespace

Graph import_model(std::span<const std::byte> bytes, const std::filesystem::path& folder,
                   const ImportOptions& options) {
  onnx_schema::Model model = parse(bytes);
  cut(*model.mutable_graph(), options.inputs, options.outputs,
      [&](const std::string& name) { return describe_value(model, name, folder, options); });
  return Importer(model, folder, options).run();
}

Graph import_model(const std::filesystem::path& path, const ImportOptions& options) {
  try {
    const std::vector<std::byte> bytes = read_file(path);
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    return import_model(bytes, folder, options);
  } catch (Error& e) {
    if (e.file().empty()) e.file(path.string());
    throw;
  }
}

}  // namespace espquant::onnx
