#include <algorithm>
#include <array>
#include <cmath>

#include "ops/recurrent.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// LSTM and GRU that ESP-DL cannot run (another batch than one, other activations, peepholes, ...;
/// ESP-DL 3.19) become ordinary operators, step by step, where the steps are few. They are marked
/// to have 16 bits: a cell is a sum over steps.
namespace espquant::passes {
namespace {

constexpr std::int64_t kMostSteps = 64;
// Every step holds the recurrent weights once.
constexpr std::int64_t kMostWeights = 1 << 19;
constexpr std::int64_t kMostEntries = 8;

struct Function {
  std::string op;
  Attributes attributes;
};

std::optional<Function> function_named(const std::string& name, std::optional<float> alpha,
                                       std::optional<float> beta) {
  static constexpr std::array kPlain = {"Sigmoid", "Tanh", "Relu", "Softplus", "Softsign"};
  static constexpr std::array kOfAlpha = {"Elu", "LeakyRelu", "HardSigmoid"};
  Function f{name, {}};
  if (std::find(kPlain.begin(), kPlain.end(), name) != kPlain.end()) return f;
  if (std::find(kOfAlpha.begin(), kOfAlpha.end(), name) == kOfAlpha.end()) return std::nullopt;
  // The operators' own defaults are the same.
  if (alpha) f.attributes.set("alpha", *alpha);
  if (beta && name == "HardSigmoid") f.attributes.set("beta", *beta);
  return f;
}

/// The functions of one direction; nothing where one has no operator.
std::optional<std::vector<Function>> functions_of(const Node& n, std::size_t direction) {
  const std::size_t count = n.op == "LSTM" ? 3 : 2;
  static const std::vector<std::string> usual{"Sigmoid", "Tanh", "Tanh"};
  std::vector<std::string> names = n.attributes.get_strings("activations");
  if (names.empty())
    for (std::size_t i = 0; i < (direction + 1) * count; ++i) names.push_back(usual[i % count]);
  const auto alphas = n.attributes.get_floats("activation_alpha");
  const auto betas = n.attributes.get_floats("activation_beta");
  std::vector<Function> functions;
  for (std::size_t i = direction * count; i < (direction + 1) * count; ++i) {
    if (i >= names.size()) return std::nullopt;
    const auto at = [&](const std::vector<float>& given) {
      return i < given.size() ? std::optional(given[i]) : std::nullopt;
    };
    auto f = function_named(names[i], at(alphas), at(betas));
    if (!f) return std::nullopt;
    functions.push_back(std::move(*f));
  }
  return functions;
}

bool has_usual_functions(const Node& n, std::size_t directions) {
  for (std::size_t d = 0; d < directions; ++d) {
    const auto functions = functions_of(n, d);
    if (!functions) return false;
    for (std::size_t i = 0; i < functions->size(); ++i)
      if ((*functions)[i].op != (i == 0 ? "Sigmoid" : "Tanh")) return false;
  }
  return true;
}

/// One direction of one layer.
class Unrolled {
 public:
  Unrolled(Graph& graph, const Node& n, std::int64_t direction, std::vector<Function> functions)
      : graph_(graph), n_(n), direction_(direction), functions_(std::move(functions)) {
    const Shape& x = shape_of(graph, n.inputs[0]);
    const Shape& r = shape_of(graph, n.inputs[2]);
    steps_ = x[0];
    batch_ = x[1];
    features_ = x[2];
    hidden_ = r[2];
    gates_ = n.op == "LSTM" ? 4 : 3;
    clip_ = n.attributes.get_float("clip", 0);
  }

  /// The hidden states, [batch, hidden], by step.
  std::vector<ValueId> run() {
    const ValueId rows = reshaped(n_.inputs[0], {steps_ * batch_, features_});
    for (std::int64_t gate = 0; gate < gates_; ++gate)
      of_input_.push_back(product(rows, weights(1, gate, features_), input_bias(gate)));
    ValueId h = initial(5);
    cell_ = n_.op == "LSTM" ? initial(6) : kNone;
    std::vector<ValueId> states(static_cast<std::size_t>(steps_));
    for (std::int64_t i = 0; i < steps_; ++i) {
      const std::int64_t t = direction_ == 1 ? steps_ - 1 - i : i;
      h = n_.op == "LSTM" ? lstm_step(t, h) : gru_step(t, h);
      states[static_cast<std::size_t>(t)] = h;
    }
    last_ = h;
    return states;
  }

  ValueId last_hidden() const { return last_; }
  ValueId last_cell() const { return cell_; }

 private:
  ValueId lstm_step(std::int64_t t, ValueId h) {
    const bool coupled = n_.attributes.get_int("input_forget", 0) != 0;
    const ValueId in = applied(0, clipped(peeped(0, sum_of(0, t, h), cell_)));
    const ValueId fresh = op("Mul", {in, applied(1, clipped(sum_of(3, t, h)))});
    if (cell_ == kNone) {
      cell_ = fresh;
    } else {
      const ValueId forget =
          coupled ? op("Sub", {one(), in}) : applied(0, clipped(peeped(2, sum_of(2, t, h), cell_)));
      cell_ = op("Add", {op("Mul", {forget, cell_}), fresh});
    }
    const ValueId out = applied(0, clipped(peeped(1, sum_of(1, t, h), cell_)));
    return op("Mul", {out, applied(2, cell_)});
  }

  ValueId gru_step(std::int64_t t, ValueId h) {
    const ValueId update = applied(0, clipped(sum_of(0, t, h)));
    ValueId sum = of_input(2, t);
    if (reset_after()) {
      const ValueId reset = applied(0, clipped(sum_of(1, t, h)));
      const ValueId of_state = h == kNone ? bias_constant(gates_ + 2) : of_hidden(2, h, true);
      if (of_state != kNone) sum = op("Add", {sum, op("Mul", {reset, of_state})});
    } else if (h != kNone) {
      const ValueId reset = applied(0, clipped(sum_of(1, t, h)));
      sum = op("Add", {sum, of_hidden(2, op("Mul", {reset, h}), false)});
    }
    const ValueId fresh = applied(1, clipped(sum));
    // (1 - z) n + z h
    if (h == kNone) return op("Sub", {fresh, op("Mul", {update, fresh})});
    return op("Add", {fresh, op("Mul", {update, op("Sub", {h, fresh})})});
  }

  bool reset_after() const { return n_.attributes.get_int("linear_before_reset", 0) != 0; }

  ValueId sum_of(std::int64_t gate, std::int64_t t, ValueId h) {
    const ValueId input = of_input(gate, t);
    return h == kNone ? input : op("Add", {input, of_hidden(gate, h, false)});
  }

  ValueId of_input(std::int64_t gate, std::int64_t t) {
    const ValueId all = of_input_[static_cast<std::size_t>(gate)];
    if (steps_ == 1) return all;
    return insert_node(
        graph_, "Slice", base(),
        {all, add_ints(graph_, base(), {t * batch_}), add_ints(graph_, base(), {(t + 1) * batch_}),
         add_ints(graph_, base(), {0}), add_ints(graph_, base(), {1})},
        DType::Float32, {batch_, hidden_});
  }

  ValueId of_hidden(std::int64_t gate, ValueId h, bool biased) {
    return product(h, weights(2, gate, hidden_), biased ? bias(gates_ + gate) : Tensor());
  }

  /// Rows of one gate of W or R.
  Tensor weights(std::size_t input, std::int64_t gate, std::int64_t columns) const {
    const Tensor& all = graph_.value(n_.inputs[input]).constant;
    return part(all, (direction_ * gates_ + gate) * hidden_ * columns, {hidden_, columns});
  }
  Tensor bias(std::int64_t gate) const {
    const Tensor* all = constant_of(graph_, n_.input(3));
    if (all == nullptr) return {};
    return part(*all, (direction_ * 2 * gates_ + gate) * hidden_, {hidden_});
  }
  /// Both biases of a gate, but for that which a reset gate multiplies.
  Tensor input_bias(std::int64_t gate) const {
    Tensor sum = bias(gate);
    const bool apart = n_.op == "GRU" && gate == 2 && reset_after();
    if (!sum.defined() || apart) return sum;
    const Tensor more = bias(gates_ + gate);
    for (std::size_t i = 0; i < sum.data<float>().size(); ++i)
      sum.mutable_data<float>()[i] += more.data<float>()[i];
    return sum;
  }
  ValueId bias_constant(std::int64_t gate) {
    const Tensor b = bias(gate);
    if (!b.defined() || is_zero(b)) return kNone;
    return add_constant(graph_, base(), b.reshaped({1, hidden_}));
  }
  static bool is_zero(const Tensor& t) {
    const auto data = t.data<float>();
    return std::all_of(data.begin(), data.end(), [](float v) { return v == 0; });
  }
  static Tensor part(const Tensor& all, std::int64_t begin, const Shape& shape) {
    Tensor t(DType::Float32, shape);
    std::copy_n(all.data<float>().begin() + begin, element_count(shape),
                t.mutable_data<float>().begin());
    return t;
  }

  ValueId product(ValueId x, Tensor w, Tensor b) {
    std::vector<ValueId> inputs{x, add_constant(graph_, base(), std::move(w))};
    if (b.defined()) inputs.push_back(add_constant(graph_, base(), std::move(b)));
    Attributes attributes = wide();
    attributes.set("transB", std::int64_t{1});
    return insert_node(graph_, "Gemm", base(), std::move(inputs), DType::Float32,
                       {shape_of(graph_, x)[0], hidden_}, std::move(attributes));
  }

  /// The initial state as [batch, hidden]; kNone where it is zero.
  ValueId initial(std::size_t input) {
    const ValueId v = n_.input(input);
    if (v == kNone) return kNone;
    const Shape shape{batch_, hidden_};
    if (const Tensor* all = constant_of(graph_, v)) {
      const Tensor state = part(*all, direction_ * batch_ * hidden_, shape);
      return is_zero(state) ? kNone : add_constant(graph_, base(), state);
    }
    if (shape_of(graph_, v)[0] == 1) return reshaped(v, shape);
    const ValueId mine = insert_node(
        graph_, "Slice", base(),
        {v, add_ints(graph_, base(), {direction_}), add_ints(graph_, base(), {direction_ + 1}),
         add_ints(graph_, base(), {0}), add_ints(graph_, base(), {1})},
        DType::Float32, {1, batch_, hidden_});
    return reshaped(mine, shape);
  }

  ValueId peeped(std::int64_t gate, ValueId sum, ValueId cell) {
    const Tensor* all = constant_of(graph_, n_.input(7));
    if (all == nullptr || cell == kNone) return sum;
    const Tensor p = part(*all, (direction_ * 3 + gate) * hidden_, {1, hidden_});
    return op("Add", {sum, op("Mul", {cell, add_constant(graph_, base(), p)})});
  }

  ValueId clipped(ValueId v) {
    if (clip_ <= 0) return v;
    return op("Clip", {v, add_constant(graph_, base(), Tensor::scalar(-clip_)),
                       add_constant(graph_, base(), Tensor::scalar(clip_))});
  }
  ValueId applied(std::size_t function, ValueId v) {
    const Function& f = functions_[function];
    Attributes attributes = f.attributes;
    attributes.set("least_bits", std::int64_t{16});
    return insert_node(graph_, f.op, base(), {v}, DType::Float32, {batch_, hidden_},
                       std::move(attributes));
  }
  ValueId op(std::string_view type, std::vector<ValueId> inputs) {
    return insert_node(graph_, type, base(), std::move(inputs), DType::Float32, {batch_, hidden_},
                       wide());
  }
  ValueId one() { return add_constant(graph_, base(), Tensor::of<float>({1, 1}, {1})); }
  ValueId reshaped(ValueId v, const Shape& shape) {
    return insert_node(graph_, "Reshape", base(), {v, add_ints(graph_, base(), shape)},
                       DType::Float32, shape);
  }
  static Attributes wide() {
    Attributes attributes;
    attributes.set("least_bits", std::int64_t{16});
    return attributes;
  }
  const std::string& base() const { return n_.name; }

  Graph& graph_;
  /// A copy: nodes move as others are added.
  const Node n_;
  std::int64_t direction_;
  std::vector<Function> functions_;
  std::int64_t steps_ = 0, batch_ = 0, features_ = 0, hidden_ = 0, gates_ = 0;
  float clip_ = 0;
  std::vector<ValueId> of_input_;
  ValueId cell_ = kNone, last_ = kNone;
};

bool runs_for_one(const Node& n, std::size_t directions) {
  if (n.attributes.get_int("unroll", 0) != 0) return false;
  if (n.attributes.has("clip") || n.attributes.get_int("input_forget", 0) != 0) return false;
  if (n.op == "LSTM" && n.input(7) != kNone) return false;
  if (n.op == "GRU" && n.attributes.get_int("linear_before_reset", 0) == 0) return false;
  return has_usual_functions(n, directions);
}

bool can_be_unrolled(const Graph& graph, const Node& n, std::int64_t directions) {
  if (n.attributes.get_int("layout", 0) != 0 || n.input(4) != kNone) return false;
  if (n.attributes.get_string("direction", "forward") == "reverse") return false;
  for (const std::size_t i : {1, 2, 3, 7})
    if (n.input(i) != kNone && constant_of(graph, n.inputs[i]) == nullptr) return false;
  const std::int64_t steps = shape_of(graph, n.inputs[0])[0];
  if (steps * directions > kMostSteps) return false;
  return steps * element_count(shape_of(graph, n.inputs[2])) <= kMostWeights;
}

/// A layer for each entry of a batch, which is small.
bool split_batch(Graph& graph, NodeId id) {
  const Node n = graph.node(id);
  const std::int64_t batch = shape_of(graph, n.inputs[0])[1];
  const std::int64_t weights =
      element_count(shape_of(graph, n.inputs[1])) + element_count(shape_of(graph, n.inputs[2]));
  if (n.attributes.get_int("layout", 0) != 0 || n.input(4) != kNone || batch > kMostEntries ||
      batch * weights > kMostWeights)
    return false;
  const auto entry = [&](ValueId v, std::int64_t b) {
    if (v == kNone) return v;
    Shape shape = shape_of(graph, v);
    shape[1] = 1;
    return insert_node(graph, "Slice", n.name,
                       {v, add_ints(graph, n.name, {b}), add_ints(graph, n.name, {b + 1}),
                        add_ints(graph, n.name, {1}), add_ints(graph, n.name, {1})},
                       graph.value(v).dtype, shape);
  };
  std::vector<std::vector<ValueId>> parts(n.outputs.size());
  for (std::int64_t b = 0; b < batch; ++b) {
    std::vector<ValueId> inputs = n.inputs, outputs;
    for (const std::size_t i : {std::size_t{0}, std::size_t{5}, std::size_t{6}})
      if (i < inputs.size()) inputs[i] = entry(inputs[i], b);
    for (std::size_t i = 0; i < n.outputs.size(); ++i) {
      if (n.outputs[i] == kNone) {
        outputs.push_back(kNone);
        continue;
      }
      Shape shape = shape_of(graph, n.outputs[i]);
      shape[i == 0 ? 2 : 1] = 1;
      outputs.push_back(
          graph.add_value(graph.unique_value_name(n.name), graph.value(n.outputs[i]).dtype, shape));
      parts[i].push_back(outputs.back());
    }
    graph.add_node(n.op, graph.unique_node_name(n.name), std::move(inputs), std::move(outputs),
                   n.attributes);
  }
  for (std::size_t i = 0; i < n.outputs.size(); ++i) {
    if (n.outputs[i] == kNone) continue;
    Attributes attributes;
    attributes.set("axis", std::int64_t{i == 0 ? 2 : 1});
    const ValueId whole = insert_node(graph, "Concat", n.name, std::move(parts[i]), DType::Float32,
                                      shape_of(graph, n.outputs[i]), std::move(attributes));
    graph.take_output(graph.value(whole).producer, 0, n.outputs[i]);
  }
  graph.remove_node(id);
  return true;
}

bool unroll(Graph& graph, NodeId id) {
  if (!ops::is_recurrent(graph.node(id))) return false;
  const std::int64_t directions = shape_of(graph, graph.node(id).inputs[1])[0];
  if (runs_for_one(graph.node(id), static_cast<std::size_t>(directions))) {
    if (shape_of(graph, graph.node(id).inputs[0])[1] == 1) return false;
    if (split_batch(graph, id)) return true;
  }
  if (!can_be_unrolled(graph, graph.node(id), directions)) return false;
  const Node n = graph.node(id);
  const Shape& x = shape_of(graph, n.inputs[0]);
  const std::int64_t steps = x[0], batch = x[1], hidden = shape_of(graph, n.inputs[2])[2];

  std::vector<std::vector<Function>> functions;
  for (std::int64_t d = 0; d < directions; ++d) {
    auto f = functions_of(n, static_cast<std::size_t>(d));
    if (!f) return false;
    functions.push_back(std::move(*f));
  }
  const Shape one_step{1, 1, batch, hidden}, state{1, batch, hidden};
  const auto shaped = [&](ValueId v, const Shape& shape) {
    return insert_node(graph, "Reshape", n.name, {v, add_ints(graph, n.name, shape)},
                       DType::Float32, shape);
  };
  const auto joined = [&](std::vector<ValueId> parts, std::int64_t axis) {
    if (parts.size() == 1) return parts.front();
    Shape shape = shape_of(graph, parts.front());
    shape[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(parts.size());
    Attributes attributes;
    attributes.set("axis", axis);
    return insert_node(graph, "Concat", n.name, std::move(parts), DType::Float32, shape,
                       std::move(attributes));
  };
  const auto wanted = [&](std::size_t i) { return i < n.outputs.size() && n.outputs[i] != kNone; };
  std::vector<ValueId> sequences, last_hidden, last_cell;
  for (std::int64_t d = 0; d < directions; ++d) {
    Unrolled layer(graph, n, d, functions[static_cast<std::size_t>(d)]);
    std::vector<ValueId> states = layer.run();
    if (wanted(0)) {
      for (ValueId& s : states) s = shaped(s, one_step);
      sequences.push_back(joined(std::move(states), 0));
    }
    if (wanted(1)) last_hidden.push_back(shaped(layer.last_hidden(), state));
    if (wanted(2)) last_cell.push_back(shaped(layer.last_cell(), state));
  }
  const auto put_out = [&](std::size_t i, ValueId v) {
    const ValueId old = n.outputs[i];
    graph.take_output(graph.value(v).producer, 0, old);
  };
  if (wanted(0)) {
    ValueId y = sequences.front();
    if (directions > 1) {
      Attributes attributes;
      attributes.set("axis", std::int64_t{1});
      y = insert_node(graph, "Concat", n.name, std::move(sequences), DType::Float32,
                      {steps, directions, batch, hidden}, std::move(attributes));
    }
    put_out(0, y);
  }
  if (wanted(1)) put_out(1, joined(std::move(last_hidden), 0));
  if (wanted(2)) put_out(2, joined(std::move(last_cell), 0));
  graph.remove_node(id);
  return true;
}

}  // namespace

std::int64_t unroll_recurrent(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return unroll(graph, id); });
}

}  // namespace espquant::passes
