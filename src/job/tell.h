#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace espquant::job {

/// Takes what a user should know of a job: a sentence at a time. Never empty; ignored() hears
/// nothing.
using Tell = std::function<void(std::string_view)>;

inline void ignored(std::string_view) {}

inline void tell_all(const Tell& tell, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) tell(text);
}

/// All that there is to say of what `made`, of strategy::quantize_model() or compare_recipes(),
/// came from and contains, warnings aside.
template <typename Made>
std::vector<std::string> notes_of(const Made& made) {
  std::vector<std::string> notes;
  for (const auto& input : made.unread_inputs)
    notes.push_back(fmt::format("no node reads the input '{}': the file is without it", input));
  notes.insert(notes.end(), made.notes.begin(), made.notes.end());
  for (const auto& fault : made.faults)
    notes.push_back(fmt::format("node '{}' meets the runtime's fault '{}' (docs/runtime-faults.md)",
                                fault.node, fault.name));
  return notes;
}

}  // namespace espquant::job
