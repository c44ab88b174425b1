#include "job/board.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"

namespace espquant::job {
namespace {

/// Of the kernels whose times a board's prices hold for.
bool same_kernels(const Release& a, const Release& b) {
  for (const auto feature :
       {Feature::TiledPointwise, Feature::TiledConvolutions, Feature::FastDataMovement})
    if (a.has(feature) != b.has(feature)) return false;
  return true;
}

}  // namespace

std::optional<cost::BoardFile> BoardOptions::read() const {
  if (file.empty()) return std::nullopt;
  constexpr std::uint64_t kLargestBoardFile = 1 << 20;
  const auto bytes = read_file(file, kLargestBoardFile);
  return cost::parse_board({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                           file.string());
}

std::optional<cost::Board> BoardOptions::board_for(const Target& target, const Tell& tell) const {
  auto known = read();
  if (!known) return std::nullopt;
  if (known->target != target.name)
    throw Error(ErrorCode::Usage, fmt::format("the board is one with {}, the model is for {}",
                                              known->target, target.name))
        .file(file.string())
        .remedy("Fit a board of that chip with espquant latency --fit");
  if (!same_kernels(find_release(known->espdl), target.release))
    tell(
        fmt::format("{} was fitted with ESP-DL {}, whose kernels differ from those of "
                    "{}",
                    file.string(), known->espdl, target.release.version));
  return std::move(known->board);
}

cost::LatencyOptions BoardOptions::latency_for(const Target& target, const Tell& tell) const {
  cost::LatencyOptions options;
  options.cores = cores;
  options.board = board_for(target, tell);
  return options;
}

}  // namespace espquant::job
