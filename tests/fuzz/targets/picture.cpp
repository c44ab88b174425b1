#include "data/image.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {

void fuzz_picture(FuzzInput bytes) {
  accepted([&] {
    const Tensor pixels = data::decode_image(bytes);
    promised(pixels.rank() == 3 && pixels.dtype() == DType::UInt8, "pixels are no picture");
  });
}

}  // namespace espquant::test
