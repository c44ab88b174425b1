#pragma once

#include <utility>
#include <vector>

#include "base/error.h"

namespace espquant::espdl {

/// What becomes of a defect that leaves the rest of a model readable: it is thrown, or gathered.
class Defects {
 public:
  /// Throws each.
  Defects() = default;
  /// Appends each to `all`.
  explicit Defects(std::vector<Error>& all) : all_(&all) {}

  void report(Error defect) {
    if (all_ == nullptr) throw defect;
    all_->push_back(std::move(defect));
  }
  bool gathers() const { return all_ != nullptr; }

 private:
  std::vector<Error>* all_ = nullptr;
};

}  // namespace espquant::espdl
