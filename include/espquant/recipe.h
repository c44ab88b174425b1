#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "espquant/export.h"

namespace espquant {

namespace job {
struct RecipeOptions;
}

/// How a network is quantized, as data (docs/recipes.md). A value: copies are independent.
class ESPQUANT_API Recipe {
 public:
  /// int8.
  Recipe();
  /// One of names(), or the path of a TOML file. Throws Error(Usage), with the nearest name, for
  /// neither, and as from_toml.
  explicit Recipe(const std::string& name_or_file);
  /// Throws Error(Malformed) for what is no TOML, Error(Usage) for a key or value that does not
  /// exist, with the line.
  static Recipe from_toml(const std::string& text);
  Recipe(const Recipe& other);
  Recipe& operator=(const Recipe& other);
  ~Recipe();

  /// "calibration.method=kl". Throws Error(Usage) where the key or the value does not exist, and
  /// leaves the recipe as it was.
  Recipe& set(const std::string& assignment);
  /// All of them, checked once when all are set: of keys that are possible only together.
  Recipe& set_all(const std::vector<std::string>& assignments);

  std::string name() const;
  /// Every key and its value.
  std::string to_toml() const;
  std::string to_json() const;

  /// Those in the library: "int8", "mixed", ...
  static std::vector<std::string> names();

  const job::RecipeOptions& options() const { return *options_; }

 private:
  std::unique_ptr<job::RecipeOptions> options_;
};

}  // namespace espquant
