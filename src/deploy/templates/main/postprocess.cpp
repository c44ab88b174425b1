#include "postprocess.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace firmware {
namespace {

constexpr size_t kShown = 3;

template <typename T>
T element_of(const void* data, size_t element) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + element * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

float value_at(const TensorFacts& tensor, const void* data, size_t element) {
  const auto scaled = [&](auto integer) {
    return std::ldexp(static_cast<float>(integer), tensor.exponent);
  };
  switch (tensor.type) {
    case ElementType::Float:
      return element_of<float>(data, element);
    case ElementType::Int8:
      return scaled(element_of<int8_t>(data, element));
    case ElementType::Uint8:
      return scaled(element_of<uint8_t>(data, element));
    case ElementType::Int16:
      return scaled(element_of<int16_t>(data, element));
    case ElementType::Uint16:
      return scaled(element_of<uint16_t>(data, element));
    case ElementType::Int32:
      return scaled(element_of<int32_t>(data, element));
    case ElementType::Int64:
      return static_cast<float>(element_of<int64_t>(data, element));
    case ElementType::Bool:
      return element_of<uint8_t>(data, element) != 0 ? 1.0F : 0.0F;
  }
  return 0;
}

size_t largest(const TensorFacts& tensor, const void* data, Score* best, size_t count) {
  size_t found = 0;
  for (size_t i = 0; i < tensor.elements; ++i) {
    const float value = value_at(tensor, data, i);
    size_t place = found;
    while (place > 0 && best[place - 1].value < value) --place;
    if (place == count) continue;
    found = std::min(found + 1, count);
    std::move_backward(best + place, best + found - 1, best + found);
    best[place] = {i, value};
  }
  return found;
}

float probability(const TensorFacts& tensor, const void* data, float value, float largest_value) {
  float sum = 0;
  for (size_t i = 0; i < tensor.elements; ++i)
    sum += std::exp(value_at(tensor, data, i) - largest_value);
  return std::exp(value - largest_value) / sum;
}

void print_output(const ModelFacts& model, const TensorFacts& tensor, const void* data) {
  printf("%s:", tensor.name);
  if (tensor.scores) {
    Score best[kShown];
    const size_t count = largest(tensor, data, best, kShown);
    for (size_t i = 0; i < count; ++i) {
      const float share = model.outputs_are_probabilities
                              ? best[i].value
                              : probability(tensor, data, best[i].value, best[0].value);
      printf("%s %u", i == 0 ? "" : ",", static_cast<unsigned>(best[i].index));
      if (best[i].index < model.class_count) printf(" %s", model.classes[best[i].index]);
      printf(" %.1f %%", static_cast<double>(100 * share));
    }
  } else if (tensor.elements > 0) {
    float least = value_at(tensor, data, 0), most = least;
    for (size_t i = 1; i < tensor.elements; ++i) {
      least = std::min(least, value_at(tensor, data, i));
      most = std::max(most, value_at(tensor, data, i));
    }
    printf(" %u values from %g to %g", static_cast<unsigned>(tensor.elements),
           static_cast<double>(least), static_cast<double>(most));
  }
  printf("\n");
}

}  // namespace firmware
