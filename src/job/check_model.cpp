#include "job/check_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "espdl/package.h"
#include "measure/planned_memory.h"
#include "sim/made_for.h"

namespace espquant::job {
namespace {

CheckedModel check_one(const ModelFile& file, std::span<const std::byte> bytes, std::string name) {
  espdl::ReadOptions options = file.read_options();
  options.name = name;
  std::vector<Error> unreadable;
  const espdl::Model model = espdl::read_model(bytes, options, unreadable);
  const Target& target = file.target_for(model);
  CheckedModel checked{std::move(name),
                       std::string(target.name),
                       std::string(target.release.version),
                       {},
                       {},
                       model.nodes.size(),
                       measure::check_model(model, target, unreadable)};
  // Banks differ from the model in exponents and what follows from them, which rules look at, too.
  const espdl::Banks banks = unreadable.empty() ? file.load_banks(model) : espdl::Banks{};
  for (std::size_t b = 0; b < banks.banks.size(); ++b)
    for (sim::Finding finding : measure::check_model(espdl::with_bank(model, banks, b), target)) {
      const auto same = [&](const sim::Finding& own) {
        return own.node == finding.node && own.rule == finding.rule && own.tensor == finding.tensor;
      };
      if (std::any_of(checked.findings.begin(), checked.findings.end(), same)) continue;
      finding.message += fmt::format(" (bank {})", b);
      checked.findings.push_back(std::move(finding));
    }
  checked.needs = sim::oldest_release_for(model).version;
  for (const Feature feature : sim::features_of(model))
    checked.features.emplace_back(fact_of(feature).name);
  return checked;
}

nlohmann::ordered_json check_json_of(const CheckedModel& checked) {
  nlohmann::ordered_json json;
  if (!checked.model.empty()) json["model"] = checked.model;
  json["target"] = checked.target;
  json["espdl"] = checked.espdl;
  json["needs_espdl"] = checked.needs;
  json["nodes"] = checked.nodes;
  json["defects"] = checked.defects();
  json["findings"] = nlohmann::ordered_json::array();
  for (const auto& f : checked.findings)
    json["findings"].push_back(
        {{"severity", f.severity == sim::Severity::Defect ? "defect" : "note"},
         {"node", f.node},
         {"operator", f.op},
         {"tensor", f.tensor},
         {"rule", f.rule},
         {"name", f.name},
         {"message", f.message},
         {"remedy", f.remedy}});
  return json;
}

}  // namespace

std::ptrdiff_t CheckedModel::defects() const {
  return std::count_if(findings.begin(), findings.end(),
                       [](const sim::Finding& f) { return f.severity == sim::Severity::Defect; });
}

std::vector<CheckedModel> check_file(const ModelFile& file) try {
  const auto bytes = read_file(file.path);
  if (!espdl::is_package(bytes)) return {check_one(file, bytes, "")};
  if (!file.name.empty()) return {check_one(file, bytes, file.name)};
  std::vector<CheckedModel> all;
  for (const auto& entry : espdl::open_package(bytes).entries)
    all.push_back(check_one(file, bytes, entry.name));
  return all;
} catch (Error& error) {
  throw error.file(file.path.string());
}

nlohmann::ordered_json json_of(const ModelFile& file, const std::vector<CheckedModel>& checked) {
  const bool passed = std::all_of(checked.begin(), checked.end(),
                                  [](const CheckedModel& one) { return one.defects() == 0; });
  nlohmann::ordered_json json{{"file", file.path.string()}, {"passed", passed}};
  json["models"] = nlohmann::ordered_json::array();
  for (const CheckedModel& one : checked) json["models"].push_back(check_json_of(one));
  return json;
}

}  // namespace espquant::job
