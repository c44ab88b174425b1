#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "base/tensor.h"

namespace espquant::train {

/// What is done to samples at random before both networks see them, so that few samples go further:
/// the teacher answers for whatever is made of them. Pictures are inputs (N,C,H,W) of more than one
/// row and column, or (N,H,W,C) of up to four channels; other inputs only get noise and mixing.
struct Augmentation {
  bool flip = false;      ///< left and right, half of the time
  int shift = 0;          ///< up to so many pixels in both directions, the edge repeated
  double brightness = 0;  ///< times 1 - x to 1 + x
  double noise = 0;       ///< uniform, up to so many standard deviations of the sample
  double mix = 0;         ///< the share of samples that another is mixed into, by up to a half

  bool operator==(const Augmentation&) const = default;
};

/// `other` is mixed in, if at all.
std::vector<Tensor> augmented(std::vector<Tensor> sample, const std::vector<Tensor>& other,
                              const Augmentation& how, Random& random);

}  // namespace espquant::train
