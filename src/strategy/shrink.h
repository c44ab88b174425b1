#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "compress/compress.h"
#include "compress/sparsity.h"
#include "measure/output_noise.h"
#include "recipe/recipe.h"
#include "strategy/workbench.h"

namespace espquant::strategy {

/// Fewer samples than this neither fit a smaller network nor judge it.
inline constexpr std::int64_t kLeastShrinkSamples = 16;

/// How far training has come.
struct ShrinkProgress {
  /// Rounds that are done, and the steps of all: training is cut into parts, each of which begins
  /// anew but for the weights and the rate, so that all it takes to go on is the network.
  std::int64_t rounds = 0, steps = 0;

  std::int64_t all_rounds() const { return std::clamp<std::int64_t>(steps / 150, 1, 6); }
};

struct Shrunk;

struct ShrinkSettings {
  compress::CompressOptions compress;
  /// Whether whole blocks may be left out.
  bool blocks = true;
  /// Weights that become zero after that.
  std::optional<compress::SparsityOptions> sparsity;
  /// Training after it: how many batches (0: none; nothing: as many as take a few minutes), and
  /// how.
  std::optional<std::int64_t> steps;
  recipe::Recipe::Finetune training;
  /// Seconds for all of it; training gets what is left of them.
  std::optional<double> seconds;
  /// Keeps the network after the choice and after every round; returns it as it is read back, which
  /// is what the next round goes on with.
  std::function<Graph(const Graph& smaller, const Shrunk& so_far, const ShrinkProgress&)> keep;
};

/// One of the networks that were made and compared.
struct ShrinkTrial {
  std::int64_t blocks = 0, channels = 0;  ///< left out
  /// Noise to signal on the samples to judge on: refitted, and after a short training where that
  /// decided.
  double refitted = 0;
  std::optional<double> trained;
  bool chosen = false;
};

struct Shrunk {
  /// The smaller network, in float.
  Graph network;
  compress::Compressed compressed;
  /// Noise to signal at the outputs on samples that neither fitted nor trained: as the layers were
  /// refitted, and as trained.
  measure::OutputNoise refitted, trained;
  std::int64_t steps = 0, judged = 0;
  bool training_kept = false;
  std::vector<ShrinkTrial> trials;
  /// Where weights were to become zero: of which layers, of the network before training.
  std::optional<compress::Sparsified> sparse;
  /// Why there was none, or why it is undone.
  std::string reason;
};

/// Makes a float network smaller until it costs no more than the budget: channels are taken away,
/// the layers left behind are refitted, and all of it is trained to put out what the network put
/// out before. No labels are needed; samples to judge on do not train. Throws Error(BadData) for
/// less than kLeastShrinkSamples samples.
Shrunk shrink(const Graph& network, const calib::SampleSource& source,
              const compress::PriceOf& price_of, const ShrinkSettings& settings,
              const StageProgress& progress = {});

/// Goes on from what `keep` was given: `begun` with the network that it returned.
Shrunk go_on_shrinking(const Graph& network, const calib::SampleSource& source, Shrunk begun,
                       const ShrinkProgress& done, const ShrinkSettings& settings,
                       const StageProgress& progress = {});

}  // namespace espquant::strategy
