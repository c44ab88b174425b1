#pragma once

#include "dl_model_base.hpp"
#include "model_facts.hpp"

namespace firmware {

// Loads a model from where this project stores it. Returns nullptr, having said why, when that
// fails.
dl::Model* load_model(const ModelFacts& facts);

// Data of the model's inputs and outputs.
void* input_data(dl::Model* model, const TensorFacts& input);
const void* output_data(dl::Model* model, const TensorFacts& output);

}  // namespace firmware
