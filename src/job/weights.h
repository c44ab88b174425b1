#pragma once

#include <string>

#include "espdl/model.h"
#include "target/target.h"

namespace espquant::job {

/// A constant in the network's order: a filter of Conv as (O,I,H,W) or (O,I,W), of Gemm as (O,I),
/// of MatMul as (I,O); others as they are stored. Throws Error(Usage), with the nearest name, where
/// there is none of that name.
Tensor weights_of(const espdl::Model& model, const Target& target, const std::string& name);

/// The same as it is stored.
const espdl::Constant& constant_of(const espdl::Model& model, const std::string& name);

}  // namespace espquant::job
