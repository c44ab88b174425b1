#pragma once

#include <memory>

#include "banks.hpp"
#include "model_facts.hpp"

namespace firmware {

// The banks that this project stores for the model, which must outlive them. Of no use, which is
// said then, they leave the model as it is.
std::unique_ptr<Banks> banks_of_model(dl::Model* model, const ModelFacts& facts);

}  // namespace firmware
