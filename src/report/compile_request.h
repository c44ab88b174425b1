#pragma once

#include <set>
#include <string>

#include "espdl/model.h"
#include "target/target.h"

namespace espquant::report {

/// What an application must compile in so that models run: ESP-DL from 3.3.12 on leaves out the
/// rest when a `compile_req.yml` is registered with its build (ESP-DL 3.3.15, 6).
struct CompileRequest {
  /// Types of nodes under the runtime's names; RequantizeLinear always, since TensorBase::assign
  /// needs it.
  std::set<std::string> ops;
  /// Convolution kernels, those of Gemm and MatMul included. Names that a release does not know are
  /// ignored by its build, so where the name is not certain, all candidates are here.
  std::set<std::string> kernels;

  void add(const CompileRequest& other);
};

CompileRequest compile_request(const espdl::Model& model, const Target& target);

/// In the subset of YAML that ESP-DL reads. `models`: named in a comment. `kernel_abi` is left out:
/// releases accept that.
std::string to_yaml(const CompileRequest& request, const std::string& models);

}  // namespace espquant::report
