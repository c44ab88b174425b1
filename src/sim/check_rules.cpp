#include "sim/check_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "espdl/filter_layout.h"
#include "sim/conv_problem.h"

namespace espquant::sim {
namespace {

constexpr const char* kExportAgain = "Export the model again";

struct NeededAttributes {
  std::string_view op;
  std::array<std::string_view, 3> names;
};

/// Beside quant_type, which every operator needs.
constexpr std::array kNeeded = {
    NeededAttributes{"AveragePool", {"kernel_shape", "strides"}},
    NeededAttributes{"Concat", {"axis"}},
    NeededAttributes{"Conv", {"activation", "dilations", "strides"}},
    NeededAttributes{"DepthToSpace", {"blocksize", "mode"}},
    NeededAttributes{"Gelu", {"lut"}},
    NeededAttributes{"Gemm", {"activation"}},
    NeededAttributes{"InsertZeros", {"output_padding", "stride"}},
    NeededAttributes{"LUT", {"lut"}},
    NeededAttributes{"MatMul", {"activation"}},
    NeededAttributes{"MaxPool", {"kernel_shape", "strides"}},
    NeededAttributes{"Pad", {"mode"}},
    NeededAttributes{"Resize", {"mode"}},
    NeededAttributes{"SpaceToDepth", {"blocksize"}},
    NeededAttributes{"Transpose", {"perm"}},
};

bool multiplies(const espdl::Node& node) {
  return node.op == "Conv" || node.op == "Gemm" || node.op == "MatMul";
}

std::vector<std::string_view> needed_attributes(std::string_view op) {
  std::vector<std::string_view> names{"quant_type"};
  for (const NeededAttributes& needed : kNeeded)
    if (needed.op == op)
      for (const std::string_view name : needed.names)
        if (!name.empty()) names.push_back(name);
  return names;
}

std::set<std::string_view> tensors_read(const espdl::Model& model) {
  std::set<std::string_view> names;
  for (const espdl::Node& node : model.nodes) names.insert(node.inputs.begin(), node.inputs.end());
  return names;
}

void check_node_names(const espdl::Model& model, const Report& report) {
  std::set<std::string_view> names;
  for (const espdl::Node& node : model.nodes) {
    if (!node.name.empty() && names.insert(node.name).second) continue;
    report({.node = node.name,
            .op = node.op,
            .rule = "ESP-DL 1.5",
            .name = "node-name",
            .message = node.name.empty()
                           ? "the node has no name, by which the runtime finds its attributes"
                           : "another node has the same name: both get the attributes of one",
            .remedy = "Give every node a name of its own"});
  }
}

Finding without_exponent(std::string_view tensor, DType dtype) {
  return {.tensor = std::string(tensor),
          .rule = "ESP-DL 1.4",
          .name = "no-exponent",
          .message = fmt::format("an {} tensor without an exponent", to_string(dtype)),
          .remedy = "Export the model again with the exponents of all quantized tensors"};
}

}  // namespace

void check_graph(const espdl::Model& model, const Report& report) {
  check_node_names(model, report);
  const auto read = tensors_read(model);
  for (const std::string& input : model.inputs)
    if (!read.contains(input))
      report({.tensor = input,
              .rule = "ESP-DL 1.5",
              .name = "unused-input",
              .message = "no node reads this input: the runtime makes no tensor for it, and "
                         "crashes when it is set",
              .remedy = "Remove the input from the graph"});
  for (const espdl::ValueInfo& value : model.values) {
    if (!is_quantized(value.dtype)) continue;
    if (value.exponents.empty()) report(without_exponent(value.name, value.dtype));
    if (value.exponents.size() > 1)
      report({.tensor = value.name,
              .rule = "ESP-DL 1.4",
              .name = "activation-per-channel",
              .message = fmt::format("an activation with {} exponents, where the runtime reads one",
                                     value.exponents.size()),
              .remedy = "Quantize activations per tensor"});
  }
}

void check_test_values(const espdl::Model& model,
                       const std::function<const TensorDesc*(std::string_view)>& desc_of,
                       const Report& report) {
  const auto add = [&](const std::string& tensor, std::string message) {
    report({.tensor = tensor,
            .rule = "ESP-DL 1.6",
            .name = "test-values",
            .message = std::move(message),
            .remedy = "Export the model again with test values, or without any"});
  };
  if (model.test_outputs.empty()) return;
  for (const std::string& input : model.inputs) {
    const auto given = std::find_if(model.test_inputs.begin(), model.test_inputs.end(),
                                    [&](const auto& c) { return c.name == input; });
    if (given == model.test_inputs.end()) {
      add(input, "Model::test() fails: the input has no test value");
    } else if (const TensorDesc* desc = desc_of(input);
               desc != nullptr && element_count(desc->shape) != given->data.size()) {
      add(input, fmt::format("Model::test() fails: the test value has {} elements, the input {}",
                             given->data.size(), element_count(desc->shape)));
    }
  }
  for (const espdl::Constant& expected : model.test_outputs) {
    const TensorDesc* desc = desc_of(expected.name);
    if (desc == nullptr) {
      add(expected.name, "Model::test() fails: no node produces the tensor of this test value");
    } else if (desc->dtype != expected.data.dtype() || desc->shape != expected.data.shape() ||
               desc->exponent() != expected.exponent()) {
      add(expected.name,
          fmt::format("Model::test() fails: the test value is {} {} with exponent {}, the tensor "
                      "{} {} with exponent {}",
                      to_string(expected.data.dtype()), to_string(expected.data.shape()),
                      expected.exponent(), to_string(desc->dtype), to_string(desc->shape),
                      desc->exponent()));
    }
  }
}

void check_made_for(const espdl::Model& model, const Target& target, bool filter_layouts_unknown,
                    const Report& report) {
  const std::string named = model.metadata_value("target");
  const auto targets = all_targets();
  const auto made_for = std::find_if(targets.begin(), targets.end(),
                                     [&](const Target& t) { return t.name == named; });
  if (made_for == targets.end() || made_for->family == target.family) return;
  constexpr int kAnyBits = 8;
  const bool packed_alike = made_for->lanes(kAnyBits) == target.lanes(kAnyBits);
  if (!packed_alike && filter_layouts_unknown)
    report({.rule = "ESP-DL 4.1",
            .name = "other-target",
            .message = fmt::format("the file was made for {}, whose filters are packed otherwise "
                                   "than those of {}",
                                   made_for->name, target.name),
            .remedy = fmt::format("Quantize the network for {}", target.name)});
  if (packed_alike)
    report({.severity = Severity::Note,
            .rule = "ESP-DL 3.21",
            .name = "other-target",
            .message = fmt::format("the file was made for {}, which rounds or saturates otherwise "
                                   "than {}: results differ from those it was tested with",
                                   made_for->name, target.name),
            .remedy = fmt::format("Quantize the network for {}", target.name)});
}

bool check_attributes(const espdl::Node& node, const Report& report) {
  bool complete = true;
  const auto add = [&](std::string message, std::string remedy) {
    complete = false;
    report({.node = node.name,
            .op = node.op,
            .rule = "ESP-DL 1.5",
            .name = "attribute",
            .message = std::move(message),
            .remedy = std::move(remedy)});
  };
  for (const std::string_view name : needed_attributes(node.op))
    if (!node.has(name))
      add(fmt::format("the attribute '{}' is missing, and the runtime has no value in its place",
                      name),
          kExportAgain);
  if (!node.has("quant_type")) return false;
  const auto* text = std::get_if<std::string>(&node.attributes.find("quant_type")->second);
  if (is_w8a16(node)) {
    if (!multiplies(node))
      add(fmt::format("{} knows no quant_type {}", node.op, espdl::kW8A16),
          "Only Conv, Gemm and MatMul do; others of int16 have S16");
  } else if (text == nullptr || (*text != "S8" && *text != "S16" && *text != "F32")) {
    add(fmt::format("quant_type {}is not known", text ? "'" + *text + "' " : ""),
        "It is S8, S16, W8A16 or F32");
  }
  return complete;
}

void WeightRules::add(const espdl::Node& node, std::string_view tensor, std::string rule,
                      std::string name, std::string message, std::string remedy) {
  report_({.node = node.name,
           .op = node.op,
           .tensor = std::string(tensor),
           .rule = std::move(rule),
           .name = std::move(name),
           .message = std::move(message),
           .remedy = std::move(remedy)});
}

void WeightRules::check(const espdl::Node& node, std::span<const TensorDesc> inputs,
                        std::span<const espdl::Constant* const> constants) {
  check_constants(node, constants);
  if (!multiplies(node) || inputs.size() < 2) return;
  check_quant_type(node, inputs[0]);
  const auto* group = node.op == "Conv" && node.has("group")
                          ? std::get_if<std::int64_t>(&node.attributes.find("group")->second)
                          : nullptr;
  const bool depthwise = group != nullptr && *group > 1;
  if (constants[1] == nullptr || !is_quantized(constants[1]->data.dtype())) return;
  check_layout(node, *constants[1], depthwise);
  if (node.op != "MatMul" && constants.size() > 2 && constants[2] != nullptr)
    check_bias(node, inputs[0], *constants[1], *constants[2], depthwise);
}

void WeightRules::check_constants(const espdl::Node& node,
                                  std::span<const espdl::Constant* const> constants) {
  const bool has_bias = node.op == "Conv" || node.op == "Gemm";
  for (std::size_t i = 0; i < constants.size(); ++i) {
    if (constants[i] == nullptr) continue;
    const espdl::Constant& constant = *constants[i];
    const bool is_weight = (multiplies(node) && i == 1) || (has_bias && i == 2);
    if (constant.exponents.empty() && (is_quantized(constant.data.dtype()) || is_weight)) {
      Finding finding = without_exponent(constant.name, constant.data.dtype());
      finding.node = node.name;
      finding.op = node.op;
      report_(std::move(finding));
    }
    // Weights per channel on a chip with one shift: the operator refuses them itself.
    if (constant.exponents.size() > 1 && !is_weight)
      add(node, constant.name, "ESP-DL 1.4", "per-channel",
          fmt::format("{} exponents, where {} reads one", constant.exponents.size(), node.op),
          "Quantize the tensor with one exponent");
  }
}

void WeightRules::check_quant_type(const espdl::Node& node, const TensorDesc& input) {
  if (!is_quantized(input.dtype)) return;  // refused by the operator
  const std::string quant_type = node.get_string("quant_type", "");
  if (is_w8a16(node)) return;  // its types are the operator's to refuse
  if (quant_type != espdl::quant_type_of(input.dtype))
    add(node, "", "ESP-DL 1.5", "quant-type",
        fmt::format("quant_type is {}, but input 0 is {}", quant_type, to_string(input.dtype)),
        "Insert a requantize node, or quantize the tensor as the operator is");
}

void WeightRules::check_layout(const espdl::Node& node, const espdl::Constant& filter,
                               bool depthwise) {
  using Kind = espdl::FilterLayout::Kind;
  // Its order is the network's own.
  if (node.op == "MatMul" && node.get_string("input1_layout", "") == "native_kn") return;
  const auto layout = espdl::parse_filter_layout(filter.doc);
  if (!layout) {
    met_unknown_layout_ = true;
    return;
  }
  // ESP-DL 3.3.11: filters of W8A16 are blocked as those of int16.
  const bool int8 = filter.data.dtype() == DType::Int8 && !is_w8a16(node);
  const int lanes = target_.lanes(int8 ? 8 : 16);
  if (layout->lanes != lanes)
    add(node, filter.name, "ESP-DL 4.1", "filter-layout",
        fmt::format("the filter is packed for {}, {} reads it {}",
                    layout->lanes == 1 ? "chips without vectors"
                                       : fmt::format("vectors of {}", layout->lanes),
                    target_.name, lanes == 1 ? "unpacked" : fmt::format("in vectors of {}", lanes)),
        fmt::format("Quantize the network for {}", target_.name));
  else if (layout->kind == (depthwise ? Kind::Dense : Kind::Depthwise))
    add(node, filter.name, "ESP-DL 4.1", "filter-layout",
        fmt::format("the filter is stored as that of a {} convolution",
                    depthwise ? "dense" : "depthwise"),
        kExportAgain);
}

void WeightRules::check_bias(const espdl::Node& node, const TensorDesc& input,
                             const espdl::Constant& filter, const espdl::Constant& bias,
                             bool depthwise) {
  if (target_.family == Family::S3) {
    const auto [before, first] = packed_.emplace(bias.name, node.name);
    if (!first)
      add(node, bias.name, "ESP-DL 4.3", "bias-shared",
          fmt::format("node '{}' reads the same bias, and each of the two packs it for its lanes, "
                      "the second what the first has packed",
                      before->second),
          "Store the bias once for each node, under names of their own");
  }
  const bool int8 = input.dtype == DType::Int8;
  if (bias.data.dtype() != (int8 ? DType::Int32 : DType::Int64)) return;  // the operator refuses it
  const std::int64_t channels = bias.data.size();
  MacArithmetic arithmetic;
  arithmetic.bits = int8 ? 8 : 16;
  set_accumulators(arithmetic, target_, channels, depthwise, true);
  const Tensor wide = bias.data.cast(DType::Int64);
  const auto values = wide.data<std::int64_t>();
  std::int64_t too_wide = 0, first = 0;
  for (std::int64_t c = channels - 1; c >= 0; --c) {
    const std::int64_t value = values[static_cast<std::size_t>(c)];
    if (initial_sum(arithmetic, target_, c, value, true) == value) continue;
    ++too_wide;
    first = c;
  }
  if (too_wide > 0)
    add(node, bias.name, "ESP-DL 4.3", "bias-width",
        fmt::format("{} of {} biases do not fit their {} bits on {} and lose the upper ones, first "
                    "{} of channel {}",
                    too_wide, channels, target_.bias_bits(arithmetic.bits), target_.name,
                    values[static_cast<std::size_t>(first)], first),
        "Raise the exponent of the weights or of the input, so that the bias becomes smaller");

  const auto exponent_at = [](const std::vector<int>& all, std::size_t c) {
    return all.size() == 1 ? all[0] : c < all.size() ? all[c] : 0;
  };
  const std::size_t count = std::max(filter.exponents.size(), bias.exponents.size());
  for (std::size_t c = 0; c < count && !filter.exponents.empty() && !bias.exponents.empty(); ++c) {
    const int wanted = input.exponent() + exponent_at(filter.exponents, c);
    const int given = exponent_at(bias.exponents, c);
    if (given == wanted) continue;
    add(node, bias.name, "ESP-DL 4.2", "bias-exponent",
        fmt::format("the bias has exponent {}, input and weights together {}: it is added wrong by "
                    "a power of two",
                    given, wanted),
        "Store the bias with the sum of the exponents of input and weights");
    return;
  }
}

}  // namespace espquant::sim
