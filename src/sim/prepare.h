#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/kernel.h"

/// What the operators share while they prepare: the checks of ESP-DL's modules and the making of
/// kernels.
namespace espquant::sim {

/// The operator of that name. Throws Error(Unsupported).
const Operator& find_operator(const espdl::Node& node);

/// As the file declares them.
TensorDesc describe(const espdl::Constant& constant);
TensorDesc describe(const espdl::ValueInfo& value);

/// Throws Error(Malformed) for a tensor without a type, Error(BadData) for one that no chip holds.
void check_desc(const std::string& name, const TensorDesc& desc);

template <typename Run>
class FunctionKernel final : public Kernel {
 public:
  explicit FunctionKernel(Run run) : run_(std::move(run)) {}
  void run(const KernelArgs& args) const override { run_(args); }

 private:
  Run run_;
};

/// A kernel that calls `run`; what `run` captures is the prepared state.
template <std::invocable<const KernelArgs&> Run>
std::unique_ptr<Kernel> make_kernel(Run run) {
  return std::make_unique<FunctionKernel<Run>>(std::move(run));
}

template <typename Run>
class StatefulKernel final : public Kernel {
 public:
  explicit StatefulKernel(Run run) : run_(std::move(run)) {}
  void run(const KernelArgs& args) const override { run_(this, args); }

 private:
  Run run_;
};

/// A kernel that calls run(key, args), with the key of its own for Workspace::state.
template <std::invocable<const void*, const KernelArgs&> Run>
std::unique_ptr<Kernel> make_stateful_kernel(Run run) {
  return std::make_unique<StatefulKernel<Run>>(std::move(run));
}

/// Error(Illegal): ESP-DL asserts here, or reads or writes where nothing is defined.
[[noreturn]] void refuse(std::string rule, std::string_view remedy);

/// The element type that the node computes in, from its attribute quant_type ("S8", "S16", "F32"),
/// else from input 0. Throws Error(Illegal) where the two differ: the runtime would read the
/// elements of input 0 as another type.
DType element_type(const NodeContext& context);

/// Throws Error(Illegal) where the type of input `i`, which the runtime takes for granted, differs.
void require_type(const NodeContext& context, std::size_t i, DType dtype);

/// Calls f.operator()<T>() with T = int8_t, int16_t or float. Throws Error(Illegal) for others.
template <typename F>
decltype(auto) visit_element_type(DType dtype, F&& f);

/// Output `i` as the file declares it, with the shape that the runtime computes. Throws
/// Error(Malformed) where the file says nothing of it, Error(Illegal) where it declares another
/// type than the runtime writes.
TensorDesc output_desc(const NodeContext& context, std::size_t i, Shape shape, DType written);

/// One output of the given type.
Prepared prepared_with(const NodeContext& context, Shape shape, DType written,
                       std::unique_ptr<Kernel> kernel);

/// Whether the node runs by the vector unit's arithmetic where that differs from the portable
/// kernels': on the S3, and on the P4 unless the options ask for the portable ones.
bool uses_vector_kernels(const NodeContext& context);

/// Adds "p4-vector-kernel-differs" where the options ask for the portable kernels on the P4; for
/// nodes whose kernels differ.
void note_portable_kernel(const NodeContext& context, Prepared& prepared);

void add_fault(Prepared& prepared, std::string_view name);

/// Adds the fault "exponents-ignored" where an exponent of the given inputs differs from that of
/// output 0: the operator copies or compares integers whatever they stand for.
void check_exponents(const NodeContext& context, Prepared& prepared,
                     std::initializer_list<std::size_t> inputs);

/// 2^exponent as the runtime's float formulas compute it. Throws Error(Illegal) outside of
/// [-30, 30], where its 32-bit shift overflows.
float chip_scale(int exponent);

/// The integers of constant input `input`, else of the attribute (which old files and old ONNX
/// opsets use), else nothing. Reads int64 and int32.
std::vector<std::int64_t> integer_parameter(const NodeContext& context, std::size_t input,
                                            std::string_view attribute);
bool has_parameter(const NodeContext& context, std::size_t input, std::string_view attribute);

/// Counts from the back when negative. Throws Error(Illegal) outside of [-rank, rank).
std::size_t checked_axis(std::int64_t axis, std::size_t rank);

/// A shape seen from one of its axes: the extents before it, of it, and behind it.
struct AxisSplit {
  std::int64_t outer = 1, length = 1, inner = 1;
};
AxisSplit split_at(const Shape& shape, std::size_t axis);

/// Throws Error(Illegal) unless the shape has one of the ranks and, where it has more than one
/// image, says that the runtime computes only the first.
void require_single_image(const NodeContext& context, const Shape& shape, std::size_t least_rank,
                          std::size_t most_rank);

template <typename F>
decltype(auto) visit_element_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::Int8:
      return f.template operator()<std::int8_t>();
    case DType::Int16:
      return f.template operator()<std::int16_t>();
    case DType::Float32:
      return f.template operator()<float>();
    default:
      refuse("ESP-DL has no kernel for elements of type " + std::string(to_string(dtype)),
             "Use int8, int16 or float");
  }
}

}  // namespace espquant::sim
