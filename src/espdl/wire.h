#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "espdl/container.h"
#include "espdl/defects.h"
#include "espdl/espdl_generated.h"
#include "espdl/model.h"

/// For the decoders only (it includes FlatBuffers): copies out of a verified buffer. Elements are
/// copied bytewise, since the verifier checks where a vector lies but not how its elements are
/// aligned.
namespace espquant::espdl {

class Wire {
 public:
  explicit Wire(const Payload& payload) : payload_(payload), budget_(4 * payload.bytes.size()) {}

  Edition edition() const { return payload_.edition; }
  std::span<const std::byte> buffer() const { return payload_.bytes; }

  /// A few bytes of a hostile file can be referred to from a million places; no honest writer
  /// shares them. Throws Error(Malformed) once several times the file's size has been copied out of
  /// it.
  void charge(std::size_t bytes) {
    if (bytes > budget_) throw Error(ErrorCode::Malformed, "the model's data overlap each other");
    budget_ -= bytes;
  }

  std::string text(const flatbuffers::String* s) {
    if (!s) return {};
    charge(s->size());
    return {s->c_str(), s->size()};
  }

  std::vector<std::string> texts(
      const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>* all) {
    std::vector<std::string> out;
    if (!all) return out;
    charge(all->size() * sizeof(flatbuffers::uoffset_t));
    out.reserve(all->size());
    for (const auto* s : *all) out.push_back(text(s));
    return out;
  }

  template <typename T>
  std::vector<T> numbers(const flatbuffers::Vector<T>* all) {
    std::vector<T> out;
    if (!all || all->size() == 0) return out;
    charge(all->size() * sizeof(T));
    out.resize(all->size());
    std::memcpy(out.data(), all->Data(), out.size() * sizeof(T));
    return out;
  }

 private:
  const Payload& payload_;
  std::size_t budget_;
};

/// The element type of that number. Throws Error(Malformed) for numbers outside the format,
/// Error(Unsupported) for strings.
DType decode_element_type(fbs::ElementType type);

/// Throws Error(Malformed) for an exponent that no float has.
std::vector<int> decode_exponents(const flatbuffers::Vector<std::int64_t>* exponents, Wire& wire);

/// Type, shape, elements and exponents. Throws Error(Malformed) when they do not fit each other.
/// Where `defects` gathers, it receives elements that are not aligned.
Constant decode_tensor(const fbs::Tensor& tensor, Wire& wire, Defects& defects);

/// A list of floats, as float32 or as the float64 that ESP-PPQ puts in its place.
std::vector<float> decode_floats(const flatbuffers::Vector<float>* floats, Wire& wire);

}  // namespace espquant::espdl
