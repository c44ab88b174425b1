#include <algorithm>
#include <array>

#include "base/random.h"
#include "ops/op.h"
#include "tests/fuzz/graph_problem.h"

namespace espquant::test {
namespace {

using Ints = std::vector<std::int64_t>;

class Drawing {
 public:
  Drawing(std::uint64_t seed, GraphSize size) : random_(seed), size_(size) {
    graph_.name = "drawn";
    graph_.opset = 18;
  }

  Graph run() {
    const std::int64_t inputs = chance(0.25) ? 2 : 1;
    const Shape shape = input_shape();
    for (std::int64_t i = 0; i < inputs; ++i) {
      const ValueId v = graph_.add_value("in" + std::to_string(i), DType::Float32, shape);
      graph_.add_input(v);
      live_.push_back(v);
    }
    const std::int64_t steps = random_.between(3, 14);
    for (std::int64_t i = 0; i < steps; ++i) step();
    finish();
    return std::move(graph_);
  }

 private:
  bool chance(double p) { return static_cast<double>(random_.uniform()) < p; }
  template <typename T, std::size_t N>
  const T& one_of(const std::array<T, N>& all) {
    return all[random_.below(N)];
  }

  Shape input_shape() {
    static constexpr std::array<std::int64_t, 6> kChannels = {3, 4, 8, 16, 17, 32};
    static constexpr std::array<std::int64_t, 4> kSides = {1, 4, 5, 8};
    static constexpr std::array<std::int64_t, 4> kLargeSides = {12, 17, 24, 32};
    if (size_ == GraphSize::Large)
      return {1, one_of(kChannels), one_of(kLargeSides), one_of(kLargeSides)};
    switch (random_.below(4)) {
      case 0:
        return {1, random_.between(2, 12), one_of(kChannels)};
      case 1:
        return {1, one_of(kChannels) * 2};
      default:
        return {1, one_of(kChannels), one_of(kSides), one_of(kSides)};
    }
  }

  const Shape& shape(ValueId v) const { return *graph_.value(v).shape; }
  std::int64_t count(ValueId v) const { return element_count(shape(v)); }

  ValueId constant(const Shape& s, float low = -1, float high = 1) {
    Tensor t(DType::Float32, s);
    for (float& v : t.mutable_data<float>()) v = random_.uniform(low, high);
    return graph_.add_constant(graph_.unique_value_name("c"), std::move(t));
  }
  ValueId ints(const Ints& values) {
    return graph_.add_constant(
        graph_.unique_value_name("c"),
        Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, std::span(values)));
  }

  using Settings = std::vector<std::pair<std::string, AttributeValue>>;
  std::vector<ValueId> nodes(const std::string& op, std::vector<ValueId> inputs,
                             const Settings& settings, std::size_t outputs) {
    Attributes attributes;
    for (const auto& [name, value] : settings) attributes.set(name, value);
    const std::string name = graph_.unique_node_name(op);
    std::vector<ValueId> out;
    for (std::size_t i = 0; i < outputs; ++i)
      out.push_back(graph_.add_value(graph_.unique_value_name(name + "_out"), DType::Float32));
    graph_.add_node(op, name, std::move(inputs), out, attributes);
    ops::infer_shapes(graph_);
    return out;
  }
  ValueId node(const std::string& op, std::vector<ValueId> inputs, const Settings& settings = {}) {
    return nodes(op, std::move(inputs), settings, 1)[0];
  }
  void keep(ValueId v) { live_.push_back(v); }

  /// Mostly what was made last, often something older.
  ValueId pick() {
    const std::size_t n = live_.size();
    return live_[n - 1 - std::min<std::size_t>(random_.below(n), random_.below(n))];
  }

  void step() {
    const ValueId v = pick();
    if (chance(0.3)) return keep(view(v));
    if (chance(0.25)) return keep(combine(v));
    if (chance(0.4)) return keep(activate(v));
    if (chance(0.08)) return keep(limit(v));
    switch (shape(v).size()) {
      case 2:
        return keep(on_row(v));
      case 3:
        return keep(on_sequence(v));
      case 4:
        return on_image(v);
      default:
        return keep(view(v));
    }
  }

  ValueId reshape(ValueId v, const Shape& to) {
    return node("Reshape", {v, ints({to.begin(), to.end()})});
  }

  /// Divisors of n are drawn until nothing is left.
  Shape factored(std::int64_t n, std::size_t rank) {
    Shape s{1};
    while (s.size() + 1 < rank) {
      std::int64_t d = random_.between(1, std::min<std::int64_t>(n, 16));
      while (n % d != 0) --d;
      s.push_back(d);
      n /= d;
    }
    s.push_back(n);
    return s;
  }

  ValueId view(ValueId v) {
    const Shape& s = shape(v);
    switch (random_.below(6)) {
      case 0: {
        std::vector<std::int64_t> perm(s.size());
        for (std::size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<std::int64_t>(i);
        for (std::size_t i = perm.size() - 1; i > 1; --i)
          std::swap(perm[i], perm[1 + random_.below(i)]);
        return node("Transpose", {v}, {{"perm", perm}});
      }
      case 1:
        return node("Flatten", {v}, {{"axis", std::int64_t{1}}});
      case 2:
        if (s.size() < 4) return node("Unsqueeze", {v, ints({random_.between(1, 2)})});
        [[fallthrough]];
      case 3:
        for (std::size_t i = 1; i < s.size(); ++i)
          if (s[i] == 1 && s.size() > 2)
            return node("Squeeze", {v, ints({static_cast<std::int64_t>(i)})});
        [[fallthrough]];
      default:
        return reshape(v, factored(count(v), 2 + random_.below(3)));
    }
  }

  ValueId activate(ValueId v) {
    static const std::array<std::string, 8> kPlain = {"Relu",      "Sigmoid", "Tanh", "HardSwish",
                                                      "LeakyRelu", "Elu",     "Relu", "Sigmoid"};
    switch (random_.below(6)) {
      case 0:
        return node("Mul", {v, node("Sigmoid", {v})});
      case 1:
        // Bounds that all lies within, that nothing reaches, or in no order.
        if (chance(0.2)) return node("Clip", {v, constant({}, -9, 9), constant({}, -9, 9)});
        return node("Clip", {v, constant({}, -1, 0), constant({}, 1, 6)});
      case 2:
        if (shape(v).size() == 4) return node("PRelu", {v, constant({shape(v)[1], 1, 1}, -0.5, 1)});
        [[fallthrough]];
      default:
        return node(one_of(kPlain), {v});
    }
  }

  /// With an older tensor of the same number of elements, seen in the same shape, or a constant.
  ValueId combine(ValueId v) {
    static const std::array<std::string, 4> kOps = {"Add", "Add", "Mul", "Sub"};
    const std::string& op = one_of(kOps);
    std::vector<ValueId> partners;
    for (ValueId other : live_)
      if (other != v && count(other) == count(v)) partners.push_back(other);
    if (partners.empty() || chance(0.2)) {
      Shape s(shape(v).size(), 1);
      if (s.size() > 1 && chance(0.7)) s[1] = shape(v)[1];
      const ValueId c = constant(s);
      return chance(0.5) ? node(op, {v, c}) : node(op, {c, v});
    }
    ValueId other = partners[random_.below(partners.size())];
    if (shape(other) != shape(v)) {
      if (chance(0.5)) other = activate(other);
      other = reshape(other, shape(v));
    }
    if (chance(0.15) && shape(v).size() > 1)
      return node("Concat", {v, other}, {{"axis", std::int64_t{1}}});
    return chance(0.5) ? node(op, {v, other}) : node(op, {other, v});
  }

  ValueId reduce(ValueId v) {
    static const std::array<std::string, 4> kOps = {"ReduceMean", "ReduceMax", "ReduceSum",
                                                    "ReduceMin"};
    const auto rank = static_cast<std::int64_t>(shape(v).size());
    const bool keep = rank < 3 || chance(0.6);
    return node(one_of(kOps), {v, ints({random_.between(1, rank - 1)})},
                {{"keepdims", std::int64_t{keep}}});
  }

  ValueId slice(ValueId v, std::int64_t axis) {
    const std::int64_t n = shape(v)[static_cast<std::size_t>(axis)];
    if (n < 2) return view(v);
    const std::int64_t from = random_.between(0, n - 2);
    return node("Slice", {v, ints({from}), ints({random_.between(from + 1, n)}), ints({axis})});
  }

  ValueId normalize(ValueId v) {
    const Shape last{shape(v).back()};
    return node("LayerNormalization", {v, constant(last, 0.5, 1.5), constant(last)});
  }

  /// Scores of the rows of v among each other, and what they choose of it.
  ValueId attend(ValueId v) {
    const ValueId turned = node("Transpose", {v}, {{"perm", Ints{0, 2, 1}}});
    const ValueId scores = node("MatMul", {v, turned});
    ValueId scaled = node("Mul", {scores, constant({}, 0.05F, 0.3F)});
    if (chance(0.4)) scaled = node("Add", {scaled, mask(shape(scaled))});
    return node("MatMul", {node("Softmax", {scaled}, {{"axis", std::int64_t{-1}}}), v});
  }

  /// 0, or a number that says "not this", over the last axis or whole rows and columns; the first
  /// of each row counts.
  ValueId mask(const Shape& of) {
    static constexpr std::array<float, 4> kMasked = {-1e4F, -1e9F, -60, -3.4e38F};
    const float masked = one_of(kMasked);
    const bool by_rows = of.size() > 1 && chance(0.5);
    const std::int64_t columns = of.back();
    Tensor t(DType::Float32, by_rows ? Shape{of[of.size() - 2], columns} : Shape{columns});
    auto data = t.mutable_data<float>();
    for (std::size_t i = 0; i < data.size(); ++i)
      data[i] = i % static_cast<std::size_t>(columns) != 0 && chance(0.3) ? masked : 0;
    return graph_.add_constant(graph_.unique_value_name("c"), std::move(t));
  }

  /// Masked elements before something to which lower is no different.
  ValueId limit(ValueId v) {
    const ValueId masked = node("Add", {v, mask(shape(v))});
    const auto last = static_cast<std::int64_t>(shape(v).size()) - 1;
    switch (random_.below(5)) {
      case 0:
        return node("Sigmoid", {masked});
      case 1:
        return node("Softmax", {masked}, {{"axis", std::int64_t{-1}}});
      case 2:
        return node("ReduceMax", {masked, ints({last})}, {{"keepdims", std::int64_t{1}}});
      case 3:
        return node("Tanh", {masked});
      default:
        return node("Clip", {node("Mul", {masked, constant({}, 0.5F, 2)}), constant({}, -2, -1),
                             constant({}, 1, 3)});
    }
  }

  ValueId pad(ValueId v) {
    Ints pads(2 * shape(v).size(), 0);
    pads[shape(v).size() - 1] = random_.between(0, 2);
    pads.back() = random_.between(0, 2);
    return node("Pad", {v, ints(pads)}, {{"mode", std::string("constant")}});
  }

  ValueId gather(ValueId v) {
    const std::int64_t n = shape(v)[1];
    Ints rows(static_cast<std::size_t>(random_.between(1, n)));
    for (auto& row : rows) row = random_.between(0, n - 1);
    return node("Gather", {v, ints(rows)}, {{"axis", std::int64_t{1}}});
  }

  /// By something that stays away from 0, or a root of something that is not negative.
  ValueId divide(ValueId v) {
    const ValueId positive = node("Sigmoid", {v});
    switch (random_.below(3)) {
      case 0:
        return node("Div", {v, node("Add", {positive, constant({}, 0.5F, 1)})});
      case 1:
        return node("Sqrt", {positive});
      default:
        return node("Exp", {node("Clip", {v, constant({}, -2, -1), constant({}, 0, 2)})});
    }
  }

  /// Between two layers, values far from 1.
  ValueId through_extremes(ValueId v) {
    static constexpr std::array<float, 4> kSizes = {1e-20F, 1e-9F, 1e9F, 1e17F};
    const float size = one_of(kSizes);
    const std::int64_t width = random_.between(2, 12), to = random_.between(2, 12);
    ValueId hidden = node(
        "Gemm", {v, constant({shape(v)[1], width}, -size, size), constant({width}, -size, size)});
    if (chance(0.5)) hidden = node("Relu", {hidden});
    return node("Gemm", {hidden, constant({width, to}, -1 / size, 1 / size), constant({to})});
  }

  ValueId on_row(ValueId v) {
    if (chance(0.1)) return divide(v);
    switch (random_.below(6)) {
      case 0:
        return node("Softmax", {v});
      case 1:
        return normalize(v);
      case 2:
        return slice(v, 1);
      case 3:
        return reduce(v);
      default: {
        if (chance(0.06)) return through_extremes(v);
        const std::int64_t to = random_.between(2, 24);
        return node("Gemm", {v, constant({shape(v)[1], to}), constant({to})});
      }
    }
  }

  ValueId on_sequence(ValueId v) {
    if (chance(0.1)) return divide(v);
    if (chance(0.1)) return attend(v);
    if (chance(0.1)) return chance(0.5) ? pad(v) : gather(v);
    const std::int64_t length = shape(v)[1], width = shape(v)[2];
    switch (random_.below(8)) {
      case 0:
        return node("Softmax",
                    {
                        v,
                    },
                    {{"axis", std::int64_t{-1}}});
      case 1:
        return normalize(v);
      case 2:
        return slice(v, random_.between(1, 2));
      case 3:
        return reduce(v);
      case 4:
        return recurrent(v, width);
      case 5: {
        const std::int64_t to = random_.between(2, 16);
        return node("Conv", {v, constant({to, length, 1}), constant({to})},
                    {{"kernel_shape", Ints{1}}});
      }
      default:
        return node("MatMul", {v, constant({width, random_.between(2, 24)})});
    }
  }

  ValueId recurrent(ValueId v, std::int64_t width) {
    const bool lstm = chance(0.5);
    const std::int64_t gates = lstm ? 4 : 3, hidden = chance(0.5) ? 8 : 5;
    const ValueId steps = node("Transpose", {v}, {{"perm", Ints{1, 0, 2}}});
    const float bound = 0.5F;
    Settings settings{{"hidden_size", hidden}};
    if (!lstm) settings.emplace_back("linear_before_reset", std::int64_t{1});
    const ValueId y = node(lstm ? "LSTM" : "GRU",
                           {steps, constant({1, gates * hidden, width}, -bound, bound),
                            constant({1, gates * hidden, hidden}, -bound, bound),
                            constant({1, 2 * gates * hidden}, -bound, bound)},
                           settings);
    return node("Transpose", {node("Squeeze", {y, ints({1})})}, {{"perm", Ints{1, 0, 2}}});
  }

  ValueId pointwise(ValueId v, std::int64_t to, float size) {
    return node("Conv", {v, constant({to, shape(v)[1], 1, 1}, -size, size), constant({to})},
                {{"kernel_shape", Ints{1, 1}}});
  }

  /// A large and a small image side by side, and weights that even them out.
  ValueId join_sizes(ValueId v) {
    const float size = chance(0.5) ? 300.0F : 0.003F;
    const std::int64_t each = random_.between(1, 8), to = random_.between(1, 8);
    const ValueId sized = pointwise(v, each, size);
    const ValueId plain = chance(0.3) ? v : pointwise(v, each, 1);
    ValueId joined = node("Concat", {sized, plain}, {{"axis", std::int64_t{1}}});
    if (chance(0.5)) joined = node("Relu", {joined});
    const std::int64_t all = shape(joined)[1];
    Tensor w(DType::Float32, {to, all, 1, 1});
    auto data = w.mutable_data<float>();
    for (std::size_t i = 0; i < data.size(); ++i)
      data[i] = random_.uniform(-1, 1) / (static_cast<std::int64_t>(i) % all < each ? size : 1.0F);
    const ValueId weights = graph_.add_constant(graph_.unique_value_name("c"), std::move(w));
    return node("Conv", {joined, weights, constant({to})}, {{"kernel_shape", Ints{1, 1}}});
  }

  void on_image(ValueId v) {
    const std::int64_t channels = shape(v)[1], height = shape(v)[2], width = shape(v)[3];
    if (chance(0.06)) return keep(join_sizes(v));
    const bool large = height >= 2 && width >= 2;
    if (chance(0.1)) return keep(chance(0.5) ? pad(v) : gather(v));
    if (chance(0.05)) return keep(divide(v));
    if (chance(0.08) && height * width <= 36) {
      const std::int64_t to = random_.between(1, 12);
      return keep(node("ConvTranspose", {v, constant({channels, to, 2, 2}), constant({to})},
                       {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}));
    }
    if (chance(0.08) && channels % 2 == 0)
      return keep(node("Conv", {v, constant({channels, channels / 2, 1, 1}), constant({channels})},
                       {{"kernel_shape", Ints{1, 1}}, {"group", std::int64_t{2}}}));
    switch (random_.below(11)) {
      case 0:
        return keep(
            node("Conv", {v, constant({channels, 1, 3, 3}), constant({channels})},
                 {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}, {"group", channels}}));
      case 1:
        return keep(node("GlobalAveragePool", {v}));
      case 2:
        if (large)
          return keep(node(chance(0.5) ? "MaxPool" : "AveragePool", {v},
                           {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}));
        [[fallthrough]];
      case 3:
        if (height * width <= 64)
          return keep(node(
              "Resize",
              {v, graph_.add_constant(graph_.unique_value_name("c"), Tensor(DType::Float32, {0})),
               graph_.add_constant(graph_.unique_value_name("c"),
                                   Tensor::of<float>({4}, {1, 1, 2, 2}))},
              {{"mode", std::string("nearest")},
               {"coordinate_transformation_mode", std::string("asymmetric")},
               {"nearest_mode", std::string("floor")}}));
        [[fallthrough]];
      case 4:
        return keep(slice(v, random_.between(1, 3)));
      case 5:
        return keep(reduce(v));
      case 6:
        if (channels >= 2) {
          const std::int64_t first = random_.between(1, channels - 1);
          for (ValueId part :
               nodes("Split", {v, ints({first, channels - first})}, {{"axis", std::int64_t{1}}}, 2))
            keep(part);
          return;
        }
        [[fallthrough]];
      default: {
        const std::int64_t most = size_ == GraphSize::Large ? 56 : 20;
        const std::int64_t to = random_.between(1, most), kernel = chance(0.5) ? 1 : 3,
                           pad = kernel / 2, stride = large && chance(0.3) ? 2 : 1;
        return keep(node("Conv", {v, constant({to, channels, kernel, kernel}), constant({to})},
                         {{"kernel_shape", Ints{kernel, kernel}},
                          {"pads", Ints{pad, pad, pad, pad}},
                          {"strides", Ints{stride, stride}}}));
      }
    }
  }

  /// What nobody reads is an output, and now and then something else.
  void finish() {
    for (ValueId v : live_) {
      if (graph_.is_input(v)) continue;
      if (graph_.value(v).consumers.empty() || chance(0.12)) graph_.add_output(v);
    }
    if (graph_.outputs().empty()) graph_.add_output(activate(live_.front()));
    ops::infer_shapes(graph_);
    verify(graph_, "drawn network");
  }

  Random random_;
  GraphSize size_;
  Graph graph_;
  std::vector<ValueId> live_;
};

}  // namespace

GraphProblem draw_graph(std::uint64_t seed, GraphSize size) {
  static const std::array<std::string, 3> kChips = {"esp32s3", "esp32p4", "esp32"};
  static const std::array<std::string, 6> kRecipes = {"int8",     "int16", "mixed",
                                                      "balanced", "w8a16", "int8"};
  constexpr std::int64_t kSamples = 12;
  Random random(seed * 1000003 + 17);
  GraphProblem problem;
  problem.seed = seed;
  problem.chip = kChips[random.below(kChips.size())];
  problem.recipe = kRecipes[random.below(kRecipes.size())];
  problem.network = Drawing(random.next(), size).run();
  for (std::int64_t s = 0; s < kSamples; ++s) {
    auto& sample = problem.samples.emplace_back();
    for (ValueId v : problem.network.inputs()) {
      Tensor& t = sample.emplace_back(DType::Float32, *problem.network.value(v).shape);
      for (float& x : t.mutable_data<float>())
        x = random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1);
    }
  }
  return problem;
}

}  // namespace espquant::test
