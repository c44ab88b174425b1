#include "search/crew.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "base/cancel.h"
#include "base/error.h"

namespace espquant::search {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(2);
/// Of a rank that measures.
constexpr auto kSignOfLife = std::chrono::seconds(5);

/// What messages begin with.
constexpr char kMeasure = 'M', kOver = 'O', kOutcome = 'R', kAlive = 'A', kFault = 'F';

std::string message(char kind, std::string_view text = {}) {
  return std::string(1, kind) + std::string(text);
}

/// In a thread of its own, that can be cancelled as this one.
std::future<Outcome> run_beside(Evaluator& evaluator, Work work) {
  return std::async(std::launch::async,
                    [&evaluator, work = std::move(work), flag = current_cancel_flag()] {
                      const CancelScope scope(flag);
                      return evaluator.run(work);
                    });
}

bool is_ready(const std::future<Outcome>& future) {
  return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

std::string text_of(const Outcome& outcome) {
  return fmt::format("{} {}", outcome.seconds, to_json(outcome));
}

Outcome outcome_from(std::string_view text) {
  const std::size_t space = text.find(' ');
  Outcome outcome = outcome_from_json(text.substr(space + 1));
  outcome.seconds = std::stod(std::string(text.substr(0, space)));
  return outcome;
}

}  // namespace

Crew::Crew(Evaluator& evaluator, Ranks* ranks, std::chrono::milliseconds patience)
    : evaluator_(evaluator), ranks_(ranks), patience_(patience) {
  if (ranks == nullptr) return;
  for (int r = 1; r < ranks->size(); ++r) others_.push_back({r, false, std::nullopt, {}});
}

Crew::~Crew() {
  for (const Rank& rank : others_) try {
      if (!rank.lost) ranks_->send(rank.number, message(kOver));
    } catch (const Error&) {
      // It cannot be told, so it ends with the job.
    }
}

bool Crew::has_free() const {
  // Alone, what has ended is looked at before anything else begins.
  if (others_.empty()) return finished_.empty();
  if (!own_) return true;
  return std::any_of(others_.begin(), others_.end(),
                     [](const Rank& r) { return !r.lost && !r.index; });
}

bool Crew::is_busy() const {
  return own_ || !finished_.empty() ||
         std::any_of(others_.begin(), others_.end(),
                     [](const Rank& r) { return r.index.has_value(); });
}

void Crew::start(std::size_t index, const Work& work) {
  if (others_.empty()) {
    Outcome outcome = evaluator_.run(work);
    finished_.push_back({index, std::move(outcome), evaluator_.take_made()});
    return;
  }
  for (Rank& rank : others_) {
    if (rank.lost || rank.index) continue;
    ranks_->send(rank.number, message(kMeasure, to_json(work)));
    rank.index = index;
    rank.heard = Clock::now();
    return;
  }
  ESPQUANT_ASSERT(!own_, "somebody is free");
  own_.emplace(Own{index, run_beside(evaluator_, work)});
}

void Crew::hear(std::vector<Finished>& finished) {
  while (auto received = ranks_->receive()) {
    for (Rank& rank : others_) {
      if (rank.number != received->from) continue;
      rank.heard = Clock::now();
      const std::string_view text = std::string_view(received->text).substr(1);
      const char kind = received->text.front();
      if (kind == kFault)
        throw Error(ErrorCode::Internal, fmt::format("rank {}: {}", rank.number, text));
      // Of one that was given up, its work was given to another.
      if (kind != kOutcome || !rank.index) continue;
      finished.push_back({*rank.index, outcome_from(text), std::nullopt});
      rank.index.reset();
      rank.lost = false;
    }
  }
  for (Rank& rank : others_) {
    if (!rank.index || Clock::now() - rank.heard < patience_) continue;
    rank.lost = true;
    finished.push_back({*rank.index, std::nullopt, std::nullopt});
    rank.index.reset();
  }
}

std::vector<Finished> Crew::wait() {
  std::vector<Finished> finished = std::exchange(finished_, {});
  while (finished.empty() && is_busy()) {
    throw_if_cancelled();
    hear(finished);
    if (own_ && is_ready(own_->outcome)) {
      Own own = std::move(*own_);
      own_.reset();
      Outcome outcome = own.outcome.get();
      finished.push_back({own.index, std::move(outcome), evaluator_.take_made()});
    }
    if (finished.empty()) std::this_thread::sleep_for(kPoll);
  }
  return finished;
}

void serve(Ranks& ranks, Evaluator& evaluator) {
  std::future<Outcome> outcome;
  auto told = std::chrono::steady_clock::now();
  while (true) {
    throw_if_cancelled();
    if (const auto received = ranks.receive()) {
      if (received->text.front() == kOver) return;
      outcome = run_beside(evaluator, work_from_json(std::string_view(received->text).substr(1)));
      told = std::chrono::steady_clock::now();
      continue;
    }
    if (outcome.valid() && is_ready(outcome)) {
      try {
        ranks.send(0, message(kOutcome, text_of(outcome.get())));
      } catch (const Error& error) {
        ranks.send(0, message(kFault, error.what()));
      }
    } else if (outcome.valid() && std::chrono::steady_clock::now() - told > kSignOfLife) {
      ranks.send(0, message(kAlive));
      told = std::chrono::steady_clock::now();
    } else {
      std::this_thread::sleep_for(kPoll);
    }
  }
}

}  // namespace espquant::search
