#include <fmt/format.h>

#include "schedule/region.h"

namespace espquant::schedule {
namespace {

using Operand = RowRule::Operand;

class BandWriter {
 public:
  BandWriter(const Dataflow& flow, const Regions& regions, const Region& region,
             const Target& target)
      : flow_(flow),
        regions_(regions),
        region_(region),
        packs_biases_(target.family == Family::S3),
        outputs_(*regions.outputs_of(region.first, region.end)),
        names_(flow.model()),
        made_(flow.model()) {}

  espdl::Model write() {
    const auto& nodes = flow_.model().nodes;
    const auto at = [&](std::size_t n) { return nodes.begin() + static_cast<std::ptrdiff_t>(n); };
    made_.nodes.assign(nodes.begin(), at(region_.first));
    for (std::int64_t band = 0; band < region_.bands(); ++band) write_band(band);
    for (const std::size_t t : outputs_) {
      const auto& value = *flow_.tensors()[t].value;
      made_.nodes.push_back(
          concat_node(names_.unique(value.name + "_bands"), pieces_[t], value, 1));
    }
    made_.nodes.insert(made_.nodes.end(), at(region_.end), nodes.end());
    remove_unused(made_);
    return std::move(made_);
  }

 private:
  void write_band(std::int64_t band) {
    regions_.make_band(region_, outputs_, band, band_);
    parts_.clear();
    for (std::size_t n = region_.first; n < region_.end; ++n)
      if (!band_.needed[n].rows.empty()) write_node(n, band);
    for (const std::size_t t : outputs_)
      pieces_[t].push_back(part_of(t, Regions::own_rows(flow_.tensors()[t], region_, band), band));
  }

  void write_node(std::size_t n, std::int64_t band) {
    const FlowNode& flow = flow_.nodes()[n];
    const NeededRows& needed = band_.needed[n];
    espdl::Node node = flow_.model().nodes[n];
    node.name = names_.unique(fmt::format("{}_band{}", node.name, band));
    for (std::size_t i = 0; i < flow.inputs.size(); ++i)
      if (flow.inputs[i] != kNoTensor && flow.rule->operands[i] == Operand::Rows)
        node.inputs[i] = part_of(flow.inputs[i], needed.rows, band);
    if (flow.rule->has_pads()) set_row_pads(node, needed.pad_before, needed.pad_after);
    if (packs_biases_ && band > 0 && node.op == "Conv" && node.inputs.size() > 2)
      node.inputs[2] = own_bias(node.inputs[2], band);
    for (std::size_t o = 0; o < flow.outputs.size(); ++o) {
      const std::size_t t = flow.outputs[o];
      if (t == kNoTensor) continue;
      node.outputs[o] = add_value(t, band_.computed[t], band);
      parts_[{t, band_.computed[t].first, band_.computed[t].end}] = node.outputs[o];
    }
    made_.nodes.push_back(std::move(node));
  }

  /// The S3 packs a bias in place when its node runs for the first time (ESP-DL 4.3): of a bias
  /// that two nodes read, nothing would be left.
  std::string own_bias(const std::string& name, std::int64_t band) {
    const auto* bias = flow_.index().initializer(name);
    if (bias == nullptr) return name;
    espdl::Constant copy = *bias;
    copy.name = names_.unique(fmt::format("{}_band{}", name, band));
    made_.initializers.push_back(std::move(copy));
    return made_.initializers.back().name;
  }

  /// Rows of a tensor: what the band made of it, the tensor itself, or a Slice of either.
  std::string part_of(std::size_t t, const Rows& rows, std::int64_t band) {
    const auto& value = *flow_.tensors()[t].value;
    const auto key = std::tuple{t, rows.first, rows.end};
    if (const auto at = parts_.find(key); at != parts_.end()) return at->second;
    const auto& producer = flow_.tensors()[t].producer;
    const bool inside = producer && *producer >= region_.first && *producer < region_.end;
    const Rows from = inside ? band_.computed[t] : Rows{0, value.shape[1]};
    if (from == rows) return inside ? parts_.at(key) : value.name;
    const std::string source = inside ? parts_.at({t, from.first, from.end}) : value.name;
    const std::string name = add_value(t, rows, band);
    made_.nodes.push_back(row_slice(names_.unique(name + "_slice"), source, made_.values.back(),
                                    number(rows.first - from.first), number(rows.end - from.first),
                                    number(1), number(1)));
    // One Slice for each reader: what is read again is copied again, and does not lie around.
    return name;
  }

  std::string add_value(std::size_t t, const Rows& rows, std::int64_t band) {
    espdl::ValueInfo value = *flow_.tensors()[t].value;
    value.name = names_.unique(fmt::format("{}_band{}", value.name, band));
    value.shape[1] = rows.count();
    made_.values.push_back(std::move(value));
    return made_.values.back().name;
  }

  /// A constant that holds it.
  std::string number(std::int64_t n) {
    const auto [at, is_new] = numbers_.try_emplace(n);
    if (is_new) {
      at->second = names_.unique(fmt::format("row_{}", n));
      made_.initializers.push_back(list_constant(at->second, {n}));
    }
    return at->second;
  }

  const Dataflow& flow_;
  const Regions& regions_;
  const Region region_;
  const bool packs_biases_;
  const std::vector<std::size_t> outputs_;
  Names names_;
  espdl::Model made_;
  Band band_;
  /// By tensor and rows, of the band that is written.
  std::map<std::tuple<std::size_t, std::int64_t, std::int64_t>, std::string> parts_;
  std::map<std::size_t, std::vector<std::string>> pieces_;
  std::map<std::int64_t, std::string> numbers_;
};

}  // namespace

espdl::Model write_bands(const Dataflow& flow, const Regions& regions, const Region& region,
                         const Target& target) {
  return BandWriter(flow, regions, region, target).write();
}

}  // namespace espquant::schedule
