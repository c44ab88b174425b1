#include "cost/tensor_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "cost/in_place.h"
#include "espdl/index.h"

namespace espquant::cost {
namespace {

/// The runtime computes sizes and offsets in 32-bit integers.
constexpr std::int64_t kLargestTensor = std::numeric_limits<std::int32_t>::max();

class Recorder {
 public:
  explicit Recorder(const espdl::Model& model) : model_(model), index_(model) {
    outputs_.insert(model.outputs.begin(), model.outputs.end());
    for (const auto& node : model.nodes) {
      for (const auto& name : node.inputs) add_record(node, name);
      for (const auto& name : node.outputs) add_record(node, name);
    }
  }

  std::vector<TensorRecord> run() {
    for (const auto& name : model_.inputs)
      if (const auto at = numbers_.find(name); at != numbers_.end()) written_[at->second] = true;
    for (std::size_t step = 0; step < model_.nodes.size(); ++step) {
      const auto& node = model_.nodes[step];
      note_reads(node, step);
      note_writes(node, step);
    }
    return std::move(records_);
  }

 private:
  void add_record(const espdl::Node& node, const std::string& name) {
    if (name.empty() || index_.initializer(name) != nullptr) return;
    if (!numbers_.emplace(name, records_.size()).second) return;
    const auto* value = index_.value(name);
    if (value == nullptr)
      throw Error(ErrorCode::Malformed, "the file gives no type and shape of a tensor")
          .node(node.name)
          .tensor(name);
    TensorRecord record;
    record.name = value->name;
    record.bytes = bytes_of(*value);
    record.is_output = outputs_.contains(name);
    records_.push_back(record);
    written_.push_back(false);
  }

  static std::size_t bytes_of(const espdl::ValueInfo& value) {
    const auto count = element_count(value.shape);
    const auto size = static_cast<std::int64_t>(std::max<std::size_t>(size_of(value.dtype), 1));
    if (count > kLargestTensor / size)
      throw Error(ErrorCode::Illegal,
                  fmt::format("{} elements are more than a chip can address", count))
          .tensor(value.name)
          .remedy("Make the network's input smaller");
    return static_cast<std::size_t>(count * size);
  }

  /// The record of an activation, kNoRecord for constants and inputs that are not given.
  std::size_t number_of(const std::string& name) const {
    const auto at = numbers_.find(name);
    return at == numbers_.end() ? kNoRecord : at->second;
  }

  /// Reading a tensor takes its memory back from the one that was to overwrite it (rule a).
  void note_reads(const espdl::Node& node, std::size_t step) {
    for (const auto& name : node.inputs) {
      const std::size_t input = number_of(name);
      if (input == kNoRecord) continue;
      if (!written_[input])
        throw Error(ErrorCode::Malformed, "a tensor is read before anything writes it")
            .node(node.name)
            .tensor(name);
      cut_dirty_follower(input);
      if (!records_[input].is_output) extend_life(input, static_cast<std::int64_t>(step) + 1);
    }
  }

  void note_writes(const espdl::Node& node, std::size_t step) {
    for (const auto& name : node.outputs) {
      const std::size_t output = number_of(name);
      if (output == kNoRecord) continue;
      if (written_[output])
        throw Error(ErrorCode::Malformed, "a tensor is written twice").node(node.name).tensor(name);
      written_[output] = true;
      records_[output].begin = static_cast<std::int64_t>(step);
      if (node.outputs.size() == 1) place_over_input(node, output);
    }
  }

  void place_over_input(const espdl::Node& node, std::size_t output) {
    const InPlace kind = in_place_kind(node.op);
    if (kind == InPlace::Never) return;
    const std::size_t chosen = first_fitting_input(node, output);
    if (chosen == kNoRecord) return;
    cut_dirty_follower(chosen);
    share_memory(output, chosen);
    if (kind == InPlace::Alias) {
      records_[chosen].clean_follower = output;
    } else if (records_[chosen].clean_follower != kNoRecord) {
      records_[output].leader = kNoRecord;
    } else {
      records_[chosen].dirty_follower = output;
    }
  }

  std::size_t first_fitting_input(const espdl::Node& node, std::size_t output) const {
    for (const auto& name : node.inputs) {
      const std::size_t input = number_of(name);
      if (input != kNoRecord && records_[input].bytes >= records_[output].bytes &&
          !records_[input].is_output)
        return input;
    }
    return kNoRecord;
  }

  void cut_dirty_follower(std::size_t leader) {
    auto& follower = records_[leader].dirty_follower;
    if (follower == kNoRecord) return;
    records_[follower].leader = kNoRecord;
    follower = kNoRecord;
  }

  /// A new output has no end yet, so its leader must not end either until the output is read.
  void share_memory(std::size_t output, std::size_t leader) {
    records_[output].leader = leader;
    extend_life(leader, kNever);
  }

  /// Of the whole chain of leaders; each follower keeps what it saw last, which counts once its
  /// link is cut.
  void extend_life(std::size_t record, std::int64_t end) {
    std::vector<std::size_t> chain{record};
    while (records_[chain.back()].leader != kNoRecord)
      chain.push_back(records_[chain.back()].leader);
    auto& owner = records_[chain.back()];
    owner.end = end == kNever ? kNever : std::max(owner.end, end);
    for (const std::size_t member : chain) records_[member].end = owner.end;
  }

  const espdl::Model& model_;
  const espdl::ModelIndex index_;
  std::unordered_set<std::string_view> outputs_;
  std::unordered_map<std::string_view, std::size_t> numbers_;
  std::vector<TensorRecord> records_;
  std::vector<bool> written_;
};

}  // namespace

std::vector<TensorRecord> make_tensor_records(const espdl::Model& model) {
  return Recorder(model).run();
}

std::size_t owner_of(const std::vector<TensorRecord>& records, std::size_t record) {
  while (records[record].leader != kNoRecord) record = records[record].leader;
  return record;
}

}  // namespace espquant::cost
