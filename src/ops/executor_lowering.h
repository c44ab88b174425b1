#pragma once

#include "ops/executor_plan.h"

/// Nodes that have something faster than the reference kernel. Each function adds the node's steps
/// and returns true, or returns false and leaves the plan as it was: the operator's reference
/// kernel then runs.
namespace espquant::ops::exec {

bool lower_fast(PlanBuilder& plan, NodeId n);

bool lower_convolution(PlanBuilder& plan,
                       NodeId n);              ///< Conv, ConvTranspose (executor_convolution.cpp)
bool lower_gemm(PlanBuilder& plan, NodeId n);  ///< executor_matmul.cpp
bool lower_matmul(PlanBuilder& plan, NodeId n);
bool lower_window_pool(PlanBuilder& plan, NodeId n);  ///< MaxPool, AveragePool (executor_pools.cpp)
bool lower_global_pool(PlanBuilder& plan,
                       NodeId n);  ///< GlobalAveragePool, GlobalMaxPool, ReduceMean over pixels
bool lower_unary(PlanBuilder& plan, NodeId n);  ///< executor_elementwise.cpp
bool lower_binary(PlanBuilder& plan, NodeId n);
bool lower_batch_normalization(PlanBuilder& plan, NodeId n);
bool lower_softmax(PlanBuilder& plan, NodeId n);
bool lower_move(PlanBuilder& plan,
                NodeId n);  ///< Concat, Slice, Transpose, ... (executor_moves.cpp)
bool lower_reshape(PlanBuilder& plan, NodeId n);  ///< Reshape, Flatten, ..., Identity

}  // namespace espquant::ops::exec
