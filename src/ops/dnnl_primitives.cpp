#include "ops/dnnl_primitives.h"

#include <omp.h>

#include <cstdlib>

namespace espquant::ops::exec {
namespace {

/// oneDNN adds up in another order for each instruction set, and a last bit can decide an exponent.
/// AVX2's order everywhere gives the same file on every processor that has it, at no cost in time
/// that could be measured. What somebody asks for by oneDNN's own variable counts.
[[maybe_unused]] const bool kPinned = [] {
  if (std::getenv("DNNL_MAX_CPU_ISA") == nullptr) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
  return true;
}();

}  // namespace

SingleThreaded::SingleThreaded() : before_(omp_get_max_threads()) {
  if (before_ != 1) omp_set_num_threads(1);
}

SingleThreaded::~SingleThreaded() {
  if (before_ != 1) omp_set_num_threads(before_);
}

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

dnnl::memory reordered(const float* data, const dnnl::memory::desc& from,
                       const dnnl::memory::desc& to) {
  dnnl::memory result(to, cpu_engine());
  dnnl::memory source(from, cpu_engine(), const_cast<float*>(data));
  dnnl::stream stream(cpu_engine());
  dnnl::reorder(source, result).execute(stream, source, result);
  stream.wait();
  return result;
}

DnnlKernel::DnnlKernel(dnnl::primitive primitive, std::string name, dnnl::memory::desc scratchpad,
                       std::vector<Argument> inputs, std::vector<Argument> outputs,
                       std::vector<Constant> constants)
    : primitive_(std::move(primitive)),
      name_(std::move(name)),
      scratchpad_(std::move(scratchpad)),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)),
      constants_(std::move(constants)) {}

std::function<void()> DnnlKernel::bind(const Binding& binding) const {
  struct Call {
    dnnl::stream stream;
    std::vector<dnnl::memory> memories;
    std::vector<dnnl_exec_arg_t> arguments;
  };
  auto call = std::make_shared<Call>();
  call->stream = dnnl::stream(cpu_engine());
  const auto add = [&](int id, dnnl::memory memory) {
    call->arguments.push_back({id, memory.get()});
    call->memories.push_back(std::move(memory));
  };
  for (std::size_t i = 0; i < inputs_.size(); ++i)
    add(inputs_[i].id,
        dnnl::memory(inputs_[i].desc, cpu_engine(), const_cast<float*>(binding.inputs[i].data)));
  for (std::size_t i = 0; i < outputs_.size(); ++i)
    add(outputs_[i].id, dnnl::memory(outputs_[i].desc, cpu_engine(), binding.outputs[i].data));
  for (const Constant& c : constants_) add(c.id, c.memory);
  if (scratchpad_.get_size() > 0)
    add(DNNL_ARG_SCRATCHPAD, dnnl::memory(scratchpad_, cpu_engine(), binding.scratch));
  return [this, call] {
    dnnl::error::wrap_c_api(
        dnnl_primitive_execute(primitive_.get(), call->stream.get(),
                               static_cast<int>(call->arguments.size()), call->arguments.data()),
        "the primitive could not run");
  };
}

}  // namespace espquant::ops::exec
