#pragma once

#include <memory>

#include "base/tensor.h"
#include "sim/conv_problem.h"

namespace espquant::sim {

class FastConv;

/// Runs one convolution geometry with any number of filters, by the fast kernel or by the
/// reference. Thread-safe.
class MacEngine {
 public:
  MacEngine(const ConvGeometry& geometry, MacArithmetic arithmetic, const Options& options);
  MacEngine(MacEngine&&) noexcept;
  ~MacEngine();

  /// A filter in logical order, with what the fast kernel prepares from it.
  struct Filter {
    Tensor logical;
    std::shared_ptr<const FastConv> fast;
  };
  /// `logical` is [N][KH][KW][C] (depthwise: C = 1), int8 or int16 as the arithmetic says, or int8
  /// below an arithmetic of 16 bits.
  Filter load(Tensor logical) const;

  /// x is one image [H][W][C], y receives [OH][OW][N].
  void run(const std::byte* x, const Filter& filter, std::byte* y, Workspace& workspace) const;

  const ConvGeometry& geometry() const { return geometry_; }

 private:
  ConvGeometry geometry_;
  MacArithmetic arithmetic_;
  Options options_;
};

}  // namespace espquant::sim
