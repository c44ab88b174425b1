#include "base/cancel.h"

#include "base/error.h"

namespace espquant {
namespace {

thread_local const CancelFlag* asked_flag = nullptr;

}  // namespace

CancelScope::CancelScope(const CancelFlag* flag) : before_(asked_flag) { asked_flag = flag; }

CancelScope::~CancelScope() { asked_flag = before_; }

const CancelFlag* current_cancel_flag() { return asked_flag; }

void throw_if_cancelled() {
  if (asked_flag != nullptr && asked_flag->load(std::memory_order_relaxed))
    throw Error(ErrorCode::Cancelled, "stopped, as was asked");
}

}  // namespace espquant
