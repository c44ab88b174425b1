#pragma once

#include <span>
#include <vector>

#include "quant/quantize.h"

namespace espquant::strategy {

/// Fills Statistics::step_noise of `calibration` for the exponent groups of 8-bit activations
/// whose method is Auto and whose exponent is in doubt: what the network's outputs lose by it.
///
/// On some of the `samples` the float network runs on with the values of one group rounded to a
/// step, all else exact, so that nothing hides what the step does. Begun at the exponents of
/// the least squared error, one octave more and less are tried where the group makes a part of all
/// noise that is worth it; one that wins is followed by the next octave. Samples come in rounds,
/// each as many as all before: a rival that is clearly worse on the same samples ends there, and
/// the noisiest groups go on as far as a limit on the passes allows. Of several outputs those count
/// most that lose most by all groups together (OutputWeights). Means that the rounding shifts are
/// put back where a bias will (Means::MatchOrUndo). What the samples have too little or too much
/// of, far outliers above all, is made up for by the values' own errors over all calibration
/// samples. Groups with the network's results are left out: scores tie where they
/// are clipped. The result does not depend on the number of threads.
void measure_step_noise(const Graph& network, const quant::Plan& plan,
                        const quant::Settings& settings,
                        std::span<const std::vector<Tensor>> samples,
                        quant::Calibration& calibration);

}  // namespace espquant::strategy
