#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>

#include "search/crew.h"
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
  /// Whether somebody else has ended the search.
  std::function<bool()> ended;
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
  /// All must outlive it. `tell` hears of every outcome once, `rest` is called behind each
  /// generation, when nothing is measured here.
  JournalDesk(Journal& journal, Crew& crew, const Budget& budget,
              std::function<void(const Event&)> tell, std::function<void()> rest = {})
      : journal_(journal),
        crew_(crew),
        budget_(budget),
        tell_(std::move(tell)),
        rest_(std::move(rest)) {}

  std::vector<std::optional<Outcome>> ask(std::span<const Work> works) override;
  bool over() const override { return over_; }
  /// Works that were measured, not looked up.
  std::size_t measured() const { return measured_; }

 private:
  struct Question;
  bool afford(const Work& work, const std::string& key);
  bool is_late() const;
  /// Hands out what is free to be measured; keeps in `open` what others measure.
  void hand_out(std::span<Question> questions, std::vector<std::size_t>& open);
  void answer(Question& question, const Outcome& outcome, bool known, Made* made);

  Journal& journal_;
  Crew& crew_;
  const Budget& budget_;
  std::function<void(const Event&)> tell_;
  std::function<void()> rest_;
  std::set<std::string> trials_;
  std::int64_t asked_ = 0;
  std::size_t measured_ = 0;
  bool over_ = false;
};

}  // namespace espquant::search
