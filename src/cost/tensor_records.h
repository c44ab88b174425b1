#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "espdl/model.h"

/// What ESP-DL's planner knows of each activation before it places them (ESP-DL 5.1, 5.2).
namespace espquant::cost {

inline constexpr std::int64_t kNever = -1;
inline constexpr std::size_t kNoRecord = static_cast<std::size_t>(-1);

struct TensorRecord {
  std::string_view name;
  std::size_t bytes = 0;
  /// Steps; `end` is the first at which it is no longer there, or kNever.
  std::int64_t begin = 0, end = kNever;
  bool is_output = false;

  /// The record in whose memory it lies.
  std::size_t leader = kNoRecord;
  /// The record that overwrites it in place, and the last one that shows the same data.
  std::size_t dirty_follower = kNoRecord, clean_follower = kNoRecord;
};

/// One record per activation that a node reads or writes, in the order of first appearance (inputs
/// of a node before its outputs): this order decides ties. In-place operators are linked to the
/// input whose memory they take. The names refer to `model`. Throws as plan_memory does.
std::vector<TensorRecord> make_tensor_records(const espdl::Model& model);

/// The record whose memory it is in the end.
std::size_t owner_of(const std::vector<TensorRecord>& records, std::size_t record);

}  // namespace espquant::cost
