#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "espquant/array.h"

namespace espquant {

/// Inputs of a network, and the classes that they are of where those are known (docs/data.md).
struct Data {
  /// A folder of pictures, one picture, an .npy or an .npz. Not used where `arrays` is not empty.
  std::filesystem::path path;
  /// In memory, read as the arrays of an .npz are: named as the network's inputs, or under any name
  /// where it has one input, samples along the first axis; "labels" are class numbers (N) or
  /// one-hot rows (N,K). Floats are inputs as they are; bytes (N,H,W), (N,H,W,C) or (N,C,H,W) are
  /// pictures.
  std::map<std::string, Array> arrays;
  /// How pictures become inputs: "key=value", over the keys of a TOML file.
  std::vector<std::string> preprocess;
  std::filesystem::path preprocess_file;
  /// A file with the names of the classes, one a line, in the order of the network's outputs.
  std::filesystem::path classes;
  /// To measure on: at most so many, evenly spread; 0: all. How many calibrate is the recipe's.
  std::int64_t count = 0;

  bool empty() const { return path.empty() && arrays.empty(); }
};

}  // namespace espquant
