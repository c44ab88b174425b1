#include "search/moves.h"

#include <algorithm>

namespace espquant::search {
namespace {

using strategy::LayerWidth;

/// Layers of each kind of which pairs are made.
constexpr std::size_t kMostPaired = 4;

}  // namespace

std::vector<Move> width_moves(const Field& field, const WidthModel& model, const Config& from) {
  const WidthModel::Prediction now = model.of(from.widths);
  const auto move_to = [&](std::vector<LayerWidth> widths) {
    const WidthModel::Prediction then = model.of(widths);
    Move move{from, 1, 0, 0, Move::npos};
    move.to.widths = std::move(widths);
    if (now.noise > 0) move.noise_factor = then.noise / now.noise;
    move.milliseconds = then.milliseconds - now.milliseconds;
    move.flash = then.flash - now.flash;
    return move;
  };
  std::vector<Move> moves, up, down;
  for (std::size_t l = 0; l < from.widths.size(); ++l)
    for (const LayerWidth to : {LayerWidth::Narrow, LayerWidth::NarrowWeights, LayerWidth::Wide}) {
      if (to == from.widths[l] || !field.may_have(l, to)) continue;
      std::vector<LayerWidth> widths = from.widths;
      widths[l] = to;
      moves.push_back(move_to(std::move(widths)));
      (to > from.widths[l] ? up : down).push_back(moves.back());
    }
  const auto by_noise = [](const Move& a, const Move& b) {
    return a.noise_factor < b.noise_factor;
  };
  std::stable_sort(up.begin(), up.end(), by_noise);
  std::stable_sort(down.begin(), down.end(), by_noise);
  for (std::size_t u = 0; u < std::min(up.size(), kMostPaired); ++u)
    for (std::size_t d = 0; d < std::min(down.size(), kMostPaired); ++d) {
      std::vector<LayerWidth> widths = from.widths;
      for (std::size_t l = 0; l < widths.size(); ++l) {
        if (up[u].to.widths[l] != from.widths[l]) widths[l] = up[u].to.widths[l];
        if (down[d].to.widths[l] != from.widths[l]) widths[l] = down[d].to.widths[l];
      }
      moves.push_back(move_to(std::move(widths)));
    }
  return moves;
}

std::vector<Move> choice_moves(const Field& field, const Config& from) {
  std::vector<Move> moves;
  for (std::size_t c = 0; c < field.space.choices.size(); ++c)
    for (std::size_t v = 0; v < field.space.choices[c].values.size(); ++v) {
      if (v == from.values[c]) continue;
      Move move{from, 1, 0, 0, c};
      move.to.values[c] = v;
      if (field.makes_sense(move.to)) moves.push_back(std::move(move));
    }
  return moves;
}

}  // namespace espquant::search
