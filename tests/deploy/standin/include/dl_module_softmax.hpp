#pragma once

#include <cmath>

#include "dl_model_base.hpp"

namespace dl::module {

/// Of 8 bits: tabulates exp() in its first run, and keeps that.
class Softmax : public Module {
 public:
  explicit Softmax(char* called) : Module(called) {}
  ~Softmax() override { delete[] exp_table; }
  /// Whether the table is that of this exponent.
  bool computes_at(int exponent) {
    if (exp_table == nullptr) {
      exp_table = new float[256];
      for (int q = -128; q < 128; ++q) exp_table[q + 128] = exp_of(q, exponent);
    }
    for (int q = -128; q < 128; ++q)
      if (exp_table[q + 128] != exp_of(q, exponent)) return false;
    return true;
  }

 private:
  static float exp_of(int q, int exponent) {
    return std::exp(static_cast<float>(q) * std::ldexp(1.0F, exponent));
  }
  float* exp_table = nullptr;
};

}  // namespace dl::module
