#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "search/jury.h"
#include "search/work.h"
#include "strategy/last_gate.h"
#include "strategy/recipe_bench.h"
#include "strategy/trials.h"

namespace espquant::search {

/// What of a search's inputs a candidate is made from.
struct Ingredients {
  strategy::Preparation* shared = nullptr;
  const Target* target = nullptr;
  cost::LatencyOptions latency;
  /// What is written into a file that a recipe makes.
  std::function<std::vector<std::pair<std::string, std::string>>(const recipe::Recipe&)> metadata;
  /// Patterns of the layers that may have other widths.
  std::vector<std::string> layers{"*"};
};

/// A candidate as it is written.
struct Made {
  strategy::QuantizedModel model;
  strategy::SoundFile file;
};

/// Measures what a search asks for. What measurements share is kept: the benches of the last few
/// ways to calibrate, and of each what trials of widths have in common.
class Evaluator {
 public:
  /// `jury` decides; both must outlive it.
  Evaluator(Ingredients ingredients, const Jury& jury)
      : ingredients_(std::move(ingredients)), jury_(jury) {}

  /// Candidates that cannot be are refused in the outcome. Throws Error(Internal),
  /// Error(Cancelled), Error(Io).
  Outcome run(const Work& work);
  /// The last trial of run(), as it was made.
  std::optional<Made> take_made() { return std::exchange(made_, std::nullopt); }

  /// Makes the files of a recipe; throws as quantize_model and pass_last_gate do.
  Made make(const recipe::Recipe& recipe) const;
  /// Measures what was made, but for the noise on calibration samples.
  Outcome measured(const Made& made, const Jury& jury) const;

 private:
  /// What looks on one bench have in common.
  struct Bench {
    strategy::RecipeBench of;
    strategy::Means means;
    strategy::FloatRun part;
    std::vector<strategy::MovableLayer> layers;
    std::vector<strategy::SharedTensor> tensors;
    std::vector<strategy::Trials::Narrowing> narrowings;
    /// Around all layers at 8 bits, and around all at 16.
    std::optional<strategy::Trials> narrow, wide;
  };
  Bench& bench_of(const recipe::Recipe& recipe);
  Outcome layers_of(const Work& work);
  Outcome look_at(const Work& work);
  Outcome tensor_of(const Work& work);
  Outcome trial_of(const Work& work);

  Ingredients ingredients_;
  const Jury& jury_;
  /// The one used last at the end.
  std::deque<std::unique_ptr<Bench>> benches_;
  std::optional<Made> made_;
};

}  // namespace espquant::search
