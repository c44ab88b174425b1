#include "data/npz.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {

void fuzz_arrays(FuzzInput bytes) {
  accepted([&] {
    const Tensor array = data::read_npy(bytes);
    promised(data::read_npy(data::write_npy(array)).equals(array),
             "an array that was written is another when it is read");
  });
  accepted([&] {
    constexpr std::uint64_t kLimit = 1 << 24;
    const data::Npz npz({bytes.begin(), bytes.end()}, kLimit);
    for (const std::string& name : npz.names()) accepted([&] { (void)npz.read(name); });
  });
}

}  // namespace espquant::test
