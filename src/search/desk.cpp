#include "search/desk.h"

#include <thread>
#include <utility>

#include "base/cancel.h"

namespace espquant::search {
namespace {

/// Between looks at what another process measures.
constexpr auto kPause = std::chrono::milliseconds(50);

}  // namespace

struct JournalDesk::Question {
  const Work& work;
  std::string key;
  std::int64_t number = 0;
  std::optional<Outcome> outcome;
};

bool JournalDesk::is_late() const {
  if (budget_.ended && budget_.ended()) return true;
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

void JournalDesk::answer(Question& question, const Outcome& outcome, bool known, Made* made) {
  question.outcome = outcome;
  tell_({question.work, *question.outcome, known, made});
}

void JournalDesk::hand_out(std::span<Question> questions, std::vector<std::size_t>& open) {
  std::vector<std::size_t> left;
  for (const std::size_t i : open) {
    Question& question = questions[i];
    if (!crew_.has_free()) {
      left.push_back(i);
      continue;
    }
    if (const auto known = journal_.find(question.key)) {
      answer(question, *known, true, nullptr);
      continue;
    }
    if (over_ || is_late()) {
      over_ = true;
      continue;
    }
    throw_if_cancelled();
    switch (journal_.claim(question.work, question.number)) {
      case Journal::Claim::Known:
        answer(question, journal_.find(question.key).value(), true, nullptr);
        break;
      case Journal::Claim::Taken:
        left.push_back(i);
        break;
      case Journal::Claim::Mine:
        try {
          crew_.start(i, question.work);
        } catch (...) {
          journal_.release(question.key);
          throw;
        }
        break;
    }
  }
  open = std::move(left);
}

std::vector<std::optional<Outcome>> JournalDesk::ask(std::span<const Work> works) {
  std::vector<Question> questions;
  std::vector<std::size_t> open;
  for (const Work& work : works) {
    Question& question = questions.emplace_back(Question{work, work.key(), asked_++, {}});
    if (afford(work, question.key)) open.push_back(questions.size() - 1);
  }
  // What the budget does not reach ends the search, but not what comes before it.
  const bool over_after = std::exchange(over_, false) || open.size() < works.size();
  while (!open.empty() || crew_.is_busy()) {
    hand_out(questions, open);
    if (!crew_.is_busy()) {
      if (!open.empty()) std::this_thread::sleep_for(kPause);
      continue;
    }
    for (Finished& finished : crew_.wait()) {
      Question& question = questions[finished.index];
      if (!finished.outcome) {
        journal_.release(question.key);
        open.insert(open.begin(), finished.index);
        continue;
      }
      journal_.finish(question.key, *finished.outcome);
      ++measured_;
      answer(question, *finished.outcome, false, finished.made ? &*finished.made : nullptr);
    }
  }
  over_ = over_ || over_after;
  if (rest_) rest_();
  std::vector<std::optional<Outcome>> outcomes;
  for (Question& question : questions) outcomes.push_back(std::move(question.outcome));
  return outcomes;
}

}  // namespace espquant::search
