#include <cstdint>
#include <span>

#include "base/error.h"
#include "data/image.h"

/// Any bytes are decoded or refused with an Error of the input's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace espquant;
  try {
    (void)data::decode_image(std::as_bytes(std::span(bytes, size)));
  } catch (const Error& e) {
    if (e.code() == ErrorCode::Internal) __builtin_trap();
  }
  return 0;
}
