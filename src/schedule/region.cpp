#include "schedule/region.h"

#include <fmt/format.h>

#include <algorithm>

#include "cost/arena.h"
#include "cost/in_place.h"

namespace espquant::schedule {
namespace {

using Operand = RowRule::Operand;

espdl::ValueInfo with_rows(const espdl::ValueInfo& value, std::int64_t rows) {
  espdl::ValueInfo part = value;
  part.shape[1] = rows;
  return part;
}

}  // namespace

Regions::Regions(const Dataflow& flow, const Conditions& conditions)
    : flow_(flow), conditions_(conditions) {}

std::optional<std::vector<std::size_t>> Regions::outputs_of(std::size_t first,
                                                            std::size_t end) const {
  std::vector<std::size_t> outputs;
  for (std::size_t n = first; n < end; ++n) {
    const FlowNode& node = flow_.nodes()[n];
    if (!node.rule) return std::nullopt;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNoTensor) continue;
      const auto& producer = flow_.tensors()[node.inputs[i]].producer;
      if (node.rule->operands[i] == Operand::Whole && producer && *producer >= first)
        return std::nullopt;
    }
    for (const std::size_t t : node.outputs) {
      if (t == kNoTensor) continue;
      const FlowTensor& tensor = flow_.tensors()[t];
      if (tensor.is_visible || tensor.last_read >= end) outputs.push_back(t);
    }
  }
  if (outputs.empty()) return std::nullopt;
  return outputs;
}

bool Regions::make_band(const Region& region, const std::vector<std::size_t>& outputs,
                        std::int64_t band, Band& made) const {
  const auto at = static_cast<std::size_t>(band);
  return make_band(Frame{region.first, region.end, outputs, region.cuts.back(), 0, 0},
                   region.cuts[at], region.cuts[at + 1], made);
}

bool Regions::make_band(const Frame& frame, std::int64_t from, std::int64_t to, Band& made) const {
  made.computed.assign(flow_.tensors().size(), {});
  made.needed.assign(flow_.nodes().size(), {});
  for (const std::size_t t : frame.outputs)
    made.computed[t] = own_rows(flow_.tensors()[t], from, to, frame.rows);
  for (std::size_t n = frame.end; n-- > frame.first;) {
    const FlowNode& node = flow_.nodes()[n];
    Rows wanted;
    for (const std::size_t t : node.outputs)
      if (t != kNoTensor) wanted.cover(made.computed[t]);
    if (wanted.empty()) continue;
    wanted = computable(*node.rule, wanted);
    for (const std::size_t t : node.outputs)
      if (t != kNoTensor) made.computed[t] = wanted;
    std::int64_t extent = 0;
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      if (node.rule->operands[i] == Operand::Rows) extent = flow_.tensors()[node.inputs[i]].rows();
    NeededRows& needed = made.needed[n];
    needed = rows_needed(*node.rule, wanted, extent);
    if (!stays_inside(*node.rule, needed, wanted.count())) return false;
    const FlowTensor& output = flow_.tensors()[node.outputs[0]];
    const std::int64_t elements =
        element_count(output.value->shape) / output.rows() * wanted.count();
    if (!same_on_fewer(flow_.model().nodes[n], flow_.index(), elements, conditions_.target))
      return false;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.rule->operands[i] != Operand::Rows) continue;
      const auto& producer = flow_.tensors()[node.inputs[i]].producer;
      if (producer && *producer >= frame.first) made.computed[node.inputs[i]].cover(needed.rows);
    }
  }
  return true;
}

std::size_t Regions::row_bytes(std::size_t tensor, const Rows& rows) const {
  const auto& value = *flow_.tensors()[tensor].value;
  const auto elements = element_count(value.shape) / value.shape[1] * rows.count();
  return cost::aligned_size(static_cast<std::size_t>(elements) *
                            std::max<std::size_t>(size_of(value.dtype), 1));
}

std::size_t Regions::bytes_of_band(const Frame& frame, const Band& band) const {
  std::size_t there = 0, most = 0;
  const auto is_output = [&](std::size_t t) {
    return std::find(frame.outputs.begin(), frame.outputs.end(), t) != frame.outputs.end();
  };
  const auto take = [&](std::size_t bytes) {
    there += bytes;
    most = std::max(most, there);
  };
  for (std::size_t n = frame.first; n < frame.end; ++n) {
    const FlowNode& node = flow_.nodes()[n];
    const NeededRows& needed = band.needed[n];
    if (needed.rows.empty()) continue;
    std::size_t slices = 0, dying = 0, over = 0;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const std::size_t t = node.inputs[i];
      if (t == kNoTensor || node.rule->operands[i] != Operand::Rows) continue;
      const FlowTensor& tensor = flow_.tensors()[t];
      const bool inside = tensor.producer && *tensor.producer >= frame.first;
      const bool all = needed.rows == Rows{0, tensor.rows()};
      const bool sliced = inside ? band.computed[t] != needed.rows : !all;
      if (sliced) slices += row_bytes(t, needed.rows);
      if (inside && tensor.last_read == n && !is_output(t)) {
        dying += row_bytes(t, band.computed[t]);
        if (!sliced && over == 0) over = row_bytes(t, band.computed[t]);
      }
    }
    take(slices);
    const bool in_place = cost::in_place_kind(flow_.model().nodes[n].op) != cost::InPlace::Never &&
                          node.outputs.size() == 1;
    for (const std::size_t t : node.outputs) {
      if (t == kNoTensor) continue;
      const std::size_t bytes = row_bytes(t, band.computed[t]);
      if (in_place && over >= bytes) {
        // Written where the operand lay.
        dying -= over;
        there += bytes - over;
      } else {
        take(bytes);
      }
      if (flow_.tensors()[t].last_read == n && !is_output(t)) dying += bytes;
    }
    there -= std::min(there, slices + dying);
  }
  return most;
}

double Regions::node_milliseconds(std::size_t node, const Rows& output, const NeededRows& needed) {
  const auto key = std::tuple{node, output.count(), needed.pad_before * 64 + needed.pad_after};
  if (const auto at = of_nodes_.find(key); at != of_nodes_.end()) return at->second;
  const FlowNode& flow = flow_.nodes()[node];
  Fragment fragment{{flow_.model().nodes[node]}, {}, {}};
  if (flow.rule->has_pads()) set_row_pads(fragment.nodes[0], needed.pad_before, needed.pad_after);
  for (std::size_t i = 0; i < flow.inputs.size(); ++i)
    if (flow.inputs[i] != kNoTensor && flow.rule->operands[i] == Operand::Rows)
      fragment.values.push_back(
          with_rows(*flow_.tensors()[flow.inputs[i]].value, needed.rows.count()));
  for (const std::size_t t : flow.outputs)
    if (t != kNoTensor)
      fragment.values.push_back(with_rows(*flow_.tensors()[t].value, output.count()));
  return of_nodes_[key] = milliseconds_of(fragment, flow_.index(), conditions_);
}

double Regions::slice_milliseconds(std::size_t tensor, std::int64_t rows) {
  const auto key = std::tuple{tensor, rows};
  if (const auto at = of_slices_.find(key); at != of_slices_.end()) return at->second;
  espdl::ValueInfo part = with_rows(*flow_.tensors()[tensor].value, rows);
  part.name += "_rows";
  const Fragment fragment{
      {row_slice("slice", flow_.tensors()[tensor].value->name, part, "", "", "", "")}, {part}, {}};
  return of_slices_[key] = milliseconds_of(fragment, flow_.index(), conditions_);
}

double Regions::concat_milliseconds(std::size_t tensor, const Region& region) {
  const FlowTensor& whole = flow_.tensors()[tensor];
  Fragment fragment;
  std::vector<std::string> parts;
  for (std::int64_t band = 0; band < region.bands(); ++band) {
    espdl::ValueInfo part = with_rows(*whole.value, own_rows(whole, region, band).count());
    part.name = fmt::format("{}_{}", whole.value->name, band);
    parts.push_back(part.name);
    fragment.values.push_back(std::move(part));
  }
  fragment.nodes.push_back(concat_node("concat", std::move(parts), *whole.value, 1));
  return milliseconds_of(fragment, flow_.index(), conditions_);
}

std::optional<Regions::Frame> Regions::frame_of(std::size_t first, std::size_t end,
                                                std::size_t limit) const {
  auto outputs = outputs_of(first, end);
  if (!outputs) return std::nullopt;
  Frame frame{
      first, end, std::move(*outputs), 0, flow_.bytes_between(first), flow_.bytes_between(end)};
  std::size_t there = 0;
  for (const std::size_t t : frame.outputs) {
    const FlowTensor& tensor = flow_.tensors()[t];
    frame.rows = frame.rows == 0 ? tensor.rows() : std::min(frame.rows, tensor.rows());
    if (tensor.last_read >= end) frame.passing -= tensor.bytes;
    there += tensor.bytes;
  }
  // One Concat after the other; the pieces of each go when it is done.
  there += frame.passing;
  if (frame.before > limit) return std::nullopt;
  for (const std::size_t t : frame.outputs)
    if (there + flow_.tensors()[t].bytes > limit) return std::nullopt;
  return frame;
}

bool Regions::fits(const Frame& frame, std::int64_t from, std::int64_t to, std::size_t limit) {
  if (!make_band(frame, from, to, band_)) return false;
  std::size_t gathered = 0;
  for (const std::size_t t : frame.outputs)
    gathered += row_bytes(t, own_rows(flow_.tensors()[t], 0, from, frame.rows));
  return frame.before + gathered + bytes_of_band(frame, band_) <= limit;
}

std::optional<std::vector<std::int64_t>> Regions::cuts_of(const Frame& frame,
                                                          std::int64_t most_rows,
                                                          std::size_t limit) {
  std::vector<std::int64_t> cuts{0};
  while (cuts.back() < frame.rows) {
    const std::int64_t from = cuts.back();
    std::int64_t low = 0, high = std::min(most_rows, frame.rows - from);
    if (fits(frame, from, from + high, limit)) {
      low = high;
    } else {
      while (high - low > 1) {
        const std::int64_t middle = low + (high - low) / 2;
        (fits(frame, from, from + middle, limit) ? low : high) = middle;
      }
    }
    if (low == 0) return std::nullopt;
    cuts.push_back(from + low);
  }
  return cuts;
}

double Regions::milliseconds_of_band(const Frame& frame, std::int64_t from, std::int64_t to) {
  make_band(frame, from, to, band_);
  double milliseconds = 0;
  for (std::size_t n = frame.first; n < frame.end; ++n) {
    const FlowNode& node = flow_.nodes()[n];
    const NeededRows& needed = band_.needed[n];
    if (needed.rows.empty()) continue;
    milliseconds += node_milliseconds(n, band_.computed[node.outputs[0]], needed);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const std::size_t t = node.inputs[i];
      if (t == kNoTensor || node.rule->operands[i] != Operand::Rows) continue;
      const auto& producer = flow_.tensors()[t].producer;
      const bool inside = producer && *producer >= frame.first;
      if (inside ? band_.computed[t] != needed.rows
                 : needed.rows != Rows{0, flow_.tensors()[t].rows()})
        milliseconds += slice_milliseconds(t, needed.rows.count());
    }
  }
  for (const std::size_t t : frame.outputs)
    if (const Rows own = own_rows(flow_.tensors()[t], from, to, frame.rows);
        own != band_.computed[t])
      milliseconds += slice_milliseconds(t, own.count());
  return milliseconds;
}

std::optional<Regions::Banded> Regions::in_bands(std::size_t first, std::size_t end,
                                                 std::size_t limit, std::int64_t parts) {
  const auto frame = frame_of(first, end, limit);
  // The last row has the least room.
  if (!frame || frame->rows < 2 || !fits(*frame, frame->rows - 1, frame->rows, limit))
    return std::nullopt;
  // What is left for the last band may be too little for a window: then in smaller steps.
  for (; parts <= frame->rows; parts *= 2) {
    const auto cuts = cuts_of(*frame, (frame->rows + parts - 1) / parts, limit);
    if (!cuts) continue;
    Banded banded{{first, end, *cuts}, 0};
    for (std::size_t band = 0; band + 1 < cuts->size(); ++band)
      banded.milliseconds += milliseconds_of_band(*frame, (*cuts)[band], (*cuts)[band + 1]);
    for (const std::size_t t : frame->outputs)
      banded.milliseconds += concat_milliseconds(t, banded.region);
    return banded;
  }
  return std::nullopt;
}

espdl::Node row_slice(std::string name, const std::string& tensor, const espdl::ValueInfo& output,
                      std::string first, std::string end, std::string axis, std::string step) {
  espdl::Node node;
  node.name = std::move(name);
  node.op = "Slice";
  node.inputs = {tensor, std::move(first), std::move(end), std::move(axis), std::move(step)};
  node.outputs = {output.name};
  node.attributes["quant_type"] = std::string(espdl::quant_type_of(output.dtype));
  return node;
}

}  // namespace espquant::schedule
