#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "espquant/export.h"

namespace espquant {

/// Stops work that goes on in another thread. Copies stand for the same wish.
class CancelToken {
 public:
  void cancel() const { wished_->store(true); }
  bool cancelled() const { return wished_->load(); }
  const std::atomic<bool>* flag() const { return wished_.get(); }

 private:
  std::shared_ptr<std::atomic<bool>> wished_ = std::make_shared<std::atomic<bool>>(false);
};

/// What long work says while it goes on. Each may be empty. Called in the thread that works.
struct Observer {
  /// A stage begins or goes on; `total` is 0 where its length is unknown.
  std::function<void(std::string_view stage, std::int64_t done, std::int64_t total)> stage = {};
  /// What a user should know: a sentence at a time.
  std::function<void(std::string_view sentence)> note = {};
  /// Where it is cancelled, the work ends within a second with Error(Cancelled), and no file is
  /// written.
  CancelToken cancel = {};
};

/// Threads that all work may use; 0: all cores. Results never depend on it.
ESPQUANT_API void use_threads(int threads);

/// Of this library, as "0.1.0".
ESPQUANT_API std::string_view library_version();

}  // namespace espquant
