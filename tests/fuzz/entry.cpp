// What libFuzzer calls: ESPQUANT_FUZZ_TARGET on each input, mutated by ESPQUANT_FUZZ_FORMAT:
// "onnx", "espdl", "png", or "" for bytes.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/parallel.h"
#include "tests/fuzz/mutate/mutator.h"
#include "tests/fuzz/targets/targets.h"

using namespace espquant;
using namespace espquant::test;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

constexpr std::string_view kFormat = ESPQUANT_FUZZ_FORMAT;

[[maybe_unused]] void libfuzzer_mutation(Bytes& bytes) {
  constexpr std::size_t kMostGrowth = 256;
  const std::size_t size = bytes.size();
  bytes.resize(size + kMostGrowth);
  bytes.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes.data()), size, bytes.size()));
}

/// Nothing where the result is too large.
std::size_t put(const Bytes& bytes, std::uint8_t* data, std::size_t most) {
  if (bytes.size() > most) return 0;
  std::copy_n(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), data);
  return bytes.size();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  set_thread_count(1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ESPQUANT_FUZZ_TARGET(std::as_bytes(std::span(data, size)));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  const auto input = std::as_bytes(std::span(data, size));
  Random random(seed);
  // Programs are linked with the mutators of their own format only.
  std::size_t made = 0;
  if constexpr (kFormat == "onnx")
    made = put(mutate_onnx(input, random, libfuzzer_mutation), data, most);
  if constexpr (kFormat == "espdl")
    made = put(mutate_espdl(input, random, libfuzzer_mutation), data, most);
  if (made > 0) return made;
  made = LLVMFuzzerMutate(data, size, most);
  if constexpr (kFormat == "png")
    if (random.below(8) != 0) mend_png(std::as_writable_bytes(std::span(data, made)));
  return made;
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* one, std::size_t one_size,
                                                 const std::uint8_t* other, std::size_t other_size,
                                                 std::uint8_t* out, std::size_t most,
                                                 unsigned seed) {
  Random random(seed);
  const auto into = std::as_bytes(std::span(one, one_size)),
             from = std::as_bytes(std::span(other, other_size));
  if constexpr (kFormat == "onnx") return put(cross_onnx(into, from, random), out, most);
  // The beginning of one, the end of the other.
  const auto head = static_cast<std::size_t>(random.below(one_size + 1)),
             tail = static_cast<std::size_t>(random.below(other_size + 1));
  Bytes joined(into.begin(), into.begin() + static_cast<std::ptrdiff_t>(head));
  joined.insert(joined.end(), from.end() - static_cast<std::ptrdiff_t>(tail), from.end());
  return put(joined, out, most);
}
