#include "cli/memory_limit.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace espquant::cli {
namespace {

constexpr std::uint64_t kLeast = std::uint64_t{64} << 20;
std::uint64_t limited_to = 0;

}  // namespace

void limit_memory(std::uint64_t bytes) {
  if (bytes < kLeast)
    throw Error(ErrorCode::Usage,
                fmt::format("--max-memory of {} MiB: the program itself needs up to {}",
                            bytes >> 20, kLeast >> 20))
        .remedy("As in --max-memory 2GB");
  rlimit limit{};
  getrlimit(RLIMIT_DATA, &limit);
  limit.rlim_cur = std::min<rlim_t>(bytes, limit.rlim_max);
  // Data, not addresses: libraries are mapped, and threads reserve, far more than they use.
  if (setrlimit(RLIMIT_DATA, &limit) != 0)
    throw Error(ErrorCode::Io, fmt::format("cannot limit memory: {}", std::strerror(errno)));
  limited_to = bytes;
}

int out_of_memory_exit_code() { return limited_to > 0 ? 1 : 3; }

std::string out_of_memory_message() {
  if (limited_to > 0)
    return fmt::format(
        "the input takes more memory than the {} MiB of --max-memory. Allow more, or "
        "use fewer threads or a smaller input",
        limited_to >> 20);
  return "out of memory. Use fewer threads or a smaller input, or a machine with more";
}

}  // namespace espquant::cli
