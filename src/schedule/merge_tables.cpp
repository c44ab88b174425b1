#include <fmt/format.h>

#include <algorithm>

#include "schedule/int8_table.h"
#include "schedule/rewrites.h"
#include "schedule/value_range.h"

/// Tables, and operators on single int8 elements that could be tables: into the convolution before,
/// where they are its ReLU or change nothing that it can put out; behind a MaxPool, where they are
/// fewer; and two in a row become one.
namespace espquant::schedule {
namespace {

/// Looks at one model; each change is made at once, and ends the look.
class TableMerger {
 public:
  TableMerger(espdl::Model& model, const Conditions& conditions)
      : model_(model),
        conditions_(conditions),
        index_(model),
        ranges_(model, index_, conditions.target),
        sole_makers_(model) {}

  bool change_one() {
    for (std::size_t n = 0; n < model_.nodes.size(); ++n) {
      const espdl::Node& node = model_.nodes[n];
      if (node.inputs.empty()) continue;
      const auto maker = sole_makers_.maker_of(node.inputs[0]);
      if (!maker) continue;
      if (node.op == "MaxPool" && move_behind(*maker, n)) return true;
      const auto values = int8_values_of(node, index_, conditions_.target);
      if (values && (fold(*maker, n, *values) || join(*maker, n, *values))) return true;
    }
    return false;
  }

 private:
  /// Into the Conv or Gemm whose output the table reads.
  bool fold(std::size_t maker, std::size_t n, const Int8Values& values) {
    espdl::Node& conv = model_.nodes[maker];
    if (conv.op != "Conv" && conv.op != "Gemm") return false;
    const auto* in = index_.value(model_.nodes[n].inputs[0]);
    const auto* out = index_.value(model_.nodes[n].outputs[0]);
    if (in->exponents != out->exponents || conv.outputs.size() != 1) return false;
    const Range range = ranges_.of(in->name);
    bool identity = true, relu = conv.get_string("activation", "Linear") == "Linear";
    for (std::int64_t q = range.low; q <= range.high; ++q) {
      const std::int64_t made = values[static_cast<std::size_t>(q + 128)];
      identity = identity && made == q;
      relu = relu && made == std::max<std::int64_t>(q, 0);
    }
    if (!identity && !relu) return false;
    if (!identity) conv.attributes.insert_or_assign("activation", std::string("Relu"));
    conv.outputs[0] = out->name;
    model_.nodes.erase(model_.nodes.begin() + static_cast<std::ptrdiff_t>(n));
    return true;
  }

  /// Two tables in a row; as one, where that is less work.
  bool join(std::size_t maker, std::size_t n, const Int8Values& second) {
    const espdl::Node &before = model_.nodes[maker], &node = model_.nodes[n];
    const auto first = int8_values_of(before, index_, conditions_.target);
    if (!first) return false;
    const auto* out = index_.value(node.outputs[0]);
    Names names(model_);
    Fragment fragment;
    espdl::Constant table{
        names.unique(node.name + "_lut"), Tensor(DType::Int8, {256}), {out->exponent()}, ""};
    auto entries = table.data.mutable_data<std::int8_t>();
    for (std::size_t i = 0; i < first->size(); ++i)
      entries[i] = second[static_cast<std::size_t>((*first)[i] + 128)];
    espdl::Node both;
    both.name = node.name;
    both.op = "LUT";
    both.inputs = {before.inputs[0]};
    both.outputs = node.outputs;
    both.attributes["lut"] = table.name;
    both.attributes["quant_type"] = std::string("S8");
    fragment.nodes = {both};
    fragment.constants = {table};
    if (milliseconds_of(fragment, index_, conditions_) >=
        milliseconds_of(before, index_, conditions_) + milliseconds_of(node, index_, conditions_))
      return false;
    model_.nodes[n] = std::move(both);
    model_.initializers.push_back(std::move(table));
    model_.nodes.erase(model_.nodes.begin() + static_cast<std::ptrdiff_t>(maker));
    return true;
  }

  /// A table that rises commutes with the largest of several values.
  bool move_behind(std::size_t maker, std::size_t n) {
    const auto values = int8_values_of(model_.nodes[maker], index_, conditions_.target);
    if (!values || !std::is_sorted(values->begin(), values->end())) return false;
    espdl::Node &table = model_.nodes[maker], &pool = model_.nodes[n];
    const auto* in = index_.value(table.inputs[0]);
    const auto* out = index_.value(pool.outputs[0]);
    if (element_count(out->shape) < 64 || element_count(out->shape) >= element_count(in->shape))
      return false;
    Names names(model_);
    espdl::ValueInfo pooled = *out;
    pooled.name = names.unique(out->name + "_pooled");
    pooled.exponents = in->exponents;
    espdl::Node first = pool, second = table;
    first.inputs[0] = in->name;
    first.outputs[0] = pooled.name;
    second.inputs[0] = pooled.name;
    second.outputs[0] = out->name;
    table = std::move(first);
    pool = std::move(second);
    // In the order of execution the pool ran later: what it reads is there before the table's
    // place.
    model_.values.push_back(std::move(pooled));
    return true;
  }

  espdl::Model& model_;
  const Conditions& conditions_;
  const espdl::ModelIndex index_;
  const ValueRanges ranges_;
  const SoleMakers sole_makers_;
};

}  // namespace

std::int64_t merge_tables(espdl::Model& model, const Conditions& conditions) {
  return change_one_by_one(
      model, [&](espdl::Model& next) { return TableMerger(next, conditions).change_one(); });
}

}  // namespace espquant::schedule
