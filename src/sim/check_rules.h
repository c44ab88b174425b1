#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "sim/check.h"
#include "sim/kernel.h"

/// Rules of ESP-DL that no operator checks while it is prepared, since they concern the file, or
/// numbers that the simulator computes with as the chip does. Each reports under a stable name.
namespace espquant::sim {

using Report = std::function<void(Finding)>;

/// "node-name": the runtime finds attributes by the node's name (1.5). "unused-input": it makes no
/// tensor for an input that no node reads, and then writes to it (1.5). "no-exponent" and
/// "activation-per-channel": an integer activation has one exponent (1.4).
void check_graph(const espdl::Model& model, const Report& report);

/// "test-values": what Model::test() fails on before it compares a single element (1.6). `desc_of`
/// gives a tensor's description, or null.
void check_test_values(const espdl::Model& model,
                       const std::function<const TensorDesc*(std::string_view)>& desc_of,
                       const Report& report);

/// "other-target": the file says that it was made for a chip whose filters are packed otherwise
/// (defect) or whose rounding differs (note) (3.21). `filter_layouts_unknown`: not all filters say
/// how they are packed, so that the former is judged by the file's target.
void check_made_for(const espdl::Model& model, const Target& target, bool filter_layouts_unknown,
                    const Report& report);

/// "attribute": attributes that the runtime reads into variables without a value (1.5), or of the
/// wrong type. Whether all are there.
bool check_attributes(const espdl::Node& node, const Report& report);

/// Weights and biases of Conv, Gemm and MatMul.
class WeightRules {
 public:
  WeightRules(const Target& target, const Report& report) : target_(target), report_(report) {}

  /// "quant-type": the kernel is chosen by it (1.5). "filter-layout" (4.1). "bias-width": the lanes
  /// drop the bits above (3.1, 4.3). "bias-shared": the ESP32-S3 packs it once for each node that
  /// reads it (4.3). "bias-exponent" (4.2). "no-exponent", "per-channel" (3.1).
  void check(const espdl::Node& node, std::span<const TensorDesc> inputs,
             std::span<const espdl::Constant* const> constants);

  /// Whether a filter was met that does not say how it is packed.
  bool met_unknown_layout() const { return met_unknown_layout_; }

 private:
  void check_constants(const espdl::Node& node, std::span<const espdl::Constant* const> constants);
  void check_quant_type(const espdl::Node& node, const TensorDesc& input);
  void check_layout(const espdl::Node& node, const espdl::Constant& filter, bool depthwise);
  void check_bias(const espdl::Node& node, const TensorDesc& input, const espdl::Constant& filter,
                  const espdl::Constant& bias, bool depthwise);
  void add(const espdl::Node& node, std::string_view tensor, std::string rule, std::string name,
           std::string message, std::string remedy);

  const Target& target_;
  const Report& report_;
  bool met_unknown_layout_ = false;
  /// Biases that a node before has read, and that node.
  std::map<std::string, std::string, std::less<>> packed_;
};

}  // namespace espquant::sim
