#include "job/bank_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "report/table.h"

namespace espquant::job {
namespace {

std::string statistic_text(const espdl::Banks& banks) {
  return banks.statistic == espdl::Statistic::Largest
             ? "the largest magnitude"
             : fmt::format("the magnitude that {} % are no larger than", banks.percentile);
}

std::size_t changed_constants(const espdl::Model& model, const espdl::Banks& banks,
                              const espdl::Bank& bank) {
  std::size_t changed = 0;
  for (std::size_t c = 0; c < banks.constants.size(); ++c)
    changed += bank.constants[c] == *model.find_initializer(banks.constants[c]) ? 0 : 1;
  return changed;
}

std::size_t changed_exponents(const espdl::Model& model, const espdl::Banks& banks,
                              const espdl::Bank& bank) {
  std::size_t changed = 0;
  for (std::size_t t = 0; t < banks.tensors.size(); ++t)
    changed += bank.exponents[t] == model.find_value(banks.tensors[t])->exponent() ? 0 : 1;
  return changed;
}

}  // namespace

std::vector<Following> following(const espdl::Model& model, const espdl::Banks& banks) {
  std::map<std::string, std::size_t> place;
  for (std::size_t t = 0; t < banks.tensors.size(); ++t) place[banks.tensors[t]] = t;
  std::vector<Following> all;
  for (const espdl::ValueInfo& value : model.values) {
    if (value.dtype != DType::Int8 && value.dtype != DType::Int16) continue;
    Following one;
    one.tensor = value.name;
    const auto found = place.find(value.name);
    for (const espdl::Bank& bank : banks.banks)
      one.exponents.push_back(found == place.end() ? value.exponent()
                                                   : bank.exponents[found->second]);
    one.exponents.push_back(value.exponent());
    one.octaves = one.exponents.back() - one.exponents.front();
    all.push_back(std::move(one));
  }
  int of_input = 0;
  for (const Following& one : all)
    if (!model.inputs.empty() && one.tensor == model.inputs.front()) of_input = one.octaves;
  for (Following& one : all) one.of_input = of_input;
  return all;
}

std::string banks_text(const espdl::Model& model, const espdl::Banks& banks, std::size_t bytes) {
  using enum report::Table::Align;
  std::string text = fmt::format("Banks of exponents: {}, chosen by {} of a frame\n",
                                 report::human_bytes(bytes), statistic_text(banks));
  report::Table table(
      {{"bank", Right}, {"inputs up to", Right}, {"exponents", Right}, {"biases, tables", Right}});
  for (std::size_t b = 0; b < banks.banks.size(); ++b) {
    const espdl::Bank& bank = banks.banks[b];
    table.add_row({fmt::format("{}", b), fmt::format("{:.3g}", bank.largest),
                   fmt::format("{} changed", changed_exponents(model, banks, bank)),
                   fmt::format("{} changed", changed_constants(model, banks, bank))});
  }
  table.add_row({"own", "all", "", ""});
  text += table.to_string();
  for (const espdl::Watched& watched : banks.watched)
    text += fmt::format("Watched: {}, up to {:.3g} % of it clipped\n", watched.tensor,
                        100 * watched.limits.back());
  return text;
}

nlohmann::ordered_json banks_json(const espdl::Model& model, const espdl::Banks& banks,
                                  std::size_t bytes) {
  nlohmann::ordered_json j{
      {"bytes", bytes},
      {"statistic", banks.statistic == espdl::Statistic::Largest ? "largest" : "percentile"},
      {"percentile", banks.percentile},
      {"descent", banks.descent},
      {"banks", nlohmann::ordered_json::array()},
      {"watched", nlohmann::ordered_json::array()}};
  for (const espdl::Bank& bank : banks.banks)
    j["banks"].push_back({{"largest", bank.largest},
                          {"exponents", changed_exponents(model, banks, bank)},
                          {"constants", changed_constants(model, banks, bank)}});
  for (const espdl::Watched& watched : banks.watched)
    j["watched"].push_back({{"tensor", watched.tensor}, {"limits", watched.limits}});
  return j;
}

std::string following_text(const espdl::Model& model, const espdl::Banks& banks) {
  using enum report::Table::Align;
  report::Table table(
      {{"tensor", Left}, {"exponent in each bank", Right}, {"follows the input", Left}});
  for (const Following& one : following(model, banks)) {
    std::string exponents;
    for (const int e : one.exponents)
      exponents += fmt::format("{}{}", exponents.empty() ? "" : " ", e);
    table.add_row(
        {one.tensor, exponents,
         one.octaves == 0 ? "no" : fmt::format("{} of {} octaves", one.octaves, one.of_input)});
  }
  return table.to_string();
}

nlohmann::ordered_json following_json(const espdl::Model& model, const espdl::Banks& banks) {
  auto j = nlohmann::ordered_json::array();
  for (const Following& one : following(model, banks))
    j.push_back({{"tensor", one.tensor},
                 {"exponents", one.exponents},
                 {"octaves", one.octaves},
                 {"octaves_of_input", one.of_input},
                 {"follows", one.follows()}});
  return j;
}

std::string frames_by_bank(const std::vector<std::size_t>& banks, std::size_t own) {
  std::string text;
  for (std::size_t first = 0; first < banks.size();) {
    std::size_t last = first;
    while (last + 1 < banks.size() && banks[last + 1] == banks[first]) ++last;
    if (!text.empty()) text += ", ";
    text += banks[first] == own ? "own" : fmt::format("{}", banks[first]);
    text += first == last ? fmt::format(" ({})", first) : fmt::format(" ({}-{})", first, last);
    first = last + 1;
  }
  return text;
}

}  // namespace espquant::job
