#pragma once

#include <cstddef>

#include "model_facts.hpp"

// From the integers of an output to what they mean. Plain C++17.
namespace firmware {

// An element as a real number: integer * 2^exponent.
float value_at(const TensorFacts& tensor, const void* data, size_t element);

struct Score {
  size_t index;
  float value;
};

// The `count` largest elements, the largest first; of equal ones, the first first. Returns how many
// there are, `count` or all. `best` has room for `count`.
size_t largest(const TensorFacts& tensor, const void* data, Score* best, size_t count);

// Of the element with that value, by the softmax over all.
float probability(const TensorFacts& tensor, const void* data, float value, float largest_value);

// One line per output on the standard output: classes and probabilities, or what range the values
// have.
void print_output(const ModelFacts& model, const TensorFacts& tensor, const void* data);

}  // namespace firmware
