#include "schedule/in_place_writes.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>

#include "cost/in_place.h"
#include "cost/latency.h"
#include "cost/memory_plan.h"
#include "schedule/fragment.h"

namespace espquant::schedule {
namespace {

using Remedy = MovedWrite::Remedy;

constexpr std::size_t kMostRemediesPerNode = 4;

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_alias(const espdl::Node& node) {
  return cost::in_place_kind(node.op) == cost::InPlace::Alias;
}

/// What a remedy changes of a model. Its constants are only added to.
struct Change {
  Remedy remedy = Remedy::Order;
  std::vector<espdl::Node> nodes;
  std::vector<espdl::ValueInfo> values;
  std::optional<espdl::Constant> shape;
};

/// Makes the rewrites that may help against one loss.
class Remedies {
 public:
  Remedies(const espdl::Model& model, const cost::MemoryPlan& plan, const cost::Overwrite& loss)
      : model_(model), lost_(loss.tensor), writer_(loss.step), names_(model) {
    const std::string& written = model.nodes[writer_].outputs.front();
    const auto place = std::find_if(plan.tensors.begin(), plan.tensors.end(),
                                    [&](const auto& t) { return t.name == written; });
    chosen_ = place->shares;
    const auto lost = std::find_if(plan.tensors.begin(), plan.tensors.end(),
                                   [&](const auto& t) { return t.name == lost_; });
    // Memory that was given back too early and taken by another tensor.
    is_freed_ = !share_memory(plan, *place, *lost);
    for (const auto& tensor : plan.tensors)
      if (share_memory(plan, tensor, *lost)) family_.insert(tensor.name);
  }

  std::vector<Change> all() {
    std::vector<Change> found;
    if (is_freed_) {
      if (is_output_alias()) found.push_back(output_last(Remedy::Last));
      return found;
    }
    if (auto order = behind_the_last_reader()) found.push_back(std::move(*order));
    // Before its first loss, memory that tensors share holds the same elements under all names.
    if (source_of(chosen_) == source_of(lost_))
      found.push_back(contains(model_.outputs, lost_) ? output_through_alias()
                                                      : readers_through_alias());
    return found;
  }

  /// Always gets on: no tensor shares memory that had its own before.
  Change guard() {
    if (is_freed_) {
      ESPQUANT_ASSERT(is_output_alias(), "memory is freed that is still read: " + lost_);
      return output_last(Remedy::Copy);
    }
    return with_alias(Remedy::Guard, chosen_, unique(chosen_ + "_guard"));
  }

 private:
  Change unchanged(Remedy remedy) const { return {remedy, model_.nodes, model_.values, {}}; }

  static const cost::TensorPlace* owner_of(const cost::MemoryPlan& plan,
                                           const cost::TensorPlace& tensor) {
    const cost::TensorPlace* owner = &tensor;
    while (!owner->shares.empty())
      owner = &*std::find_if(plan.tensors.begin(), plan.tensors.end(),
                             [&](const auto& t) { return t.name == owner->shares; });
    return owner;
  }
  static bool share_memory(const cost::MemoryPlan& plan, const cost::TensorPlace& a,
                           const cost::TensorPlace& b) {
    return owner_of(plan, a) == owner_of(plan, b);
  }

  std::vector<espdl::Node>::const_iterator producer_of_lost() const {
    return std::find_if(model_.nodes.begin(), model_.nodes.end(),
                        [&](const auto& node) { return contains(node.outputs, lost_); });
  }
  bool is_output_alias() const {
    const auto producer = producer_of_lost();
    return contains(model_.outputs, lost_) && producer != model_.nodes.end() && is_alias(*producer);
  }

  /// The output is made anew behind the last node that reads its memory under any name; who read it
  /// before, reads what it was made from. As Remedy::Copy, a Transpose that moves nothing makes it,
  /// which is never in place.
  Change output_last(Remedy remedy) {
    Change change = unchanged(remedy);
    const auto at = static_cast<std::size_t>(producer_of_lost() - model_.nodes.begin());
    std::size_t last = at;
    for (std::size_t n = at + 1; n < model_.nodes.size(); ++n)
      for (const auto& name : model_.nodes[n].inputs)
        if (family_.contains(name)) last = n;
    const std::string early = unique(lost_ + "_early");
    bool is_read = remedy == Remedy::Copy;
    for (auto& node : change.nodes) {
      is_read |= contains(node.inputs, lost_);
      redirect(node, lost_, early);
    }
    espdl::Node again = change.nodes[at];
    if (is_read) {
      espdl::ValueInfo value = *model_.find_value(lost_);
      if (remedy == Remedy::Copy) {
        again.op = "Transpose";
        again.attributes = {{"quant_type", std::string(espdl::quant_type_of(value.dtype))}};
        std::vector<std::int64_t> natural(value.shape.size());
        std::iota(natural.begin(), natural.end(), std::int64_t{0});
        again.attributes["perm"] = natural;
        again.inputs = {early};
      }
      again.name = unique(lost_ + "_again");
      change.nodes[at].outputs = {early};
      value.name = early;
      change.values.push_back(std::move(value));
    }
    change.nodes.insert(change.nodes.begin() + static_cast<std::ptrdiff_t>(last) + 1,
                        std::move(again));
    if (!is_read) change.nodes.erase(change.nodes.begin() + static_cast<std::ptrdiff_t>(at));
    return change;
  }

  std::optional<Change> behind_the_last_reader() const {
    if (contains(model_.outputs, lost_)) return std::nullopt;
    std::size_t last = writer_;
    for (std::size_t n = writer_ + 1; n < model_.nodes.size(); ++n)
      if (contains(model_.nodes[n].inputs, lost_)) last = n;
    const auto& outputs = model_.nodes[writer_].outputs;
    for (std::size_t n = writer_ + 1; n <= last; ++n)
      for (const auto& name : model_.nodes[n].inputs)
        if (contains(outputs, name)) return std::nullopt;
    Change change = unchanged(Remedy::Order);
    const auto begin = change.nodes.begin() + static_cast<std::ptrdiff_t>(writer_);
    std::rotate(begin, begin + 1, change.nodes.begin() + static_cast<std::ptrdiff_t>(last) + 1);
    return change;
  }

  Change readers_through_alias() {
    const std::string alias = unique(lost_ + "_kept");
    Change change = with_alias(Remedy::Alias, lost_, alias);
    for (std::size_t n = writer_ + 1; n < change.nodes.size(); ++n)
      if (change.nodes[n].outputs.front() != alias) redirect(change.nodes[n], lost_, alias);
    return change;
  }

  /// The application reads what the new alias shows; nodes before it, what showed it until now.
  Change output_through_alias() {
    const std::string early = unique(lost_ + "_early");
    Change change = with_alias(Remedy::Alias, lost_, lost_);
    bool is_read = false;
    for (std::size_t n = 0; n < writer_; ++n) {
      is_read |= contains(change.nodes[n].inputs, lost_);
      redirect(change.nodes[n], lost_, early);
    }
    const auto producer =
        std::find_if(change.nodes.begin(), change.nodes.end(),
                     [&](const auto& node) { return contains(node.outputs, lost_); });
    if (is_read) {
      std::replace(producer->outputs.begin(), producer->outputs.end(), lost_, early);
      espdl::ValueInfo value = *model_.find_value(lost_);
      value.name = early;
      change.values.push_back(std::move(value));
    } else {
      change.nodes.erase(producer);
    }
    return change;
  }

  /// A Reshape of what the writer takes, described as `like`, in front of the writer.
  Change with_alias(Remedy remedy, const std::string& like, const std::string& output) {
    Change change = unchanged(remedy);
    espdl::ValueInfo value = *model_.find_value(like);
    const Shape shape = value.shape;
    change.shape = list_constant(unique(output + "_shape"), shape);
    espdl::Node node;
    node.op = "Reshape";
    node.name = unique(output + "_node");
    node.inputs = {chosen_, change.shape->name};
    node.outputs = {output};
    node.attributes["quant_type"] = std::string(espdl::quant_type_of(value.dtype));
    if (output != like) {
      value.name = output;
      change.values.push_back(std::move(value));
    }
    change.nodes.insert(change.nodes.begin() + static_cast<std::ptrdiff_t>(writer_),
                        std::move(node));
    return change;
  }

  /// The tensor that it is an alias of, in the end.
  std::string_view source_of(std::string_view tensor) const {
    for (std::size_t n = writer_; n-- > 0;)
      if (is_alias(model_.nodes[n]) && contains(model_.nodes[n].outputs, tensor))
        tensor = model_.nodes[n].inputs.front();
    return tensor;
  }

  static void redirect(espdl::Node& node, const std::string& from, const std::string& to) {
    std::replace(node.inputs.begin(), node.inputs.end(), from, to);
  }

  std::string unique(const std::string& base) { return names_.unique(base); }

  const espdl::Model& model_;
  const std::string lost_;
  const std::size_t writer_;
  /// The operand whose memory the writer takes.
  std::string chosen_;
  /// All names of the memory in which the lost tensor lies.
  std::set<std::string, std::less<>> family_;
  bool is_freed_ = false;
  Names names_;
};

/// Swaps the change and what it replaces: twice changes nothing.
void exchange(espdl::Model& model, Change& change, bool add) {
  std::swap(model.nodes, change.nodes);
  std::swap(model.values, change.values);
  if (!change.shape) return;
  if (add)
    model.initializers.push_back(*change.shape);
  else
    model.initializers.pop_back();
}

struct Price {
  std::size_t losses = 0;
  double milliseconds = 0;
  std::size_t bytes = 0, nodes = 0;

  auto key() const { return std::tie(losses, milliseconds, bytes, nodes); }
};

Price price_of(espdl::Model& model, const Target& target, const cost::LatencyOptions& latency,
               Change& change) {
  exchange(model, change, true);
  const cost::MemoryPlan plan = cost::plan_memory(model, target);
  const Price price{plan.overwrites.size(),
                    cost::estimate_latency(model, target, latency).milliseconds,
                    plan.activation_bytes(), model.nodes.size()};
  exchange(model, change, false);
  return price;
}

/// The best of what leaves fewer losses; else what always gets on.
Change choose(espdl::Model& model, const Target& target, const cost::LatencyOptions& latency,
              const cost::MemoryPlan& plan) {
  Remedies remedies(model, plan, plan.overwrites.front());
  std::optional<Change> best;
  Price least{.losses = plan.overwrites.size()};
  for (Change& change : remedies.all()) {
    const Price price = price_of(model, target, latency, change);
    if (price.losses >= plan.overwrites.size()) continue;
    if (best && price.key() >= least.key()) continue;
    least = price;
    best = std::move(change);
  }
  return best ? std::move(*best) : remedies.guard();
}

}  // namespace

std::vector<MovedWrite> protect_from_in_place_writes(espdl::Model& model, const Target& target,
                                                     const cost::LatencyOptions& latency) {
  std::vector<MovedWrite> moved;
  // Each remedy gets on, and a node takes few.
  const std::size_t most = kMostRemediesPerNode * model.nodes.size();
  if (std::none_of(model.nodes.begin(), model.nodes.end(), is_alias)) return moved;
  for (;;) {
    const cost::MemoryPlan plan = cost::plan_memory(model, target);
    if (plan.overwrites.empty()) return moved;
    const cost::Overwrite& loss = plan.overwrites.front();
    ESPQUANT_ASSERT(moved.size() < most,
                    "no order of nodes keeps the plan from losing " + loss.tensor);
    Change change = choose(model, target, latency, plan);
    moved.push_back({loss.node, loss.tensor, change.remedy});
    exchange(model, change, true);
  }
}

}  // namespace espquant::schedule
