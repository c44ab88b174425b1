#include "sim/mac_engine.h"

#include "sim/conv_fast.h"
#include "sim/conv_reference.h"

namespace espquant::sim {

MacEngine::MacEngine(const ConvGeometry& geometry, MacArithmetic arithmetic, const Options& options)
    : geometry_(geometry), arithmetic_(std::move(arithmetic)), options_(options) {}
MacEngine::MacEngine(MacEngine&&) noexcept = default;
MacEngine::~MacEngine() = default;

MacEngine::Filter MacEngine::load(Tensor logical) const {
  ESPQUANT_ASSERT(logical.size() == geometry_.filter_size(),
                  "the filter does not fit the geometry");
  Filter filter{std::move(logical), nullptr};
  if (options_.kernels != KernelChoice::Fast) return filter;
  // ESP-DL 3.1: W8A16 kernels extend the weights' signs, then do as those of int16.
  const bool narrow = arithmetic_.bits == 16 && filter.logical.dtype() == DType::Int8;
  filter.fast = FastConv::prepare(geometry_, arithmetic_,
                                  narrow ? filter.logical.cast(DType::Int16) : filter.logical);
  return filter;
}

void MacEngine::run(const std::byte* x, const Filter& filter, std::byte* y,
                    Workspace& workspace) const {
  if (filter.fast != nullptr) return filter.fast->run(arithmetic_, x, y, workspace);
  const auto run_reference = [&]<typename T, typename W>(const W* w) {
    conv_reference(geometry_, arithmetic_, reinterpret_cast<const T*>(x), w,
                   reinterpret_cast<T*>(y), 0, geometry_.out_c, workspace.saturation);
  };
  const Tensor& w = filter.logical;
  if (arithmetic_.bits == 8) {
    run_reference.operator()<std::int8_t>(w.data<std::int8_t>().data());
  } else if (w.dtype() == DType::Int8) {
    run_reference.operator()<std::int16_t>(w.data<std::int8_t>().data());
  } else {
    run_reference.operator()<std::int16_t>(w.data<std::int16_t>().data());
  }
}

}  // namespace espquant::sim
