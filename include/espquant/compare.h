#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "espquant/quantize.h"

namespace espquant {

struct CompareOptions {
  std::vector<Recipe> recipes = {Recipe("int8"), Recipe("mixed"), Recipe("balanced")};
  /// Empty: what the recipes say, else esp32s3.
  std::string target;
  /// What is measured on; empty: the calibration data.
  Data test;
  /// Times of your own board.
  std::filesystem::path board;
};

/// One network, quantized by several recipes. Copies share it.
class ESPQUANT_API Comparison {
 public:
  /// Everything, as `espquant compare --json` prints it, without `files` and `seconds`.
  std::string json() const;
  /// Writes the files of every recipe that is not refused, as Quantized::save does, and
  /// compare.json: all or none. Returns the paths.
  std::vector<std::filesystem::path> save(const std::filesystem::path& folder,
                                          const std::string& name = {},
                                          bool compile_request = true) const;
  /// Of the recipe of that name, ready to run. Throws Error(Usage) where there is none, or where it
  /// is refused.
  Model model(const std::string& recipe) const;

  struct Impl;
  explicit Comparison(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

/// Throws Error(Unsupported) where all recipes are refused, Error(Usage) for two of one name.
ESPQUANT_API Comparison compare(const Network& network, const Data& calib,
                                const CompareOptions& options = {}, const Observer& observer = {});

}  // namespace espquant
