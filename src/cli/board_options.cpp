#include "cli/board_options.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "cli/notes.h"
#include "cli/validators.h"

namespace espquant::cli {
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

std::optional<cost::Board> BoardOptions::board_for(const Target& target) const {
  auto known = read();
  if (!known) return std::nullopt;
  if (known->target != target.name)
    throw Error(ErrorCode::Usage, fmt::format("the board is one with {}, the model is for {}",
                                              known->target, target.name))
        .file(file.string())
        .remedy("Fit a board of that chip with espquant latency --fit");
  if (!same_kernels(find_release(known->espdl), target.release))
    print_note(
        fmt::format("{} was fitted with ESP-DL {}, whose kernels differ from those of "
                    "{}",
                    file.string(), known->espdl, target.release.version));
  return std::move(known->board);
}

cost::LatencyOptions BoardOptions::latency_for(const Target& target) const {
  cost::LatencyOptions options;
  options.cores = cores;
  options.board = board_for(target);
  return options;
}

void add_board(CLI::App& command, BoardOptions& options) {
  command
      .add_option("--board", options.file,
                  "Times of this board, as espquant latency --fit --out wrote them")
      ->type_name("FILE");
  command
      .add_option("--cores", options.cores,
                  "Cores that run the model: 2 is RUNTIME_MODE_MULTI_CORE (default 1)")
      ->check(one_of({"1", "2"}))
      ->type_name("1|2");
}

}  // namespace espquant::cli
