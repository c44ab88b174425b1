#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "espdl/model.h"
#include "target/target.h"

/// The chip's integer arithmetic, one operator per file. A model is prepared once (shapes, unpacked
/// weights, constants of the arithmetic) and then run any number of times, from several threads
/// with one Workspace each.
namespace espquant::sim {

/// Whether the chip's integers stand for real numbers there.
inline bool is_quantized(DType dtype) { return dtype == DType::Int8 || dtype == DType::Int16; }

enum class KernelChoice : std::uint8_t {
  Fast,       ///< vectorised where a fast kernel exists
  Reference,  ///< plain loops that follow the rules one by one
};

struct Options {
  KernelChoice kernels = KernelChoice::Fast;
  /// The S3's lanes saturate (20 bits for int8, 40 for int16). Off: wide accumulators, for
  /// comparison only.
  bool saturation = true;
  /// P4: four vector kernels (int16 Mul, the int16 table, int8 PRelu, int16 products of LSTM and
  /// GRU) differ from ESP-DL's portable ones, by which results came about that were recorded on a
  /// PC. On: as there. docs/runtime-faults.md, "p4-vector-kernel-differs".
  bool p4_portable_kernels = false;
};

/// Type, shape and exponents of a tensor at run time.
struct TensorDesc {
  DType dtype = DType::Undefined;
  Shape shape;
  std::vector<int> exponents{0};

  int exponent() const { return exponents.empty() ? 0 : exponents.front(); }
  std::size_t byte_size() const {
    return static_cast<std::size_t>(element_count(shape)) * size_of(dtype);
  }
};

struct Buffer {
  std::shared_ptr<std::byte[]> bytes;
  std::size_t size = 0;
};

/// Room for what kernels compute on the way. Of one thread.
class Scratch {
 public:
  /// At least `bytes` bytes on a 64-byte boundary, uninitialised, valid until the next call with
  /// the same slot.
  std::byte* get(std::size_t bytes, std::size_t slot);

 private:
  std::vector<Buffer> slots_;
};

/// Buffers of one run in one thread: scratch that kernels reuse, and the state of streaming
/// operators.
class Workspace {
 public:
  /// See Scratch::get.
  std::byte* scratch(std::size_t bytes, std::size_t slot = 0) {
    return (borrowed_ != nullptr ? *borrowed_ : own_).get(bytes, slot);
  }
  /// Uses another's scratch from now on, which must not be in use by another thread meanwhile;
  /// null: its own.
  void borrow(Scratch* scratch) { borrowed_ = scratch; }
  template <typename T>
  T* scratch_of(std::size_t count, std::size_t slot = 0) {
    return reinterpret_cast<T*>(scratch(count * sizeof(T), slot));
  }
  /// What a kernel keeps between frames, keyed by itself; zero-filled at first use and by reset().
  std::span<std::byte> state(const void* kernel, std::size_t bytes);
  void reset();

  /// Books of the registers that clip (S3: 20-bit lanes for int8, 40 bits for int16); a kernel adds
  /// to its own node's entry when the pointer is set. Equal for every choice of kernels.
  struct Saturation {
    std::int64_t outputs = 0;    ///< computed in such registers
    std::int64_t saturated = 0;  ///< of which at least one step touched the limit
    /// Set by the caller: also how near the others came, which costs several times the time.
    bool traced = false;
    /// Outputs whose largest partial sum, if nothing had been clipped, is beyond half of the limit.
    std::int64_t above_half = 0;
    /// The largest of such sums as a share of the limit.
    double peak = 0;

    /// One output whose largest partial sum has this magnitude (v, or -v - 1 of a negative v).
    void add(std::int64_t magnitude, std::int64_t limit) {
      ++outputs;
      saturated += magnitude > limit ? 1 : 0;
      above_half += magnitude > limit / 2 ? 1 : 0;
      peak = std::max(peak, static_cast<double>(magnitude) / static_cast<double>(limit));
    }
  };
  Saturation* saturation = nullptr;

 private:
  Scratch own_;
  Scratch* borrowed_ = nullptr;
  std::vector<std::pair<const void*, Buffer>> states_;
};

/// Pointers to the elements, in the order of the node's inputs (null for an input that is not
/// given) and outputs.
struct KernelArgs {
  std::span<const std::byte* const> inputs;
  std::span<std::byte* const> outputs;
  Workspace& workspace;

  template <typename T>
  const T* in(std::size_t i) const {
    return reinterpret_cast<const T*>(inputs[i]);
  }
  template <typename T>
  T* out(std::size_t i) const {
    return reinterpret_cast<T*>(outputs[i]);
  }
};

/// One node, ready to run. Inputs and outputs never overlap. Thread-safe: everything mutable is in
/// the Workspace.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const KernelArgs& args) const = 0;
};

/// What a kernel is prepared from. Where an input is a constant, `constants[i]` points to it.
struct NodeContext {
  const espdl::Model& model;
  const espdl::Node& node;
  std::span<const TensorDesc> inputs;
  std::span<const espdl::Constant* const> constants;
  /// As the file declares the outputs: dtype and exponents are to be trusted, shapes are not
  /// (ESP-DL recomputes them).
  std::span<const TensorDesc> declared;
  const Target& target;
  const Options& options;

  bool has_input(std::size_t i) const {
    return i < inputs.size() && inputs[i].dtype != DType::Undefined;
  }
  /// Throws Error(Malformed) when the input is missing.
  const TensorDesc& input(std::size_t i) const;
  /// The constant behind input i, or throws Error(Unsupported): the runtime needs it to be
  /// constant.
  const espdl::Constant& constant(std::size_t i) const;
};

struct Prepared {
  /// Actual type, shape and exponents of each output.
  std::vector<TensorDesc> outputs;
  std::unique_ptr<Kernel> kernel;
  /// Names of known faults of the runtime that this node meets (documented in
  /// docs/runtime-faults.md).
  std::vector<std::string> faults;
};

/// Checks a node as ESP-DL's module would (and where it would assert or compute garbage, throws
/// Error(Illegal) with the rule and a remedy), and prepares it.
using PrepareFn = Prepared (*)(const NodeContext&);

struct Operator {
  std::string_view type;
  PrepareFn prepare;
};

/// The explicit list of every operator that the simulator runs (registry.cpp).
std::span<const Operator> all_operators();

}  // namespace espquant::sim
