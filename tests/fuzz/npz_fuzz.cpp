#include <cstdint>
#include <span>

#include "base/error.h"
#include "data/npz.h"

/// Any bytes are read or refused with an Error of the input's, as an archive and as a single array;
/// what is read can be written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace espquant;
  constexpr std::uint64_t kLimit = 1 << 24;
  const auto file = std::as_bytes(std::span(bytes, size));
  const auto attempt = [](const auto& read) {
    try {
      read();
    } catch (const Error& e) {
      if (e.code() == ErrorCode::Internal) __builtin_trap();
    }
  };
  attempt([&] {
    const Tensor array = data::read_npy(file);
    if (!data::read_npy(data::write_npy(array)).equals(array)) __builtin_trap();
  });
  attempt([&] {
    const data::Npz npz({file.begin(), file.end()}, kLimit);
    for (const std::string& name : npz.names()) (void)npz.read(name);
  });
  return 0;
}
