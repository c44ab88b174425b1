#include "search/other_orders.h"

#include <memory>

#include "base/random.h"

namespace espquant::search {
namespace {

using strategy::LayerWidth;

}  // namespace

Configs random_order(const Field& field, std::uint64_t seed) {
  return [&field, random = std::make_shared<Random>(seed)]() -> std::optional<Config> {
    // What makes no sense is drawn again; most does.
    while (true) {
      Config config = field.start();
      for (std::size_t c = 0; c < config.values.size(); ++c)
        config.values[c] = random->below(field.space.choices[c].values.size());
      const float share = random->uniform();
      for (std::size_t l = 0; l < config.widths.size(); ++l) {
        if (random->uniform() >= share) continue;
        const LayerWidth to = random->below(2) == 0 ? LayerWidth::NarrowWeights : LayerWidth::Wide;
        if (field.may_have(l, to)) config.widths[l] = to;
      }
      if (field.makes_sense(config)) return config;
    }
  };
}

Configs exhaustive_order(const Field& field) {
  struct State {
    Config config;
    std::size_t wide = 0;
    bool done = false;
  };
  auto state = std::make_shared<State>(State{field.start()});
  return [&field, state]() -> std::optional<Config> {
    while (!state->done) {
      Config config = state->config;
      for (std::size_t l = 0; l < state->wide; ++l)
        if (field.may_have(l, LayerWidth::Wide)) config.widths[l] = LayerWidth::Wide;
      if (++state->wide > field.layers.size()) {
        state->wide = 0;
        std::size_t c = state->config.values.size();
        while (c > 0 && ++state->config.values[c - 1] == field.space.choices[c - 1].values.size())
          state->config.values[--c] = 0;
        state->done = c == 0;
      }
      if (field.makes_sense(config)) return config;
    }
    return std::nullopt;
  };
}

}  // namespace espquant::search
