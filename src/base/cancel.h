#pragma once

#include <atomic>

/// Stopping long work from another thread.
namespace espquant {

using CancelFlag = std::atomic<bool>;

/// As long as this object lives, parallel loops that the calling thread begins ask `flag` before
/// each task, and throw Error(Cancelled) where it is set. null: nothing is asked. Scopes nest.
class CancelScope {
 public:
  explicit CancelScope(const CancelFlag* flag);
  ~CancelScope();
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;

 private:
  const CancelFlag* before_;
};

/// What the calling thread asks; null outside of a scope.
const CancelFlag* current_cancel_flag();

/// Throws Error(Cancelled) where the flag is set. For loops that are long and not parallel.
void throw_if_cancelled();

}  // namespace espquant
