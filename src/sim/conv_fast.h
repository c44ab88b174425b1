#pragma once

#include <memory>

#include "sim/conv_plan.h"

namespace espquant::sim {

/// The vectorised convolution: equal to conv_reference() bit for bit. Where S3's narrow lanes might
/// saturate, it proves that they do not, cheapest proof first: by the weights and the range of the
/// input, for all pixels at once; by watching partial sums; and computes the rest product by
/// product.
class FastConv {
 public:
  /// Null when there is no fast kernel for the problem. `filter` is in logical order and is kept.
  static std::shared_ptr<const FastConv> prepare(const ConvGeometry& geometry,
                                                 const MacArithmetic& arithmetic,
                                                 const Tensor& filter);

  /// x [H][W][C] to y [OH][OW][N].
  void run(const MacArithmetic& arithmetic, const std::byte* x, std::byte* y,
           Workspace& workspace) const;

 private:
  void run_int8(const MacArithmetic& arithmetic, const std::int8_t* x, std::int8_t* y,
                Workspace& workspace) const;
  void run_int16(const MacArithmetic& arithmetic, const std::int16_t* x, std::int16_t* y,
                 Workspace& workspace) const;

  std::unique_ptr<ConvPlan> plan_;
  Tensor filter_;
};

}  // namespace espquant::sim
