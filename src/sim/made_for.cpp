#include "sim/made_for.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "espdl/filter_layout.h"
#include "sim/conv_problem.h"

namespace espquant::sim {
namespace {

/// A string attribute, "" where there is none or one of another type.
std::string_view text_attribute(const espdl::Node& node, std::string_view name) {
  const auto found = node.attributes.find(std::string(name));
  if (found == node.attributes.end()) return {};
  const auto* text = std::get_if<std::string>(&found->second);
  return text == nullptr ? std::string_view() : *text;
}

bool has_filter(const espdl::Node& node) {
  return (node.op == "Conv" || node.op == "Gemm" || node.op == "MatMul") &&
         node.inputs.size() > 1 && text_attribute(node, "input1_layout") != "native_kn";
}

const Target* named_target(const espdl::Model& model) {
  const std::string named = model.metadata_value("target");
  for (const Target& target : all_targets())
    if (target.name == named) return &target;
  return nullptr;
}

/// As a sentence says it: "esp32s3", or what reads such filters.
std::string reader_of(const Target* made_for, int lanes) {
  if (made_for != nullptr) return std::string(made_for->name);
  return lanes == 1 ? "chips without vectors" : "the ESP32-S3 or ESP32-P4";
}

}  // namespace

std::vector<Feature> features_of(const espdl::Node& node) {
  std::vector<Feature> features;
  if (is_w8a16(node)) features.push_back(Feature::W8A16);
  if (node.op == "MatMul" && text_attribute(node, "input1_layout") == "native_kn")
    features.push_back(Feature::NativeMatMul);
  return features;
}

std::vector<Feature> features_of(const espdl::Model& model) {
  std::vector<Feature> all;
  for (const espdl::Node& node : model.nodes)
    for (const Feature feature : features_of(node))
      if (std::find(all.begin(), all.end(), feature) == all.end()) all.push_back(feature);
  std::sort(all.begin(), all.end());
  return all;
}

const Release& oldest_release_for(const espdl::Model& model) {
  const Release* oldest = &all_releases().front();
  for (const Feature feature : features_of(model))
    if (fact_of(feature).since > *oldest) oldest = &fact_of(feature).since;
  return *oldest;
}

const FeatureFact* missing_feature(const espdl::Node& node, const Target& target) {
  for (const Feature feature : features_of(node))
    if (!target.release.has(feature)) return &fact_of(feature);
  return nullptr;
}

Error lacking(const FeatureFact& fact, const Target& target) {
  return Error(ErrorCode::Illegal,
               fmt::format("ESP-DL {} does not have '{}', which the node needs: it came with {}",
                           target.release.version, fact.name, fact.since.version))
      .remedy(fmt::format("Build the application with ESP-DL {} or later, or quantize with "
                          "--espdl {}",
                          fact.since.version, target.release.version));
}

void require_packed_for(const espdl::Model& model, const Target& target) {
  const Target* made_for = named_target(model);
  for (const espdl::Node& node : model.nodes) {
    if (!has_filter(node)) continue;
    const espdl::Constant* filter = model.find_initializer(node.inputs[1]);
    if (filter == nullptr) continue;
    const auto layout = espdl::parse_filter_layout(filter->doc);
    if (!layout && made_for == nullptr) continue;
    // Of W8A16 filters the lanes are those of int16 (ESP-DL 3.3.11).
    const bool int8 = filter->data.dtype() == DType::Int8 && !is_w8a16(node);
    const int expected = target.lanes(int8 ? 8 : 16);
    const int lanes = layout ? layout->lanes : made_for->lanes(int8 ? 8 : 16);
    if (lanes == expected) continue;
    const bool named = made_for != nullptr && made_for->lanes(int8 ? 8 : 16) == lanes;
    throw Error(ErrorCode::Illegal,
                fmt::format("the file was made for {}: its filters are packed for it, and {} "
                            "would read them in another order",
                            reader_of(named ? made_for : nullptr, lanes), target.name))
        .node(node.name)
        .tensor(filter->name)
        .remedy(fmt::format("Quantize the network for {}{}", target.name,
                            named ? fmt::format(", or give --target {}", made_for->name) : ""));
  }
}

}  // namespace espquant::sim
