#pragma once

#include <string>

#include "strategy/workbench.h"

namespace espquant::strategy {

struct Finetuned {
  /// The one that was given, or a better one.
  Candidate candidate;
  bool kept = false;
  /// Noise to signal at the output on the samples to judge on.
  double before = 0, after = 0;
  /// Why nothing was trained, or why what was is undone; empty where it is kept.
  std::string reason;
};

/// Trains weights and biases of a candidate on the chip's grid to put out what the float network
/// does, with the gradient passing rounding as if it were not there (straight-through; Bengio et
/// al. 2013, Jacob et al. 2018); exponents stay. Samples to judge on do not train. What was trained
/// is lowered and simulated, and kept only where that has less noise.
Finetuned finetune(Workbench& bench, const quant::Settings& settings, Candidate start,
                   const recipe::Recipe::Finetune& how, const StageProgress& progress = {});

}  // namespace espquant::strategy
