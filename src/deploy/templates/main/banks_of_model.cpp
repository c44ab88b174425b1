#include "banks_of_model.hpp"

#include <cstdio>

namespace firmware {
namespace {

extern "C" const uint8_t stored_banks[] asm("_binary_model_banks_start");

}  // namespace

std::unique_ptr<Banks> banks_of_model(dl::Model* model, const ModelFacts& facts) {
  auto banks = std::make_unique<Banks>(model, stored_banks, facts.banks_size);
  if (banks->error() != nullptr) printf("model %s: %s\n", facts.name, banks->error());
  return banks;
}

}  // namespace firmware
