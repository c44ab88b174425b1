#include <fmt/format.h>

#include "espdl/filter_layout.h"
#include "sim/mac_engine.h"
#include "sim/operators.h"

/// Gemm: a 1x1 convolution over the rows of the input (ESP-DL 3.5).
namespace espquant::sim {
namespace {

class GemmKernel final : public Kernel {
 public:
  GemmKernel(MacEngine engine, MacEngine::Filter filter)
      : engine_(std::move(engine)), filter_(std::move(filter)) {}

  void run(const KernelArgs& args) const override {
    engine_.run(args.inputs[0], filter_, args.outputs[0], args.workspace);
  }

 private:
  MacEngine engine_;
  MacEngine::Filter filter_;
};

void check_attributes(const espdl::Node& node) {
  if (node.get_int("transA", 0) != 0 || node.get_int("transB", 0) != 0)
    throw Error(ErrorCode::Illegal, "transA and transB must be 0 when the chip runs it")
        .remedy("Transpose the weights when exporting");
  if (node.get_float("alpha", 1.0F) != 1.0F || node.get_float("beta", 1.0F) != 1.0F)
    throw Error(ErrorCode::Illegal, "alpha and beta must be 1")
        .remedy("Fold them into weights and bias");
}

}  // namespace

Prepared prepare_gemm(const NodeContext& context) {
  check_attributes(context.node);
  const Shape& x = context.input(0).shape;
  const Shape& filter = context.input(1).shape;
  if (x.empty() || filter.size() != 4 || filter[0] != 1 || filter[1] != 1 ||
      filter[2] != x.back() || filter[2] < 1 || filter[3] < 1)
    throw Error(ErrorCode::Malformed,
                fmt::format("input {} and filter {} do not fit: expected 1x1xKxN for rows of K",
                            to_string(x), to_string(filter)));
  ConvGeometry geometry;
  geometry.in_c = filter[2];
  geometry.out_c = filter[3];
  geometry.in_w = geometry.out_w = element_count(x) / geometry.in_c;
  Shape shape = x;
  shape.back() = geometry.out_c;

  Prepared prepared;
  prepared.outputs.push_back(mac_output(context, std::move(shape)));
  const espdl::Constant& weights = context.constant(1);
  const espdl::Constant* bias = context.has_input(2) ? &context.constant(2) : nullptr;
  MacEngine engine(geometry,
                   make_arithmetic(context, geometry, context.input(1), bias, prepared.faults),
                   context.options);
  const int lanes = context.target.lanes(context.input(0).dtype == DType::Int8 ? 8 : 16);
  MacEngine::Filter loaded = engine.load(espdl::unpack_filter(weights.data, false, lanes));
  prepared.kernel = std::make_unique<GemmKernel>(std::move(engine), std::move(loaded));
  return prepared;
}

}  // namespace espquant::sim
