#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/tensor.h"
#include "espquant/array.h"
#include "espquant/data.h"
#include "espquant/network.h"
#include "espquant/progress.h"
#include "job/data.h"
#include "job/network.h"
#include "job/tell.h"
#include "strategy/workbench.h"

/// Between what the public headers declare and what the rooms use.
namespace espquant::api {

/// Shares the elements.
Tensor tensor_of(const Array& array);
/// Shares the elements. Throws Error(Unsupported) for types that Array has not.
Array array_of(Tensor tensor);
ElementType element_type(DType dtype);

/// `called` is what messages call arrays in memory.
job::DataOptions data_options(const Data& data, const std::string& called);
job::NetworkOptions network_options(const Network& network);

/// What a job is told with, and collects of it.
class Listener {
 public:
  explicit Listener(const Observer& observer);
  job::Tell tell();
  strategy::StageProgress stages() const;
  std::vector<std::string> notes() const { return notes_; }

 private:
  const Observer& observer_;
  std::vector<std::string> notes_;
  CancelScope cancel_;
};

}  // namespace espquant::api
