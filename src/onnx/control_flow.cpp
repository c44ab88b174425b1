#include "onnx/control_flow.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace espquant::onnx {
namespace {

[[noreturn]] void depends_on_data(const onnx_schema::Node& node, std::string_view what) {
  throw Error(ErrorCode::Unsupported,
              fmt::format("{}: {} depends on the network's data", node.op_type(), what))
      .remedy(
          "control flow (If, Loop, Scan) cannot run on the chip; export the model with it "
          "resolved: "
          "fixed shapes, torch.jit.trace instead of script");
}

const onnx_schema::Graph& body_of(const onnx_schema::Node& node, const std::string& attribute) {
  const onnx_schema::Graph* body = graph_attribute(node, attribute);
  if (body == nullptr)
    throw Error(ErrorCode::Malformed,
                fmt::format("{} without its graph '{}'", node.op_type(), attribute));
  return *body;
}

void malformed_count(const onnx_schema::Node& node, std::string_view what) {
  throw Error(ErrorCode::Malformed,
              fmt::format("{}: its {} do not fit its body's", node.op_type(), what));
}

std::string outside(const Renaming& names, const std::string& name) {
  const auto it = names.find(name);
  return it == names.end() ? name : it->second;
}

void write_out_if(const onnx_schema::Node& node, const std::string& name,
                  const ControlFlowHost& host) {
  if (node.input_size() != 1) malformed_count(node, "inputs");
  const auto condition = host.scalar(node.input(0));
  if (!condition) depends_on_data(node, "its condition");
  const onnx_schema::Graph& branch = body_of(node, *condition != 0 ? "then_branch" : "else_branch");
  if (branch.output_size() < node.output_size()) malformed_count(node, "outputs");
  Renaming names;
  Inlined copy = copy_of(branch, name + "/", names);
  for (int i = 0; i < node.output_size(); ++i)
    if (!node.output(i).empty())
      copy.nodes.push_back(simple_node("Identity", fmt::format("{}/output_{}", name, i),
                                       {outside(names, branch.output(i).name())}, node.output(i)));
  host.add(copy);
}

/// Whether a loop goes on is found by looking at all that was written out before: so many nodes
/// more does an iteration count for.
constexpr std::int64_t kCostOfDecision = 16;

/// What one output collects over the iterations.
struct Collected {
  std::string output;
  std::int64_t axis = 0;
  bool backward = false;
  std::vector<std::string> slices;
};

/// Unsqueeze and Concat of the slices.
void write_collected(const std::string& name, const Collected& collected, Inlined& to) {
  if (collected.output.empty()) return;
  if (collected.slices.empty())
    throw Error(ErrorCode::Unsupported, "a loop that never runs puts out an empty tensor")
        .remedy("remove the loop before exporting");
  const std::string axes = collected.output + "/axis";
  to.constants.push_back(int64_constant(axes, {1}, {collected.axis}));
  std::vector<std::string> parts;
  for (const std::string& slice : collected.slices) {
    parts.push_back(fmt::format("{}/slice_{}", collected.output, parts.size()));
    to.nodes.push_back(simple_node("Unsqueeze", parts.back(), {slice, axes}, parts.back()));
  }
  if (collected.backward) std::reverse(parts.begin(), parts.end());
  onnx_schema::Node concat =
      simple_node("Concat", name + "/" + collected.output, parts, collected.output);
  set_int(concat, "axis", collected.axis);
  to.nodes.push_back(std::move(concat));
}

/// The outputs: states after the last iteration, then what was collected.
Inlined end_of_loop(const onnx_schema::Node& node, const std::string& name,
                    const std::vector<std::string>& state,
                    const std::vector<Collected>& collected) {
  Inlined end;
  const int states = std::min(static_cast<int>(state.size()), node.output_size());
  for (int i = 0; i < states; ++i)
    if (!node.output(i).empty())
      end.nodes.push_back(simple_node("Identity", fmt::format("{}/output_{}", name, i),
                                      {state[static_cast<std::size_t>(i)]}, node.output(i)));
  for (const Collected& c : collected) write_collected(name, c, end);
  return end;
}

void check_size(const onnx_schema::Node& node, const onnx_schema::Graph& body,
                std::int64_t iterations) {
  if (iterations > kMostUnrolledNodes / std::max(body.node_size(), 1))
    throw Error(ErrorCode::Unsupported,
                fmt::format("{}: {} iterations of {} nodes are too many to be written out",
                            node.op_type(), iterations, body.node_size()))
        .remedy("run the loop in the application, one step of it on the chip");
}

/// True when a loop's body hands its condition on as it is.
bool passes_condition_on(const onnx_schema::Graph& body) {
  std::string name = body.output(0).name();
  for (int i = body.node_size(); i-- > 0;) {
    const onnx_schema::Node& node = body.node(i);
    if (node.output_size() == 1 && node.output(0) == name && node.op_type() == "Identity" &&
        node.input_size() == 1)
      name = node.input(0);
  }
  return name == body.input(1).name();
}

void write_out_loop(const onnx_schema::Node& node, const std::string& name,
                    const ControlFlowHost& host) {
  const onnx_schema::Graph& body = body_of(node, "body");
  const int carried = node.input_size() - 2;
  if (carried < 0 || body.input_size() != carried + 2) malformed_count(node, "inputs");
  if (body.output_size() < carried + 1 || body.output_size() - 1 < node.output_size())
    malformed_count(node, "outputs");
  std::int64_t trips = std::numeric_limits<std::int64_t>::max();
  if (!node.input(0).empty()) {
    const auto known = host.scalar(node.input(0));
    if (!known) depends_on_data(node, "the number of its iterations");
    trips = *known;
  }
  bool going = true;
  if (!node.input(1).empty()) {
    const auto known = host.scalar(node.input(1));
    if (!known) depends_on_data(node, "its condition");
    going = *known != 0;
  }
  std::vector<std::string> state;
  for (int i = 0; i < carried; ++i) state.push_back(node.input(i + 2));
  std::vector<Collected> collected;
  for (int i = carried; i < node.output_size(); ++i)
    collected.push_back({node.output(i), 0, false, {}});
  const bool endless = passes_condition_on(body);
  if (endless && going) check_size(node, body, trips);
  for (std::int64_t i = 0; i < trips && going; ++i) {
    check_size(node, body, endless ? i + 1 : (i + 1) * kCostOfDecision);
    const std::string prefix = fmt::format("{}/{}/", name, i);
    Renaming names;
    Inlined step;
    const std::string counter = prefix + "iteration", condition = prefix + "condition";
    step.constants.push_back(int64_constant(counter, {}, {i}));
    onnx_schema::Tensor on;
    on.set_name(condition);
    constexpr std::int32_t kBool = 9;
    on.set_data_type(kBool);
    on.add_int32_data(1);
    step.constants.push_back(std::move(on));
    names[body.input(0).name()] = counter;
    names[body.input(1).name()] = condition;
    for (int k = 0; k < carried; ++k)
      names[body.input(k + 2).name()] = state[static_cast<std::size_t>(k)];
    Inlined copy = copy_of(body, prefix, names);
    copy.constants.insert(copy.constants.end(), step.constants.begin(), step.constants.end());
    host.add(copy);
    for (int k = 0; k < carried; ++k)
      state[static_cast<std::size_t>(k)] = outside(names, body.output(k + 1).name());
    for (std::size_t k = 0; k < collected.size(); ++k)
      collected[k].slices.push_back(
          outside(names, body.output(carried + 1 + static_cast<int>(k)).name()));
    if (endless) continue;
    const std::string next = outside(names, body.output(0).name());
    const auto known = host.scalar(next);
    if (!known) depends_on_data(node, "when it ends");
    going = *known != 0;
  }
  host.add(end_of_loop(node, name, state, collected));
}

std::int64_t entry(const std::vector<std::int64_t>& list, int i) {
  return static_cast<std::size_t>(i) < list.size() ? list[static_cast<std::size_t>(i)] : 0;
}

void write_out_scan(const onnx_schema::Node& node, const std::string& name,
                    const ControlFlowHost& host) {
  const onnx_schema::Graph& body = body_of(node, "body");
  const int scanned = static_cast<int>(int_attribute(node, "num_scan_inputs", 0));
  const int carried = node.input_size() - scanned;
  if (scanned < 1 || carried < 0 || body.input_size() != node.input_size())
    malformed_count(node, "inputs");
  if (body.output_size() < carried || body.output_size() < node.output_size())
    malformed_count(node, "outputs");
  const auto in_axes = ints_attribute(node, "scan_input_axes"),
             in_directions = ints_attribute(node, "scan_input_directions"),
             out_axes = ints_attribute(node, "scan_output_axes"),
             out_directions = ints_attribute(node, "scan_output_directions");
  std::vector<std::int64_t> axes;
  std::int64_t trips = -1;
  for (int i = 0; i < scanned; ++i) {
    const auto shape = host.shape(node.input(carried + i));
    if (!shape) depends_on_data(node, "the shape of what it scans");
    axes.push_back(normalize_axis(entry(in_axes, i), static_cast<std::int64_t>(shape->size())));
    const std::int64_t extent = (*shape)[static_cast<std::size_t>(axes.back())];
    if (trips >= 0 && trips != extent) malformed_count(node, "scanned extents");
    trips = extent;
  }
  check_size(node, body, trips);
  std::vector<std::string> state;
  for (int i = 0; i < carried; ++i) state.push_back(node.input(i));
  std::vector<Collected> collected;
  for (int i = carried; i < node.output_size(); ++i)
    collected.push_back({node.output(i),
                         entry(out_axes, i - carried),
                         entry(out_directions, i - carried) != 0,
                         {}});
  for (std::int64_t i = 0; i < trips; ++i) {
    const std::string prefix = fmt::format("{}/{}/", name, i);
    Renaming names;
    Inlined slices;
    for (int k = 0; k < carried; ++k)
      names[body.input(k).name()] = state[static_cast<std::size_t>(k)];
    for (int k = 0; k < scanned; ++k) {
      const std::string position = fmt::format("{}position_{}", prefix, k),
                        slice = fmt::format("{}scanned_{}", prefix, k);
      const std::int64_t at = entry(in_directions, k) != 0 ? trips - 1 - i : i;
      slices.constants.push_back(int64_constant(position, {}, {at}));
      onnx_schema::Node gather =
          simple_node("Gather", slice, {node.input(carried + k), position}, slice);
      set_int(gather, "axis", axes[static_cast<std::size_t>(k)]);
      slices.nodes.push_back(std::move(gather));
      names[body.input(carried + k).name()] = slice;
    }
    host.add(slices);
    host.add(copy_of(body, prefix, names));
    for (int k = 0; k < carried; ++k)
      state[static_cast<std::size_t>(k)] = outside(names, body.output(k).name());
    for (std::size_t k = 0; k < collected.size(); ++k)
      collected[k].slices.push_back(
          outside(names, body.output(carried + static_cast<int>(k)).name()));
  }
  host.add(end_of_loop(node, name, state, collected));
}

}  // namespace

bool is_control_flow(const onnx_schema::Node& node) {
  if (!node.domain().empty() && node.domain() != "ai.onnx") return false;
  return node.op_type() == "If" || node.op_type() == "Loop" || node.op_type() == "Scan";
}

void write_out(const onnx_schema::Node& node, const std::string& name,
               const ControlFlowHost& host) {
  if (node.op_type() == "If") return write_out_if(node, name, host);
  if (node.op_type() == "Loop") return write_out_loop(node, name, host);
  write_out_scan(node, name, host);
}

}  // namespace espquant::onnx
