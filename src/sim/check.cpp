#include "sim/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sim/check_rules.h"
#include "sim/fault_texts.h"
#include "sim/made_for.h"
#include "sim/prepare.h"

namespace espquant::sim {
namespace {

struct Section {
  std::string_view rule;
  std::array<std::string_view, 14> operators;
};

/// Where the reference describes an operator.
constexpr std::array kSections = {
    Section{"ESP-DL 3.1", {"Conv"}},
    Section{"ESP-DL 3.4", {"InsertZeros"}},
    Section{"ESP-DL 3.5", {"Gemm", "MatMul"}},
    Section{"ESP-DL 3.6", {"AveragePool", "GlobalAveragePool"}},
    Section{"ESP-DL 3.7", {"MaxPool"}},
    Section{"ESP-DL 3.8", {"Add", "Sub"}},
    Section{"ESP-DL 3.9", {"Mul"}},
    Section{"ESP-DL 3.10", {"Div", "Mod", "Pow"}},
    Section{"ESP-DL 3.11", {"RequantizeLinear", "QuantizeLinear", "DequantizeLinear"}},
    Section{"ESP-DL 3.12",
            {"Clip", "Elu", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "LUT", "Log",
             "Neg", "PRelu", "Relu", "Sigmoid", "Sqrt"}},
    Section{"ESP-DL 3.12", {"Swish", "Tanh"}},
    Section{"ESP-DL 3.13", {"LogSoftmax", "Softmax"}},
    Section{"ESP-DL 3.14",
            {"Concat", "DepthToSpace", "Flatten", "Gather", "Identity", "Pad", "Reshape",
             "ReverseSequence", "ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze",
             "StreamingCache"}},
    Section{"ESP-DL 3.14", {"Transpose", "Unsqueeze"}},
    Section{"ESP-DL 3.15", {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}},
    Section{"ESP-DL 3.16", {"Resize"}},
    Section{"ESP-DL 3.17",
            {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
             "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"}},
    Section{"ESP-DL 3.18", {"LayerNormalization", "LpNormalization", "RMSNormalization"}},
    Section{"ESP-DL 3.19", {"GRU", "LSTM"}},
};

/// Operators that ESP-DL does not have are those that its table leaves out (11).
std::string_view section_of(std::string_view op) {
  for (const Section& section : kSections)
    for (const std::string_view name : section.operators)
      if (!name.empty() && name == op) return section.rule;
  return "ESP-DL 11";
}

class Checker {
 public:
  Checker(const espdl::Model& model, const Target& target)
      : model_(model), target_(target), weights_(target, report_) {
    for (const espdl::Constant& c : model.initializers) constants_.emplace(c.name, &c);
    for (const espdl::ValueInfo& v : model.values) values_.emplace(v.name, &v);
  }

  std::vector<Finding> run(std::span<const Error> defects) {
    for (const Error& defect : defects) add_known(defect);
    check_graph(model_, report_);
    for (const std::string& name : model_.inputs)
      if (const auto value = values_.find(name); value != values_.end()) declare(name);
    for (const espdl::Node& node : model_.nodes) check_node(node);
    for (const std::string& name : model_.outputs)
      if (!tensors_.contains(name)) add_undefined("", "", name);
    check_test_values(
        model_,
        [this](std::string_view name) {
          const auto tensor = tensors_.find(name);
          return tensor == tensors_.end() ? nullptr : &tensor->second;
        },
        report_);
    check_made_for(model_, target_, weights_.met_unknown_layout(), report_);
    return std::move(findings_);
  }

 private:
  /// What the reader found; the rest of the model is judged without it.
  void add_known(const Error& defect) {
    if (!defect.tensor().empty()) damaged_tensors_.insert(defect.tensor());
    if (!defect.node().empty() && defect.tensor().empty()) damaged_nodes_.insert(defect.node());
    add("", "", "ESP-DL 1.4", defect);
  }

  void add(const std::string& node, const std::string& op, std::string_view rule,
           const Error& error) {
    findings_.push_back(
        {.node = error.node().empty() ? node : error.node(),
         .op = op,
         .tensor = error.tensor(),
         .rule = std::string(rule),
         .name = std::string(to_string(error.code())),
         .message = error.message(),
         .remedy = error.remedy().empty() ? "Export the model again" : error.remedy()});
  }

  void add_undefined(const std::string& node, const std::string& op, const std::string& tensor) {
    if (!damaged_tensors_.insert(tensor).second) return;
    findings_.push_back({.node = node,
                         .op = op,
                         .tensor = tensor,
                         .rule = "ESP-DL 1.5",
                         .name = "undefined-name",
                         .message = "it is read, but it is no parameter and nothing before that "
                                    "point produces it",
                         .remedy = "Export the model again"});
  }

  /// Takes the tensor as the file declares it.
  void declare(const std::string& name) {
    const auto value = values_.find(name);
    if (value == values_.end()) {
      damaged_tensors_.insert(name);
      return;
    }
    TensorDesc desc = describe(*value->second);
    try {
      check_desc(name, desc);
      tensors_.insert_or_assign(name, std::move(desc));
    } catch (const Error& error) {
      if (damaged_tensors_.insert(name).second) add("", "", "ESP-DL 1.4", error);
    }
  }

  struct Operands {
    std::vector<TensorDesc> descs;
    std::vector<const espdl::Constant*> constants;
    bool known = true;
  };

  Operands operands_of(const espdl::Node& node) {
    Operands operands;
    for (const std::string& name : node.inputs) {
      const espdl::Constant* constant = nullptr;
      TensorDesc desc;
      if (const auto c = constants_.find(name); c != constants_.end()) {
        constant = c->second;
        desc = describe(*constant);
      } else if (const auto t = tensors_.find(name); t != tensors_.end()) {
        desc = t->second;
      } else if (!name.empty()) {
        add_undefined(node.name, node.op, name);
        operands.known = false;
      }
      operands.constants.push_back(constant);
      operands.descs.push_back(std::move(desc));
    }
    return operands;
  }

  void check_node(const espdl::Node& node) {
    const Operands operands = operands_of(node);
    std::vector<TensorDesc> computed;
    if (operands.known && !damaged_nodes_.contains(node.name)) computed = prepare(node, operands);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const std::string& name = node.outputs[i];
      if (name.empty()) continue;
      if (i < computed.size())
        tensors_.insert_or_assign(name, std::move(computed[i]));
      else
        declare(name);
    }
  }

  /// The outputs as the runtime computes them; none where the node is refused.
  std::vector<TensorDesc> prepare(const espdl::Node& node, const Operands& operands) {
    const std::string_view section = section_of(node.op);
    try {
      const Operator& op = find_operator(node);
      if (const FeatureFact* missing = missing_feature(node, target_)) {
        add_lacking(node, *missing);
        return {};
      }
      if (!check_attributes(node, report_)) return {};
      weights_.check(node, operands.descs, operands.constants);
      std::vector<TensorDesc> declared;
      for (const std::string& name : node.outputs) {
        const auto value = values_.find(name);
        declared.push_back(value == values_.end() ? TensorDesc{} : describe(*value->second));
      }
      Prepared prepared = op.prepare(
          {model_, node, operands.descs, operands.constants, declared, target_, options_});
      for (std::size_t i = 0; i < prepared.outputs.size() && i < node.outputs.size(); ++i) {
        check_desc(node.outputs[i], prepared.outputs[i]);
        check_shape(node, i, declared[i], prepared.outputs[i]);
      }
      for (const std::string& fault : prepared.faults) add_fault(node, section, fault);
      return std::move(prepared.outputs);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Internal) throw;
      add(node.name, node.op, section, error);
      return {};
    }
  }

  /// The runtime computes shapes itself, and ESP-PPQ's files often declare others within the graph.
  /// What counts is the number of elements, and what the application sees.
  bool damaging_difference(const std::string& tensor, Shape declared, Shape computed) const {
    if (element_count(declared) != element_count(computed)) return true;
    std::erase(declared, 1);
    std::erase(computed, 1);
    const bool is_output =
        std::find(model_.outputs.begin(), model_.outputs.end(), tensor) != model_.outputs.end();
    return is_output && declared != computed;
  }

  void check_shape(const espdl::Node& node, std::size_t output, const TensorDesc& declared,
                   const TensorDesc& computed) {
    const std::string& name = node.outputs[output];
    if (name.empty() || !damaging_difference(name, declared.shape, computed.shape)) return;
    findings_.push_back(
        {.node = node.name,
         .op = node.op,
         .tensor = name,
         .rule = std::string(section_of(node.op)),
         .name = "shape",
         .message = fmt::format("the model declares the shape {}, the runtime computes {}",
                                to_string(declared.shape), to_string(computed.shape)),
         .remedy = "Check the node's attributes, and export the model again"});
  }

  void add_lacking(const espdl::Node& node, const FeatureFact& fact) {
    const Error error = lacking(fact, target_);
    findings_.push_back({.node = node.name,
                         .op = node.op,
                         .rule = fmt::format("ESP-DL {}", fact.since.version),
                         .name = "release",
                         .message = error.message(),
                         .remedy = error.remedy()});
  }

  void add_fault(const espdl::Node& node, std::string_view section, const std::string& fault) {
    const FaultText& text = fault_text(fault);
    findings_.push_back({.severity = text.certain ? Severity::Defect : Severity::Note,
                         .node = node.name,
                         .op = node.op,
                         .rule = std::string(section),
                         .name = fault,
                         .message = std::string(text.message),
                         .remedy = std::string(text.remedy)});
  }

  const espdl::Model& model_;
  const Target& target_;
  const Options options_{.kernels = KernelChoice::Reference};
  std::vector<Finding> findings_;
  const Report report_ = [this](Finding finding) { findings_.push_back(std::move(finding)); };
  WeightRules weights_;
  std::map<std::string_view, const espdl::Constant*> constants_;
  std::map<std::string_view, const espdl::ValueInfo*> values_;
  /// Activations, as computed where that is known, else as declared.
  std::map<std::string, TensorDesc, std::less<>> tensors_;
  /// Already reported.
  std::set<std::string, std::less<>> damaged_tensors_, damaged_nodes_;
};

}  // namespace

std::vector<Finding> check(const espdl::Model& model, const Target& target,
                           std::span<const Error> defects) {
  return Checker(model, target).run(defects);
}

}  // namespace espquant::sim
