#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>

#include "search/evaluator.h"
#include "search/journal.h"
#include "search/width_model.h"

namespace espquant::search {

/// What a search may take.
struct Budget {
  /// What is still to be done behind the search, in seconds.
  std::function<double()> reserve;
  /// Of this run.
  std::optional<std::chrono::steady_clock::time_point> deadline;
  /// Complete trials of the whole search, those of earlier runs included.
  std::optional<std::int64_t> trials;
};

/// What became of a work that was asked for.
struct Event {
  const Work& work;
  const Outcome& outcome;
  /// From the journal, not measured now.
  bool known = false;
  /// Of a trial that was measured in this process.
  Made* made = nullptr;
};

/// Answers from a journal, and measures what it does not hold, as long as the budget lasts.
class JournalDesk : public Desk {
 public:
  /// All must outlive it. `tell` hears of every outcome once, in the order in which works were
  /// asked for, where that is up to this process; `on_measuring` before anything is measured.
  JournalDesk(Journal& journal, Evaluator& evaluator, const Budget& budget,
              std::function<void(const Event&)> tell)
      : journal_(journal), evaluator_(evaluator), budget_(budget), tell_(std::move(tell)) {}

  std::vector<std::optional<Outcome>> ask(std::span<const Work> works) override;
  bool over() const override { return over_; }
  /// Works that were measured, not looked up.
  std::size_t measured() const { return measured_; }

 private:
  bool afford(const Work& work, const std::string& key);
  bool is_late() const;

  Journal& journal_;
  Evaluator& evaluator_;
  const Budget& budget_;
  std::function<void(const Event&)> tell_;
  std::set<std::string> trials_;
  std::int64_t asked_ = 0;
  std::size_t measured_ = 0;
  bool over_ = false;
};

}  // namespace espquant::search
