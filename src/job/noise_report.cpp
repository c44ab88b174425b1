#include "job/noise_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "report/table.h"

namespace espquant::job {
namespace {

using Group = measure::OutputNoise::Part;

std::string noise_percent_of(double ratio) {
  return ratio >= 1e-5 || ratio == 0 ? fmt::format("{:.3f} %", 100 * ratio)
                                     : fmt::format("{:.1e} %", 100 * ratio);
}

}  // namespace

std::string noise_text(const measure::OutputNoise& noise) {
  std::string text = noise_percent_of(noise.ratio());
  const std::optional<Group> worst = noise.worst();
  if (!worst) return text;
  if (const std::size_t count = noise.groups().size(); count > 1)
    text += fmt::format(", the worst of {}: '{}'", count, worst->output_name);
  if (worst->probabilities)
    text += fmt::format(" (of the scores before Softmax; of the probabilities {})",
                        noise_percent_of(worst->probabilities->ratio()));
  return text;
}

std::string noise_by_output(const measure::OutputNoise& noise) {
  const std::vector<Group> groups = noise.groups();
  if (groups.size() < 2) return {};
  using Align = report::Table::Align;
  report::Table table({{"output", Align::Left},
                       {"made of", Align::Left},
                       {"noise/signal", Align::Right},
                       {"of probabilities", Align::Right}});
  for (const Group& group : groups)
    table.add_row({group.output_name, group.name, noise_percent_of(group.noise.ratio()),
                   group.probabilities ? noise_percent_of(group.probabilities->ratio()) : ""});
  return table.to_string();
}

void add_noise(nlohmann::ordered_json& json, const measure::OutputNoise& noise) {
  json["noise_to_signal"] = noise.ratio();
  if (const std::optional<Group> worst = noise.worst(); worst && worst->probabilities)
    json["noise_to_signal_probabilities"] = worst->probabilities->ratio();
  auto& outputs = json["outputs"] = nlohmann::ordered_json::array();
  for (const Group& group : noise.groups()) {
    outputs.push_back({{"name", group.output_name}});
    if (!group.name.empty()) outputs.back()["made_of"] = group.name;
    outputs.back()["noise_to_signal"] = group.noise.ratio();
    if (group.probabilities)
      outputs.back()["noise_to_signal_probabilities"] = group.probabilities->ratio();
  }
}

}  // namespace espquant::job
