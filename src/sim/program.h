#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "sim/kernel.h"

namespace espquant::sim {

/// The target that a file was made for: its metadata, else Family::S3. Files do not always say.
const Target& target_of(const espdl::Model& model);

/// An espdl::Model made ready to run as the chip runs it. Immutable and thread-safe; one Frame per thread.
class Program {
 public:
  /// Prepares every node in order. Throws what the operators throw, with the node's name. `model` must outlive it.
  Program(const espdl::Model& model, const Target& target, Options options = {});
  ~Program();

  struct Fault {
    std::string node, name;
  };
  /// Known faults of ESP-DL that this model meets.
  std::span<const Fault> faults() const { return faults_; }

  const espdl::Model& model() const { return model_; }
  const Target& target() const { return target_; }
  const Options& options() const { return options_; }

  /// Index of a tensor (activation) in this program; throws Error(Malformed) when there is none.
  std::size_t tensor_index(std::string_view name) const;
  const TensorDesc& desc(std::size_t tensor) const { return tensors_[tensor].desc; }
  const std::string& tensor_name(std::size_t tensor) const { return tensors_[tensor].name; }
  std::size_t tensor_count() const { return tensors_.size(); }
  std::span<const std::size_t> inputs() const { return inputs_; }
  std::span<const std::size_t> outputs() const { return outputs_; }
  std::size_t node_count() const { return steps_.size(); }
  /// Activations that node `n` reads (constants left out) and writes.
  std::span<const std::size_t> node_inputs(std::size_t n) const { return steps_[n].activation_inputs; }
  std::span<const std::size_t> node_outputs(std::size_t n) const { return steps_[n].outputs; }

  /// Buffers and streaming state of one thread.
  class Frame {
   public:
    /// `keep_all`: every activation has its own buffer and stays readable; otherwise buffers are reused.
    explicit Frame(const Program& program, bool keep_all = false);

    std::span<std::byte> bytes(std::size_t tensor);
    /// A copy of the tensor.
    Tensor tensor(std::size_t tensor) const;
    /// Takes a tensor of the same dtype and shape. Throws Error(BadData) otherwise.
    void set(std::size_t tensor, const Tensor& value);

    /// Runs the whole model on the inputs that were set.
    void run();
    /// Runs one node on what its inputs hold (needs keep_all).
    void run_node(std::size_t node);
    /// Forgets the state of streaming operators.
    void reset();
    /// Per node, when not null: entries that kernels add to. Size node_count().
    std::vector<Workspace::Saturation>* saturation = nullptr;

   private:
    const Program& program_;
    bool keep_all_;
    std::shared_ptr<std::byte[]> arena_;
    std::vector<std::byte*> address_;
    Workspace workspace_;
  };

 private:
  struct TensorSlot {
    std::string name;
    TensorDesc desc;
    std::size_t offset = 0, shared_offset = 0;
  };
  struct Step {
    const espdl::Node* node = nullptr;
    std::vector<std::ptrdiff_t> inputs;  ///< tensor index; -1 none; -2-i constant i of `constants`
    std::vector<const espdl::Constant*> constants;
    std::vector<std::size_t> activation_inputs, outputs;
    std::unique_ptr<Kernel> kernel;
  };
  void plan_memory();

  const espdl::Model& model_;
  const Target& target_;
  Options options_;
  std::vector<TensorSlot> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::vector<Step> steps_;
  std::vector<std::size_t> inputs_, outputs_;
  std::vector<Fault> faults_;
  std::size_t arena_size_ = 0, full_size_ = 0;
  friend class Frame;
};

/// ESP-DL's TensorBase::assign (reference section 2): copy, quantize, dequantize, widen, narrow or requantize from one
/// description to another of equal element count.
void assign(const TensorDesc& from, const std::byte* source, const TensorDesc& to, std::byte* destination,
            const Target& target);

}  // namespace espquant::sim
