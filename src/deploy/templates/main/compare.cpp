#include "compare.hpp"

#include <cmath>
#include <cstring>

namespace firmware {
namespace {

template <typename T>
double number_at(const void* data, size_t element) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + element * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}

double number_at(ElementType type, const void* data, size_t element) {
  switch (type) {
    case ElementType::Float:
      return number_at<float>(data, element);
    case ElementType::Int8:
      return number_at<int8_t>(data, element);
    case ElementType::Int16:
      return number_at<int16_t>(data, element);
    case ElementType::Uint16:
      return number_at<uint16_t>(data, element);
    case ElementType::Int32:
      return number_at<int32_t>(data, element);
    case ElementType::Int64:
      return number_at<int64_t>(data, element);
    case ElementType::Uint8:
    case ElementType::Bool:
      break;
  }
  return number_at<uint8_t>(data, element);
}

}  // namespace

double tolerance_of(ElementType type) {
  switch (type) {
    case ElementType::Float:
      return 2e-5;
    case ElementType::Int16:
    case ElementType::Uint16:
      return 1;
    default:
      return 0;
  }
}

Difference compare(const TensorFacts& tensor, const void* got, const void* expected) {
  Difference difference;
  const double tolerance = tolerance_of(tensor.type);
  for (size_t i = 0; i < tensor.elements; ++i) {
    const double a = number_at(tensor.type, got, i), b = number_at(tensor.type, expected, i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const bool beyond = !(std::abs(a - b) <= tolerance);
    if (difference.different == 0 || (beyond && difference.beyond == 0)) {
      difference.first = i;
      difference.got = a;
      difference.expected = b;
    }
    ++difference.different;
    if (beyond) ++difference.beyond;
  }
  return difference;
}

}  // namespace firmware
