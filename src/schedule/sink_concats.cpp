#include <fmt/format.h>

#include <algorithm>

#include "schedule/rewrites.h"

/// A Concat of channels in front of a pool that reads it alone runs behind the pool, where there is
/// less to copy: pools compute each channel by itself (ESP-DL 3.6, 3.7).
namespace espquant::schedule {
namespace {

bool is_pool(std::string_view op) {
  return op == "GlobalAveragePool" || op == "AveragePool" || op == "MaxPool";
}

/// Looks at one model; each change is made at once, and ends the look.
class ConcatSinker {
 public:
  ConcatSinker(espdl::Model& model, const Conditions& conditions)
      : model_(model), conditions_(conditions), index_(model), sole_makers_(model) {}

  bool change_one() {
    for (std::size_t n = 0; n < model_.nodes.size(); ++n) {
      const espdl::Node& pool = model_.nodes[n];
      if (!is_pool(pool.op) || pool.inputs.size() != 1 || pool.outputs.size() != 1) continue;
      const auto maker = sole_makers_.maker_of(pool.inputs[0]);
      if (!maker || !joins_channels(model_.nodes[*maker])) continue;
      const espdl::Node& concat = model_.nodes[*maker];
      Fragment sunk = behind(concat, pool);
      if (milliseconds_of(sunk, index_, conditions_) >=
          milliseconds_of(concat, index_, conditions_) + milliseconds_of(pool, index_, conditions_))
        continue;
      Replacements replacements;
      replacements.emplace(n, std::move(sunk));
      replacements.emplace(*maker, Fragment{});
      replace_nodes(model_, std::move(replacements));
      return true;
    }
    return false;
  }

 private:
  /// Of activations with the Concat's own exponent.
  bool joins_channels(const espdl::Node& concat) const {
    const auto* joined = index_.value(concat.outputs[0]);
    if (concat.op != "Concat" || joined == nullptr || joined->shape.size() < 3) return false;
    const auto rank = static_cast<std::int64_t>(joined->shape.size());
    const std::int64_t axis = concat.get_int("axis", 0);
    if (axis != rank - 1 && axis != -1) return false;
    return std::all_of(concat.inputs.begin(), concat.inputs.end(), [&](const std::string& name) {
      const auto* part = index_.value(name);
      return part != nullptr && index_.initializer(name) == nullptr &&
             part->exponents == joined->exponents && part->dtype == joined->dtype;
    });
  }

  Fragment behind(const espdl::Node& concat, const espdl::Node& pool) const {
    const auto& pooled = *index_.value(pool.outputs[0]);
    Names names(model_);
    Fragment fragment;
    std::vector<std::string> parts;
    for (const auto& name : concat.inputs) {
      espdl::ValueInfo value = pooled;
      value.name = names.unique(fmt::format("{}_part{}", pooled.name, parts.size()));
      value.shape.back() = index_.value(name)->shape.back();
      espdl::Node one = pool;
      one.name = names.unique(fmt::format("{}_part{}", pool.name, parts.size()));
      one.inputs = {name};
      one.outputs = {value.name};
      parts.push_back(value.name);
      fragment.values.push_back(std::move(value));
      fragment.nodes.push_back(std::move(one));
    }
    fragment.nodes.push_back(concat_node(names.unique(pool.name + "_parts"), std::move(parts),
                                         pooled,
                                         static_cast<std::int64_t>(pooled.shape.size()) - 1));
    return fragment;
  }

  espdl::Model& model_;
  const Conditions& conditions_;
  const espdl::ModelIndex index_;
  const SoleMakers sole_makers_;
};

}  // namespace

std::int64_t sink_concats(espdl::Model& model, const Conditions& conditions) {
  return change_one_by_one(
      model, [&](espdl::Model& next) { return ConcatSinker(next, conditions).change_one(); });
}

}  // namespace espquant::schedule
