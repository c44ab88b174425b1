#include "espdl/compressed_size.h"

#include <zlib.h>

#include <vector>

#include "base/error.h"

namespace espquant::espdl {

std::size_t compressed_size(std::span<const std::byte> bytes) {
  uLongf size = compressBound(static_cast<uLong>(bytes.size()));
  std::vector<Bytef> into(size);
  const int result = compress2(into.data(), &size, reinterpret_cast<const Bytef*>(bytes.data()),
                               static_cast<uLong>(bytes.size()), Z_BEST_COMPRESSION);
  ESPQUANT_ASSERT(result == Z_OK, "zlib compresses what it has room for");
  return size;
}

}  // namespace espquant::espdl
