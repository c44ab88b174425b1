#include "schedule/choose_regions.h"

#include <algorithm>
#include <limits>

#include "cost/arena.h"
#include "cost/tensor_records.h"

namespace espquant::schedule {
namespace {

/// Longer runs have halos that cost more than what they save.
constexpr std::size_t kLongestRun = 64;
constexpr double kNoWay = std::numeric_limits<double>::infinity();

/// Bytes in use while each node runs, without holes.
std::vector<std::size_t> bytes_of_steps(const espdl::Model& model) {
  std::vector<std::size_t> bytes(model.nodes.size(), 0);
  for (const auto& record : cost::make_tensor_records(model)) {
    if (record.leader != cost::kNoRecord) continue;
    const auto end = record.end == cost::kNever
                         ? bytes.size()
                         : std::min(bytes.size(), static_cast<std::size_t>(record.end));
    for (auto step = static_cast<std::size_t>(record.begin); step < end; ++step)
      bytes[step] += cost::aligned_size(record.bytes);
  }
  return bytes;
}

}  // namespace

RegionChooser::RegionChooser(const Dataflow& flow, const Conditions& conditions)
    : flow_(flow), regions_(flow, conditions), bytes_(bytes_of_steps(flow.model())) {
  for (const auto& node : flow.model().nodes)
    milliseconds_.push_back(milliseconds_of(node, flow.index(), conditions));
}

std::optional<RegionChoice> RegionChooser::choose(std::size_t limit) {
  const std::size_t count = flow_.nodes().size();
  std::vector<double> best(count + 1, kNoWay);
  std::vector<std::optional<Region>> by(count + 1);
  best[0] = 0;
  for (std::size_t first = 0; first < count; ++first) {
    if (best[first] == kNoWay) continue;
    if (bytes_[first] <= limit && best[first] + milliseconds_[first] < best[first + 1]) {
      best[first + 1] = best[first] + milliseconds_[first];
      by[first + 1].reset();
    }
    bool is_needed = false;
    const std::size_t last = std::min(count, first + kLongestRun);
    for (std::size_t end = first + 1; end <= last && flow_.nodes()[end - 1].rule; ++end) {
      is_needed = is_needed || bytes_[end - 1] > limit;
      if (!is_needed) continue;
      auto banded = regions_.in_bands(first, end, limit);
      if (!banded || best[first] + banded->milliseconds >= best[end]) continue;
      best[end] = best[first] + banded->milliseconds;
      by[end] = std::move(banded->region);
    }
  }
  if (best[count] == kNoWay) {
    const auto reached =
        std::find_if(best.rbegin(), best.rend(), [](double ms) { return ms != kNoWay; });
    const std::size_t node = static_cast<std::size_t>(best.rend() - reached) - 1;
    obstacle_ = {node, bytes_[node]};
    return std::nullopt;
  }
  RegionChoice choice;
  choice.milliseconds = best[count];
  for (std::size_t at = count; at > 0;) {
    if (!by[at]) {
      --at;
      continue;
    }
    choice.regions.push_back(*by[at]);
    at = by[at]->first;
  }
  std::reverse(choice.regions.begin(), choice.regions.end());
  return choice;
}

}  // namespace espquant::schedule
