#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "measure/output_noise.h"

namespace espquant::job {

/// "0.081 %", and of which output, part or scores that is, where there is more than one answer.
std::string noise_text(const measure::OutputNoise& noise);

/// One line for each output and part that is told apart; empty where there is only one.
std::string noise_by_output(const measure::OutputNoise& noise);

/// `noise_to_signal`, `noise_to_signal_probabilities` where scores are compared, and
/// `outputs` with both for each output and part.
void add_noise(nlohmann::ordered_json& json, const measure::OutputNoise& noise);

}  // namespace espquant::job
