#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "recipe/recipe.h"

namespace espquant::search {

/// What trying another value of a choice takes.
enum class Cost : std::uint8_t {
  Plan,         ///< next to nothing
  Candidate,    ///< a candidate with the same calibration
  Calibration,  ///< another look at the data
  Training,     ///< steps of training
};

/// What must hold for a value to mean something.
enum class Need : std::uint8_t {
  Nothing,
  Caps,   ///< the network has ReLU6
  W8A16,  ///< some layer has weights of 8 bits below activations of 16
  Wide,   ///< some layer has 16 bits
};

/// One of several ways to do a thing: overrides of a recipe, as apply_overrides takes them.
struct Value {
  std::string name;
  std::vector<std::string> sets;
  Need need = Need::Nothing;
};

/// The first value is that of the recipe int8.
struct Choice {
  std::string name;
  Cost cost = Cost::Candidate;
  std::vector<Value> values;
};

/// What a search chooses among: src/search/space.toml, or a part of it.
struct Space {
  /// Recipes that are tried first, by name.
  std::vector<std::string> start;
  std::vector<Choice> choices;
  /// Whether layers may have 16 bits, and weights of 8 with them.
  bool wide = true, w8a16 = true;
  /// Patterns of the layers that may.
  std::vector<std::string> layers;

  /// Of the choice of that name; throws Error(Internal) where there is none.
  std::size_t index_of(std::string_view choice) const;
};

/// The whole of it.
Space whole_space();
/// Its text, comments included.
std::string_view space_text();

/// What `toml` leaves of the whole. Throws Error(Usage), for what is no TOML, too, with
/// line and nearest name for a key or value that does not exist. `where` becomes the error's file.
Space narrowed_space(std::string_view toml, std::string_view where);

}  // namespace espquant::search
