#include "compress/channels.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <string_view>

namespace espquant::compress {
namespace {

template <std::size_t N>
bool is_one_of(const Node& n, const std::array<std::string_view, N>& ops) {
  return std::find(ops.begin(), ops.end(), n.op) != ops.end();
}

/// Works on every element, or on every channel, by itself.
bool keeps_elements(const Node& n) {
  static constexpr std::array<std::string_view, 22> kOps = {
      "Abs",         "Celu",      "Clip",     "Dropout",   "Elu",   "Erf",  "Exp", "Gelu",
      "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log",   "Mish", "Neg", "Relu",
      "Selu",        "Sigmoid",   "Softplus", "Sqrt",      "Swish", "Tanh"};
  return is_one_of(n, kOps);
}

bool pools_images(const Node& n) {
  static constexpr std::array<std::string_view, 5> kOps = {
      "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "InsertZeros", "MaxPool"};
  return is_one_of(n, kOps);
}

bool combines(const Node& n) {
  static constexpr std::array<std::string_view, 8> kOps = {"Add", "Div",   "Max", "Min",
                                                           "Mul", "PRelu", "Pow", "Sub"};
  return is_one_of(n, kOps);
}

bool reduces(const Node& n) {
  static constexpr std::array<std::string_view, 6> kOps = {"ReduceL1",   "ReduceL2",  "ReduceMax",
                                                           "ReduceMean", "ReduceMin", "ReduceSum"};
  return is_one_of(n, kOps);
}

const Shape& shape_of(const Graph& graph, ValueId v) {
  const Value& value = graph.value(v);
  return value.is_constant() ? value.constant.shape() : *value.shape;
}

std::size_t positive_axis(std::int64_t axis, std::size_t rank) {
  return static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis);
}

std::int64_t product(const Shape& shape, std::size_t begin, std::size_t end) {
  std::int64_t p = 1;
  for (std::size_t i = begin; i < end; ++i) p *= shape[i];
  return p;
}

}  // namespace

bool has_weights(const Graph& graph, const Node& n) {
  if (n.op != "Conv" && n.op != "Gemm" && n.op != "MatMul") return false;
  const ValueId w = n.input(1);
  if (w == kNone || !graph.value(w).is_constant() || graph.value(n.inputs[0]).is_constant())
    return false;
  const std::size_t rank = graph.value(w).constant.shape().size();
  return n.op == "Conv" ? rank >= 3 : rank == 2;
}

bool is_depthwise(const Graph& graph, const Node& n) {
  return n.op == "Conv" && n.attributes.get_int("group", 1) > 1 &&
         shape_of(graph, n.inputs[1])[1] == 1;
}

WeightAxes weight_axes(const Graph& graph, const Node& n) {
  ESPQUANT_ASSERT(has_weights(graph, n), "a layer with weights");
  const bool inputs_first =
      n.op == "MatMul" || (n.op == "Gemm" && n.attributes.get_int("transB", 0) == 0);
  return inputs_first ? WeightAxes{0, 1} : WeightAxes{1, 0};
}

/// Follows channels through the network, node after node.
class ChannelFlow {
 public:
  ChannelFlow(const Graph& graph, Channels& channels) : graph_(graph), channels_(channels) {
    channels_.axes_.resize(graph.value_count());
  }

  void run() {
    for (NodeId id : graph_.topological_order()) {
      const Node& n = graph_.node(id);
      if (!follow(n)) {
        for (ValueId v : n.inputs)
          if (v != kNone) pin(v);
      }
    }
    for (ValueId v : graph_.outputs()) pin(v);
    settle();
  }

 private:
  using Axis = Channels::Axis;
  using Class = Channels::Class;

  const Axis& axis(ValueId v) const { return channels_.axes_[static_cast<std::size_t>(v)]; }
  Axis& axis(ValueId v) { return channels_.axes_[static_cast<std::size_t>(v)]; }
  std::size_t index(ValueId v) const { return static_cast<std::size_t>(axis(v).axis); }
  const Shape& shape(ValueId v) const { return shape_of(graph_, v); }

  Class fresh() {
    parent_.push_back(static_cast<Class>(parent_.size()));
    pinned_.push_back(false);
    return parent_.back();
  }
  Class find(Class c) {
    while (parent_[static_cast<std::size_t>(c)] != c)
      c = parent_[static_cast<std::size_t>(c)] =
          parent_[static_cast<std::size_t>(parent_[static_cast<std::size_t>(c)])];
    return c;
  }
  void join(Class a, Class b) {
    a = find(a);
    b = find(b);
    if (a == b) return;
    parent_[static_cast<std::size_t>(std::max(a, b))] = std::min(a, b);
    pinned_[static_cast<std::size_t>(std::min(a, b))] =
        pinned_[static_cast<std::size_t>(a)] || pinned_[static_cast<std::size_t>(b)];
  }
  void join(const std::vector<Class>& a, const std::vector<Class>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) join(a[i], b[i]);
  }
  void pin(ValueId v) {
    for (Class c : axis(v).classes) pinned_[static_cast<std::size_t>(find(c))] = true;
  }

  /// False for what is not understood.
  bool follow(const Node& n) {
    if (has_weights(graph_, n)) return weights(n);
    if (keeps_elements(n)) return pass_on(n, axis(n.inputs[0]));
    if (pools_images(n)) return n.outputs.size() == 1 && pool(n);
    if (combines(n)) return combine(n);
    if (n.op == "BatchNormalization") return channels_at_one(n) && pass_on(n, axis(n.inputs[0]));
    if (n.op == "Resize") return resize(n);
    if (n.op == "Pad") return pad(n);
    if (n.op == "Concat") return concat(n);
    if (n.op == "Slice") return slice(n);
    if (n.op == "Split") return split(n);
    if (n.op == "Transpose") return transpose(n);
    if (n.op == "Reshape" || n.op == "Flatten" || n.op == "Squeeze" || n.op == "Unsqueeze")
      return reshape(n);
    if (reduces(n)) return reduce(n);
    return false;
  }

  bool pass_on(const Node& n, Axis to) {
    axis(n.outputs[0]) = std::move(to);
    return true;
  }

  bool channels_at_one(const Node& n) const { return axis(n.inputs[0]).axis <= 1; }

  Axis fresh_axis(int at, std::int64_t extent) {
    Axis made{at, {}};
    for (std::int64_t i = 0; i < extent; ++i) made.classes.push_back(fresh());
    return made;
  }

  bool weights(const Node& n) {
    const Axis& in = axis(n.inputs[0]);
    const Shape &x = shape(n.inputs[0]), &y = shape(n.outputs[0]);
    const bool convolves = n.op == "Conv";
    if (n.op == "Gemm" && (x.size() != 2 || n.attributes.get_int("transA", 0) != 0)) return false;
    const int reads = convolves || n.op == "Gemm" ? 1 : static_cast<int>(x.size()) - 1;
    // A product along another axis leaves the channels where they are.
    if (in.axis >= 0 && in.axis != reads) return n.op == "MatMul" && in.axis >= 0 && pass_on(n, in);
    if (is_depthwise(graph_, n) && in.axis == 1) {
      const std::int64_t each = y[1] / x[1];
      Axis made{1, {}};
      for (Class c : in.classes)
        made.classes.insert(made.classes.end(), static_cast<std::size_t>(each), c);
      return pass_on(n, std::move(made));
    }
    const bool grouped = convolves && n.attributes.get_int("group", 1) > 1;
    if (grouped) return false;
    return pass_on(
        n, fresh_axis(convolves ? 1 : static_cast<int>(y.size()) - 1, convolves ? y[1] : y.back()));
  }

  bool pool(const Node& n) { return channels_at_one(n) && pass_on(n, axis(n.inputs[0])); }

  /// Operands that broadcast against each other.
  bool combine(const Node& n) {
    const std::size_t rank = shape(n.outputs[0]).size();
    const auto shift = [&](ValueId v) { return rank - shape(v).size(); };
    int at = -1;
    for (ValueId v : n.inputs) {
      if (axis(v).axis < 0) continue;
      const int mine = axis(v).axis + static_cast<int>(shift(v));
      if (at >= 0 && at != mine) return false;
      at = mine;
    }
    if (at < 0) return true;
    const std::int64_t extent = shape(n.outputs[0])[static_cast<std::size_t>(at)];
    Axis made;
    for (ValueId v : n.inputs) {
      if (static_cast<std::size_t>(at) < shift(v)) continue;  // broadcast along it
      const std::int64_t mine = shape(v)[static_cast<std::size_t>(at) - shift(v)];
      if (graph_.value(v).is_constant()) continue;
      if (axis(v).axis < 0) {
        if (mine > 1) return false;  // channels of which nothing is known
        continue;
      }
      if (mine != extent) {  // one channel for all
        pin(v);
        continue;
      }
      if (made.axis < 0)
        made = {at, axis(v).classes};
      else
        join(made.classes, axis(v).classes);
    }
    return made.axis < 0 ? true : pass_on(n, std::move(made));
  }

  bool resize(const Node& n) {
    const Axis& in = axis(n.inputs[0]);
    if (in.axis < 0) return true;
    if (in.axis != 1 || shape(n.inputs[0])[1] != shape(n.outputs[0])[1]) return false;
    return pass_on(n, in);
  }

  const Tensor* constant(const Node& n, std::size_t i) const {
    const ValueId v = n.input(i);
    return v != kNone && graph_.value(v).is_constant() ? &graph_.value(v).constant : nullptr;
  }

  bool pad(const Node& n) {
    const Axis& in = axis(n.inputs[0]);
    if (in.axis < 0) return true;
    const std::size_t rank = shape(n.inputs[0]).size();
    const Tensor* pads = constant(n, 1);
    if (pads == nullptr || pads->dtype() != DType::Int64 || n.input(3) != kNone ||
        pads->size() != static_cast<std::int64_t>(2 * rank))
      return false;
    const auto at = static_cast<std::size_t>(in.axis);
    const std::int64_t before = pads->data<std::int64_t>()[at];
    const std::int64_t after = pads->data<std::int64_t>()[at + rank];
    if (before < 0 || after < 0) return false;
    if ((before > 0 || after > 0) && n.attributes.get_string("mode", "constant") != "constant")
      return false;
    Axis made = fresh_axis(in.axis, before);
    made.classes.insert(made.classes.end(), in.classes.begin(), in.classes.end());
    for (std::int64_t i = 0; i < after; ++i) made.classes.push_back(fresh());
    return pass_on(n, std::move(made));
  }

  bool concat(const Node& n) {
    const std::size_t along =
        positive_axis(n.attributes.get_int("axis", 0), shape(n.outputs[0]).size());
    int at = -1;
    for (ValueId v : n.inputs) {
      if (axis(v).axis < 0) return false;
      if (at >= 0 && at != axis(v).axis) return false;
      at = axis(v).axis;
    }
    Axis made{at, {}};
    for (ValueId v : n.inputs) {
      const auto& mine = axis(v).classes;
      if (static_cast<std::size_t>(at) == along)
        made.classes.insert(made.classes.end(), mine.begin(), mine.end());
      else if (made.classes.empty())
        made.classes = mine;
      else
        join(made.classes, mine);
    }
    return pass_on(n, std::move(made));
  }

  bool slice(const Node& n) {
    const Axis& in = axis(n.inputs[0]);
    if (in.axis < 0) return true;
    const Tensor* starts = constant(n, 1);
    const Tensor* axes = constant(n, 3);
    const Tensor* steps = constant(n, 4);
    if (starts == nullptr || axes == nullptr || starts->dtype() != DType::Int64 ||
        axes->dtype() != DType::Int64)
      return false;
    const std::size_t rank = shape(n.inputs[0]).size();
    Axis made{in.axis, in.classes};
    for (std::size_t i = 0; i < static_cast<std::size_t>(axes->size()); ++i) {
      if (positive_axis(axes->data<std::int64_t>()[i], rank) != index(n.inputs[0])) continue;
      if (steps != nullptr && steps->data<std::int64_t>()[i] != 1) return false;
      const auto extent = static_cast<std::int64_t>(in.classes.size());
      const std::int64_t start = starts->data<std::int64_t>()[i];
      const std::int64_t from =
          std::clamp<std::int64_t>(start < 0 ? start + extent : start, 0, extent);
      const std::int64_t count = shape(n.outputs[0])[index(n.inputs[0])];
      made.classes.assign(in.classes.begin() + from, in.classes.begin() + from + count);
    }
    return pass_on(n, std::move(made));
  }

  bool split(const Node& n) {
    const Axis in = axis(n.inputs[0]);
    if (in.axis < 0) return true;
    const std::size_t along =
        positive_axis(n.attributes.get_int("axis", 0), shape(n.inputs[0]).size());
    if (along == static_cast<std::size_t>(in.axis) && constant(n, 1) == nullptr) return false;
    std::size_t from = 0;
    for (ValueId v : n.outputs) {
      if (v == kNone) return false;
      Axis made{in.axis, in.classes};
      if (along == static_cast<std::size_t>(in.axis)) {
        const auto count = static_cast<std::size_t>(shape(v)[along]);
        made.classes.assign(in.classes.begin() + static_cast<std::ptrdiff_t>(from),
                            in.classes.begin() + static_cast<std::ptrdiff_t>(from + count));
        from += count;
      }
      axis(v) = std::move(made);
    }
    return true;
  }

  bool transpose(const Node& n) {
    const Axis& in = axis(n.inputs[0]);
    if (in.axis < 0) return true;
    const auto perm = n.attributes.get_ints("perm");
    const auto at = std::find(perm.begin(), perm.end(), in.axis);
    if (at == perm.end()) return false;
    return pass_on(n, {static_cast<int>(at - perm.begin()), in.classes});
  }

  /// The channel axis survives, or is merged with neighbours into one.
  bool reshape(const Node& n) {
    const Axis& in = axis(n.inputs[0]);
    if (in.axis < 0) return true;
    const Shape &from = shape(n.inputs[0]), &to = shape(n.outputs[0]);
    const std::size_t at = index(n.inputs[0]);
    const std::int64_t before = product(from, 0, at), after = product(from, at + 1, from.size());
    const std::int64_t extent = from[at];
    std::int64_t outer = 1;
    for (std::size_t i = 0; i < to.size(); ++i) {
      const std::int64_t inner = product(to, i + 1, to.size());
      // Index j of the new axis holds the elements from j * inner on, counted from the start of the
      // old outer block.
      if (outer <= before && before % outer == 0 && inner <= after && to[i] >= extent &&
          after % std::max<std::int64_t>(inner, 1) == 0 &&
          (before / outer) * extent * (after / inner) == to[i]) {
        const std::int64_t each = after / inner;
        Axis made{static_cast<int>(i), {}};
        for (std::int64_t j = 0; j < to[i]; ++j)
          made.classes.push_back(in.classes[static_cast<std::size_t>(j / each % extent)]);
        return pass_on(n, std::move(made));
      }
      outer *= to[i];
    }
    return false;
  }

  bool reduce(const Node& n) {
    const Axis& in = axis(n.inputs[0]);
    if (in.axis < 0) return true;
    const Tensor* axes = constant(n, 1);
    if (axes == nullptr || axes->dtype() != DType::Int64) return false;
    const std::size_t rank = shape(n.inputs[0]).size();
    int dropped = 0;
    for (std::int64_t a : axes->data<std::int64_t>()) {
      const std::size_t reduced = positive_axis(a, rank);
      if (reduced == index(n.inputs[0])) return false;
      if (reduced < index(n.inputs[0])) ++dropped;
    }
    const bool keeps = n.attributes.get_int("keepdims", 1) != 0;
    return pass_on(n, {keeps ? in.axis : in.axis - dropped, in.classes});
  }

  /// Numbers the classes that are left, in the order in which they were made.
  void settle() {
    std::vector<Class> number(parent_.size(), -1);
    for (std::size_t c = 0; c < parent_.size(); ++c) {
      const auto root = static_cast<std::size_t>(find(static_cast<Class>(c)));
      if (number[root] < 0) {
        number[root] = static_cast<Class>(channels_.pinned_.size());
        channels_.pinned_.push_back(pinned_[root]);
      }
    }
    for (Axis& a : channels_.axes_)
      for (Class& c : a.classes) c = number[static_cast<std::size_t>(find(c))];
  }

  const Graph& graph_;
  Channels& channels_;
  std::vector<Class> parent_;
  std::vector<bool> pinned_;
};

Channels::Channels(const Graph& graph) {
  ChannelFlow(graph, *this).run();
  find_groups(graph);
}

void Channels::find_groups(const Graph& graph) {
  std::vector<std::vector<ValueId>> values(pinned_.size());
  for (std::size_t v = 0; v < axes_.size(); ++v)
    for (Class c : axes_[v].classes) {
      auto& mine = values[static_cast<std::size_t>(c)];
      if (mine.empty() || mine.back() != static_cast<ValueId>(v))
        mine.push_back(static_cast<ValueId>(v));
    }
  std::map<std::vector<ValueId>, std::size_t> known;
  for (std::size_t c = 0; c < values.size(); ++c) {
    if (pinned_[c] || values[c].empty()) continue;
    const auto [at, is_new] = known.emplace(values[c], groups_.size());
    if (is_new) groups_.push_back({{}, values[c], {}, {}});
    groups_[at->second].classes.push_back(static_cast<Class>(c));
  }
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (!has_weights(graph, n)) continue;
    const bool depthwise = is_depthwise(graph, n);
    for (Group& group : groups_) {
      const auto holds = [&](ValueId v) {
        return std::binary_search(group.values.begin(), group.values.end(), v);
      };
      // A product along another axis than that of the channels.
      const bool passes =
          n.op == "MatMul" && axis_of(n.inputs[0]) >= 0 &&
          axis_of(n.inputs[0]) != static_cast<int>(shape_of(graph, n.inputs[0]).size()) - 1;
      if (passes || depthwise) continue;
      if (holds(n.outputs[0])) group.writers.push_back(id);
      if (holds(n.inputs[0])) group.readers.push_back(id);
    }
  }
  std::erase_if(groups_, [](const Group& g) { return g.writers.empty() || g.readers.empty(); });
}

}  // namespace espquant::compress
