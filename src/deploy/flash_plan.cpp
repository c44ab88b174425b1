#include "deploy/flash_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "deploy/chip_facts.h"

namespace espquant::deploy {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
/// What code is mapped in, and where applications start.
constexpr std::size_t kPage = std::size_t{64} << 10;
/// Of an application with ESP-DL and the kernels that a network needs, with room to grow.
constexpr std::size_t kCode = 2 * kMiB;

std::size_t in_pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

}  // namespace

FlashPlan plan_flash(const ProjectRequest& request, std::size_t samples_bytes) {
  FlashPlan plan;
  const bool embedded = request.storage == Storage::Rodata;
  plan.app_size = in_pages(kCode + samples_bytes + request.banks_file.size() +
                           (embedded ? request.file.size() : 0));
  if (request.storage == Storage::Partition) {
    plan.model_offset = kPage + plan.app_size;
    plan.model_size = in_pages(request.file.size());
  }
  const std::size_t end = kPage + plan.app_size + plan.model_size;
  static constexpr std::array kSizes = {2, 4, 8, 16, 32};
  const int least = request.flash_megabytes > 0 ? request.flash_megabytes
                                                : chip_facts(*request.target).flash_megabytes;
  for (const int size : kSizes)
    if (size >= least && static_cast<std::size_t>(size) * kMiB >= end &&
        (request.flash_megabytes == 0 || size == request.flash_megabytes)) {
      plan.megabytes = size;
      return plan;
    }
  const std::size_t needed = (end + kMiB - 1) / kMiB;
  throw Error(ErrorCode::Usage,
              fmt::format("the project needs {} MB of flash, {}", needed,
                          request.flash_megabytes > 0
                              ? fmt::format("the board has {}", request.flash_megabytes)
                              : std::string("boards have 32 at most")))
      .remedy(embedded ? "Keep the model on a card: --storage sdcard" : "Take a smaller model");
}

}  // namespace espquant::deploy
