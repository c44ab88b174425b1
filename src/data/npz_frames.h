#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/tensor.h"

namespace espquant::data {

/// The shape of `count` frames in one array: along the first axis, or along one more where the
/// first is not of extent 1; a single frame has its own.
Shape shape_of_frames(Shape frame, std::int64_t count);

/// Writes an .npz of arrays that grow by frames. Memory holds one frame, whatever their number:
/// they wait in a file beside the result, which has no name and goes with the program.
class NpzFrames {
 public:
  struct Array {
    std::string name;
    DType dtype = DType::Undefined;
    Shape frame;
  };

  /// `files` takes the result at finish(). Throws Error(Io).
  NpzFrames(OutputFiles& files, std::filesystem::path path, std::vector<Array> arrays);
  ~NpzFrames();
  NpzFrames(const NpzFrames&) = delete;
  NpzFrames& operator=(const NpzFrames&) = delete;

  /// A tensor for each array.
  void add(std::span<const Tensor> frame);
  /// All arrays and `others`, in the order of their names, as write_npz() does.
  void finish(const std::map<std::string, Tensor>& others);

 private:
  OutputFiles& files_;
  std::filesystem::path path_;
  std::vector<Array> arrays_;
  int waiting_ = -1;
  std::int64_t frames_ = 0;
};

}  // namespace espquant::data
