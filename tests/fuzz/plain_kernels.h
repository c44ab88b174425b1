#pragma once

#include "base/tensor.h"
#include "tests/fuzz/kernel_problem.h"

/// Operators whose simulation has one kernel, written for speed (merged axes, blocks, loops that
/// vectorise): the same again in plain loops over every index, from the rules (ESP-DL 3.6 to 3.9,
/// 3.14).
namespace espquant::test {

/// The output of mul, add, max_pool, average_pool or transpose on operands a and b (b undefined
/// where there is one operand only).
Tensor plain_result(const KernelProblem& problem, const Tensor& a, const Tensor& b);

}  // namespace espquant::test
