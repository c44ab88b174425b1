#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "sim/kernel.h"

namespace espquant::sim {

/// The target that a file was made for: its metadata; else what its parameters give away (exponents
/// per channel mean P4, filters that are not blocked mean C); else esp32s3. Under the release that
/// it was made for: its metadata; else the newest. What is not empty of `chip` and `release` takes
/// the place of what the file says. Throws Error(Usage) on a target or release that is not known.
const Target& target_of(const espdl::Model& model, std::string_view chip = {},
                        std::string_view release = {});

/// Where each activation lies in the memory of a chip, by name, in bytes.
struct MemoryLayout {
  std::map<std::string, std::size_t, std::less<>> offsets;
  std::size_t size = 0;
};

/// An espdl::Model made ready to run as the chip runs it. Immutable and thread-safe; one Frame per
/// thread.
class Program {
 public:
  /// Prepares every node in order. Throws what the operators throw, with the node's name. `model`
  /// must outlive it.
  Program(const espdl::Model& model, const Target& target, Options options = {});
  Program(espdl::Model&&, const Target&, Options = {}) = delete;
  ~Program();

  struct Fault {
    std::string node, name;
  };
  /// Known faults of ESP-DL that this model meets.
  std::span<const Fault> faults() const { return faults_; }

  const espdl::Model& model() const { return model_; }
  const Target& target() const { return target_; }
  const Options& options() const { return options_; }

  /// Prepares a node again after the elements of its constants were changed in place. Frames stay
  /// valid.
  void refresh(std::size_t node);

  /// Frames that are made from now on compute in memory laid out so: what one tensor's bytes are
  /// written over with is what later nodes, and the reader of outputs, find there. Without, every
  /// tensor keeps its elements as long as they are needed. `layout` names every activation.
  void lay_out(const MemoryLayout& layout);

  /// Index of a tensor (activation) in this program; throws Error(Malformed) when there is none.
  std::size_t tensor_index(std::string_view name) const;
  const TensorDesc& desc(std::size_t tensor) const { return tensors_[tensor].desc; }
  const std::string& tensor_name(std::size_t tensor) const { return tensors_[tensor].name; }
  std::size_t tensor_count() const { return tensors_.size(); }
  std::span<const std::size_t> inputs() const { return inputs_; }
  std::span<const std::size_t> outputs() const { return outputs_; }
  std::size_t node_count() const { return steps_.size(); }
  /// Activations that node `n` reads (constants left out) and writes.
  std::span<const std::size_t> node_inputs(std::size_t n) const {
    return steps_[n].activation_inputs;
  }
  std::span<const std::size_t> node_outputs(std::size_t n) const { return steps_[n].outputs; }

  /// Buffers and streaming state of one thread.
  class Frame {
   public:
    /// `keep_all`: every activation has its own buffer and stays readable; otherwise buffers are
    /// reused. They hold nothing before they are set or a node has written them. Of a program that
    /// is laid out, every activation is readable as its node wrote it, and the outputs, once the
    /// last node has run, as the memory holds them then; nodes must be run all, in order.
    explicit Frame(const Program& program, bool keep_all = false);

    std::span<std::byte> bytes(std::size_t tensor);
    /// A copy of the tensor.
    Tensor tensor(std::size_t tensor) const;
    /// Takes a tensor of the same dtype and shape. Throws Error(BadData) otherwise.
    void set(std::size_t tensor, const Tensor& value);

    /// Runs the whole model on the inputs that were set.
    void run();
    /// Runs one node on what its inputs hold. In a frame that reuses buffers nodes must be run all,
    /// in order.
    void run_node(std::size_t node);
    /// Many frames that take turns in a thread need only one scratch: see Workspace::borrow.
    void borrow(Scratch* scratch) { workspace_.borrow(scratch); }
    /// Forgets the state of streaming operators.
    void reset();
    /// Per node, when not null: entries that kernels add to. Size node_count().
    std::vector<Workspace::Saturation>* saturation = nullptr;

   private:
    void run_step(std::size_t node);
    void make_planned_memory();
    void load_from_plan(std::size_t node);
    void store_to_plan(std::size_t node);

    struct StepArgs {
      std::vector<const std::byte*> inputs;
      std::vector<std::byte*> outputs;
    };

    const Program& program_;
    std::shared_ptr<std::byte[]> arena_;
    std::vector<std::byte*> address_;
    std::vector<StepArgs> args_;
    Workspace workspace_;
    /// Of a program that is laid out: the chip's memory, and what the node that runs reads of it.
    std::shared_ptr<std::byte[]> planned_, operands_;
  };

 private:
  struct TensorSlot {
    std::string name;
    TensorDesc desc;
    /// Where it lies in a frame that keeps all, and in one that reuses buffers.
    std::size_t offset = 0, shared_offset = 0;
    /// In the chip's memory, of a program that is laid out.
    std::size_t planned_offset = 0;
  };
  struct Step {
    const espdl::Node* node = nullptr;
    /// Per input of the node: the constant, else the index of the tensor, else kNone.
    std::vector<const espdl::Constant*> constants;
    std::vector<std::size_t> inputs;
    /// Per output of the node; kNone where an optional output is not asked for.
    std::vector<std::size_t> all_outputs;
    std::vector<std::size_t> activation_inputs, outputs;
    std::unique_ptr<Kernel> kernel;
  };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  std::size_t add_tensor(const std::string& name, TensorDesc desc);
  void prepare_step(const espdl::Node& node,
                    const std::map<std::string_view, const espdl::Constant*>& constants,
                    const std::map<std::string_view, const espdl::ValueInfo*>& values);
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
  bool laid_out_ = false;
  std::size_t planned_size_ = 0;
  friend class Frame;
};

/// ESP-DL's TensorBase::assign (reference section 2): copy, quantize, dequantize, widen, narrow or
/// requantize from one description to another of equal element count.
void assign(const TensorDesc& from, const std::byte* source, const TensorDesc& to,
            std::byte* destination, const Target& target);

/// Whether ESP-DL leaves the last 8 elements of the destination as they were (the S3's int8 to
/// int16 vector kernel; s3-kernels 6). assign() makes them 0, as in a fresh buffer. `shift` is the
/// difference of exponents, to - from.
bool assign_leaves_tail_unwritten(DType from, DType to, int shift, std::int64_t count,
                                  Family family);

}  // namespace espquant::sim
