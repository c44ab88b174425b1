#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <vector>

#include "search/evaluator.h"
#include "search/ranks.h"

namespace espquant::search {

/// A measurement that has come to its end; without an outcome where whoever measured it was lost.
struct Finished {
  std::size_t index = 0;
  std::optional<Outcome> outcome;
  /// Of a trial that was measured in this process.
  std::optional<Made> made;
};

/// Who measures: this process and, under mpirun, the other ranks, a measurement each at a time.
class Crew {
 public:
  /// Both must outlive it. Other ranks must be in serve(). A rank that has been silent for
  /// `patience` is lost, and gets nothing more.
  explicit Crew(Evaluator& evaluator, Ranks* ranks = nullptr,
                std::chrono::milliseconds patience = std::chrono::minutes(1));
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  bool has_free() const;
  bool is_busy() const;
  /// On whoever is free.
  void start(std::size_t index, const Work& work);
  /// What has ended; waits for the first. Throws what the evaluator throws.
  std::vector<Finished> wait();

 private:
  using Clock = std::chrono::steady_clock;
  struct Own {
    std::size_t index = 0;
    std::future<Outcome> outcome;
  };
  struct Rank {
    int number = 0;
    bool lost = false;
    std::optional<std::size_t> index;
    Clock::time_point heard;
  };
  void hear(std::vector<Finished>& finished);

  Evaluator& evaluator_;
  Ranks* ranks_;
  std::chrono::milliseconds patience_;
  std::optional<Own> own_;
  std::vector<Rank> others_;
  std::vector<Finished> finished_;
};

/// On a rank other than 0: measures what rank 0 sends until that says the search is over.
void serve(Ranks& ranks, Evaluator& evaluator);

}  // namespace espquant::search
