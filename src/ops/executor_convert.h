#pragma once

#include <memory>

#include "ops/executor_plan.h"

namespace espquant::ops::exec {

/// Brings a float32 value of `shape` from one form into another.
std::shared_ptr<const Kernel> make_conversion(const Shape& shape, Form from, Form to);

}  // namespace espquant::ops::exec
