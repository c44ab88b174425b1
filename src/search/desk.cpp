#include "search/desk.h"

#include <thread>

#include "base/cancel.h"

namespace espquant::search {
namespace {

/// Between looks at what another process measures.
constexpr auto kPause = std::chrono::milliseconds(50);

}  // namespace

bool JournalDesk::is_late() const {
  if (!budget_.deadline) return false;
  const std::chrono::duration<double> left = *budget_.deadline - std::chrono::steady_clock::now();
  return left.count() <= (budget_.reserve ? budget_.reserve() : 0);
}

bool JournalDesk::afford(const Work& work, const std::string& key) {
  if (over_) return false;
  if (work.kind != Work::Kind::Trial || trials_.contains(key)) return true;
  if (budget_.trials && static_cast<std::int64_t>(trials_.size()) >= *budget_.trials) {
    over_ = true;
    return false;
  }
  trials_.insert(key);
  return true;
}

std::vector<std::optional<Outcome>> JournalDesk::ask(std::span<const Work> works) {
  std::vector<std::optional<Outcome>> outcomes(works.size());
  std::vector<std::size_t> taken;
  const auto settle = [&](std::size_t i, const std::string& key, std::int64_t number) {
    switch (journal_.claim(works[i], number)) {
      case Journal::Claim::Known:
        outcomes[i] = journal_.find(key);
        tell_({works[i], *outcomes[i], true, nullptr});
        return true;
      case Journal::Claim::Taken:
        return false;
      case Journal::Claim::Mine:
        break;
    }
    try {
      outcomes[i] = evaluator_.run(works[i]);
    } catch (...) {
      journal_.release(key);
      throw;
    }
    journal_.finish(key, *outcomes[i]);
    ++measured_;
    std::optional<Made> made = evaluator_.take_made();
    tell_({works[i], *outcomes[i], false, made ? &*made : nullptr});
    return true;
  };
  const std::int64_t first = asked_;
  asked_ += static_cast<std::int64_t>(works.size());
  for (std::size_t i = 0; i < works.size(); ++i) {
    const std::string key = works[i].key();
    if (!afford(works[i], key)) break;
    outcomes[i] = journal_.find(key);
    if (outcomes[i]) {
      tell_({works[i], *outcomes[i], true, nullptr});
      continue;
    }
    if (is_late()) {
      over_ = true;
      break;
    }
    throw_if_cancelled();
    if (!settle(i, key, first + static_cast<std::int64_t>(i))) taken.push_back(i);
  }
  // What others measure, or have left.
  while (!taken.empty()) {
    throw_if_cancelled();
    std::erase_if(taken, [&](std::size_t i) {
      return settle(i, works[i].key(), first + static_cast<std::int64_t>(i));
    });
    if (taken.empty()) break;
    if (is_late()) {
      over_ = true;
      break;
    }
    std::this_thread::sleep_for(kPause);
  }
  return outcomes;
}

}  // namespace espquant::search
