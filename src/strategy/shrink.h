#pragma once

#include <string>
#include <vector>

#include "compress/compress.h"
#include "measure/output_noise.h"
#include "recipe/recipe.h"
#include "strategy/workbench.h"

namespace espquant::strategy {

/// Fewer samples than this neither fit a smaller network nor judge it.
inline constexpr std::int64_t kLeastShrinkSamples = 16;

struct ShrinkSettings {
  compress::CompressOptions compress;
  /// Whether whole blocks may be left out.
  bool blocks = true;
  /// Training after it: how many batches (0: none; nothing: as many as take a few minutes), and
  /// how.
  std::optional<std::int64_t> steps;
  recipe::Recipe::Finetune training;
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

}  // namespace espquant::strategy
