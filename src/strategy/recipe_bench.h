#pragma once

#include "strategy/balanced.h"
#include "strategy/preparation.h"
#include "strategy/stopwatch.h"

namespace espquant::strategy {

/// The bench on which a recipe's candidates are made, and by which settings.
struct RecipeBench {
  const Preparation::Simplified* simplified = nullptr;
  /// Of the network as it was equalized, where the recipe says so.
  std::shared_ptr<Workbench> bench;
  /// What the recipe asks of every layer, but for its mixed section.
  quant::Settings settings;
  std::vector<EqualizationTrial> equalization;
};

/// Makes what `shared` does not hold yet. Throws Error as Workbench does, Error(Usage) where a
/// pattern of the recipe matches no layer.
RecipeBench bench_for(Preparation& shared, const recipe::Recipe& recipe, const Target& target,
                      const cost::LatencyOptions& latency, Stopwatch& watch);

Means means_of(const recipe::Recipe& recipe);

}  // namespace espquant::strategy
