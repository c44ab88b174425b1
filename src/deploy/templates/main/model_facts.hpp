#pragma once

#include <cstddef>
#include <cstdint>

#include "preprocess.hpp"

// What is known of the models of this application. Plain C++17.
namespace firmware {

// The numbers are those of dl::dtype_t.
enum class ElementType : uint8_t {
  Float = 1,
  Uint8 = 2,
  Int8 = 3,
  Uint16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  Bool = 9,
};

constexpr size_t size_of(ElementType type) {
  switch (type) {
    case ElementType::Float:
    case ElementType::Int32:
      return 4;
    case ElementType::Uint16:
    case ElementType::Int16:
      return 2;
    case ElementType::Int64:
      return 8;
    default:
      return 1;
  }
}

struct TensorFacts {
  const char* name;
  ElementType type;
  size_t elements;
  int exponent;  // a value is integer * 2^exponent
  bool scores;   // one per class

  constexpr size_t bytes() const { return elements * size_of(type); }
};

struct NodeFacts {
  const char* name;
  const char* type;
  uint32_t estimated_us;
};

struct ModelFacts {
  const char* name;
  const char* name_in_package;  // nullptr: the file is one model
  const char* sha256;           // of the file
  const char* made_for;
  bool has_test_values;
  bool outputs_are_probabilities;
  uint32_t estimated_us;
  size_t planned_ram;
  const TensorFacts* inputs;
  size_t input_count;
  const TensorFacts* outputs;
  size_t output_count;
  const NodeFacts* nodes;
  size_t node_count;
  // Of samples.bin: inputs, then outputs, sample by sample, each tensor in whole blocks of 16
  // bytes.
  size_t sample_count, samples_offset;
  const char* const* classes;
  size_t class_count;
  const PreprocessSettings* preprocess;  // nullptr: the model takes no pictures
  size_t banks_size;                     // of model.banks; 0: there are none
  const uint8_t* sample_banks;           // the bank of each sample; nullptr: the model's own
  const float* pixel_values;             // of pictures, with banks: [channels][256], real values
};

extern const ModelFacts kModels[];
extern const size_t kModelCount;

constexpr size_t in_blocks(size_t bytes) { return (bytes + 15) / 16 * 16; }

}  // namespace firmware
