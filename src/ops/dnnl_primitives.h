#pragma once

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "ops/executor_plan.h"

/// The seam to oneDNN: primitives made once, bound per workspace, executed without allocation.
namespace espquant::ops::exec {

/// oneDNN decides at creation and at execution by how many threads a primitive works; here always
/// one, since the parallelism is over images. Restores the caller's setting.
class SingleThreaded {
 public:
  SingleThreaded();
  ~SingleThreaded();
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  int before_;
};

const dnnl::engine& cpu_engine();

/// For primitives of this executor: scratch memory comes from the workspace.
dnnl::primitive_attr user_scratchpad();

/// `data` in the layout `from` brought into the layout `to`, in memory of its own.
dnnl::memory reordered(const float* data, const dnnl::memory::desc& from,
                       const dnnl::memory::desc& to);

/// A oneDNN primitive as a step. `inputs` and `outputs` say which argument (DNNL_ARG_...) each
/// operand of the step is, `constants` hold weights and the like.
class DnnlKernel final : public Kernel {
 public:
  struct Argument {
    int id;
    dnnl::memory::desc desc;
  };
  struct Constant {
    int id;
    dnnl::memory memory;
  };

  DnnlKernel(dnnl::primitive primitive, std::string name, dnnl::memory::desc scratchpad,
             std::vector<Argument> inputs, std::vector<Argument> outputs,
             std::vector<Constant> constants);

  std::function<void()> bind(const Binding& binding) const override;
  std::size_t scratch_bytes() const override { return scratchpad_.get_size(); }
  std::string name() const override { return name_; }

 private:
  dnnl::primitive primitive_;
  std::string name_;
  dnnl::memory::desc scratchpad_;
  std::vector<Argument> inputs_, outputs_;
  std::vector<Constant> constants_;
};

}  // namespace espquant::ops::exec
