#include "train/distill.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/parallel.h"
#include "base/per_worker.h"
#include "ops/executor.h"
#include "train/adam.h"
#include "train/network.h"

namespace espquant::train {
namespace {

constexpr float kNewMoments = 20;

/// Every sample once per round, in an order of the round's own.
class Shuffled {
 public:
  Shuffled(std::int64_t count, std::uint64_t seed) : random_(seed) {
    order_.resize(static_cast<std::size_t>(count));
    std::iota(order_.begin(), order_.end(), 0);
  }
  std::int64_t next() {
    if (at_ == 0)
      for (std::size_t i = order_.size(); i > 1; --i)
        std::swap(order_[i - 1], order_[static_cast<std::size_t>(random_.below(i))]);
    const std::int64_t value = order_[at_];
    at_ = (at_ + 1) % order_.size();
    return value;
  }

 private:
  Random random_;
  std::vector<std::int64_t> order_;
  std::size_t at_ = 0;
};

/// What makes an output's values scores, of which only differences count.
bool makes_scores(const Graph& graph, std::size_t output) {
  const NodeId n = graph.value(graph.outputs()[output]).producer;
  return n != kNone && graph.node(n).op == "Softmax";
}

/// The input of the last weighted layer before the first output: kNone where there is none.
ValueId features_of(const Graph& graph) {
  const auto order = graph.topological_order();
  for (auto n = order.rbegin(); n != order.rend(); ++n) {
    const Node& node = graph.node(*n);
    if (node.op == "Gemm" || node.op == "MatMul" || node.op == "Conv")
      return graph.value(node.inputs[0]).is_constant() ? kNone : node.inputs[0];
  }
  return kNone;
}

void centre(std::span<float> x, std::size_t width) {
  for (std::size_t begin = 0; begin + width <= x.size(); begin += width) {
    double sum = 0;
    for (std::size_t i = begin; i < begin + width; ++i) sum += static_cast<double>(x[i]);
    const auto mean = static_cast<float>(sum / static_cast<double>(width));
    for (std::size_t i = begin; i < begin + width; ++i) x[i] -= mean;
  }
}

void softmax(std::span<float> x) {
  const float largest = *std::max_element(x.begin(), x.end());
  float sum = 0;
  for (float& v : x) sum += v = std::exp(v - largest);
  for (float& v : x) v /= sum;
}

/// The loss of one value, and its gradient.
class Comparison {
 public:
  Comparison(Distance distance, bool scores, double weight)
      : distance_(scores ? distance : Distance::Squares), scores_(scores), weight_(weight) {}

  /// What squared differences are measured by.
  void set_signal(double signal) { signal_ = signal > 0 ? signal : 1; }

  double signal_of(const Tensor& expected) const {
    std::vector<float> x(expected.data<float>().begin(), expected.data<float>().end());
    if (scores_) centre(x, width(expected));
    double sum = 0;
    for (float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
    return sum;
  }

  double compare(const Tensor& actual, const Tensor& expected, Tensor& gradient) const {
    const auto a = actual.data<float>(), e = expected.data<float>();
    auto g = gradient.mutable_data<float>();
    double loss = 0;
    if (distance_ == Distance::Scores) {
      std::vector<float> p, q;
      for (std::size_t begin = 0, w = width(actual); begin + w <= a.size(); begin += w) {
        p.assign(a.begin() + static_cast<std::ptrdiff_t>(begin),
                 a.begin() + static_cast<std::ptrdiff_t>(begin + w));
        q.assign(e.begin() + static_cast<std::ptrdiff_t>(begin),
                 e.begin() + static_cast<std::ptrdiff_t>(begin + w));
        softmax(p);
        softmax(q);
        for (std::size_t i = 0; i < w; ++i) {
          g[begin + i] = static_cast<float>(weight_) * (p[i] - q[i]);
          if (q[i] > 0)
            loss +=
                weight_ * static_cast<double>(q[i]) *
                std::log(static_cast<double>(q[i]) / std::max(static_cast<double>(p[i]), 1e-30));
        }
      }
      return loss;
    }
    for (std::size_t i = 0; i < a.size(); ++i) g[i] = a[i] - e[i];
    if (scores_) centre(g, width(actual));
    const double factor = weight_ / signal_;
    for (float& d : g) {
      loss += factor * static_cast<double>(d) * static_cast<double>(d);
      d *= static_cast<float>(2 * factor);
    }
    return loss;
  }

 private:
  static std::size_t width(const Tensor& t) {
    return t.shape().empty()
               ? 1
               : static_cast<std::size_t>(std::max<std::int64_t>(t.shape().back(), 1));
  }
  Distance distance_;
  bool scores_;
  double weight_, signal_ = 1;
};

/// The grid on which the result of the layer ends up whose bias this is; null without one.
const Grid* grid_behind(const Student& student, ValueId bias) {
  for (NodeId n : student.graph.value(bias).consumers) {
    const Node& node = student.graph.node(n);
    if (node.input(2) != bias) continue;
    ValueId v = node.outputs[0];
    if (const auto grid = student.activations.find(v); grid != student.activations.end())
      return &grid->second;
    const Value& value = student.graph.value(v);
    if (value.consumers.size() != 1) continue;
    v = student.graph.node(value.consumers.front()).outputs[0];
    if (const auto grid = student.activations.find(v); grid != student.activations.end())
      return &grid->second;
  }
  return nullptr;
}

std::vector<float> update_sizes(const Student& student, std::span<const ValueId> parameters) {
  std::vector<float> sizes = usual_sizes(student.graph, parameters);
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (const auto known = student.weights.find(parameters[p]); known != student.weights.end()) {
      double steps = 0;
      for (const Grid& grid : known->second.grids) steps += static_cast<double>(grid.step);
      sizes[p] = static_cast<float>(steps / static_cast<double>(known->second.grids.size()));
    } else if (const Grid* grid = grid_behind(student, parameters[p])) {
      // A bias moves every output at once, a weight only some by a little.
      sizes[p] = 0.25F * grid->step;
    }
  }
  return sizes;
}

/// Of each parameter that is a matrix or filter, the elements that are zero.
std::vector<std::vector<std::size_t>> zero_weights(std::span<const Tensor> parameters) {
  std::vector<std::vector<std::size_t>> zeros(parameters.size());
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const auto x = parameters[p].data<float>();
    for (std::size_t k = 0; parameters[p].rank() > 1 && k < x.size(); ++k)
      if (x[k] == 0) zeros[p].push_back(k);
  }
  return zeros;
}

}  // namespace

Graph without_last_softmax(Graph graph) {
  std::vector<ValueId> outputs;
  for (std::size_t o = 0; o < graph.outputs().size(); ++o) {
    const ValueId v = graph.outputs()[o];
    outputs.push_back(makes_scores(graph, o) ? graph.node(graph.value(v).producer).inputs[0] : v);
  }
  graph.set_outputs(std::move(outputs));
  graph.remove_dead();
  return graph;
}

Distilled distill(const Graph& teacher_graph, const Student& student,
                  const calib::SampleSource& source, const DistillSettings& settings) {
  Graph teacher = without_last_softmax(teacher_graph);
  Graph scores = without_last_softmax(student.graph);
  std::vector<Comparison> comparisons;
  for (std::size_t o = 0; o < teacher.outputs().size(); ++o) {
    const Shape& shape = *teacher.value(teacher.outputs()[o]).shape;
    // One row of numbers per sample is taken for scores where a distance of scores is asked for.
    const bool classes =
        makes_scores(teacher_graph, o) || (settings.distance == Distance::Scores &&
                                           shape.size() == 2 && shape[0] == 1 && shape[1] > 1);
    comparisons.emplace_back(settings.distance, classes,
                             1.0 / static_cast<double>(teacher.outputs().size()));
  }
  if (settings.features > 0) {
    const ValueId of_teacher = features_of(teacher), of_student = features_of(scores);
    if (of_teacher != kNone && of_student != kNone &&
        teacher.value(of_teacher).shape == scores.value(of_student).shape) {
      teacher.add_output(of_teacher);
      scores.add_output(of_student);
      comparisons.emplace_back(Distance::Squares, false, settings.features);
    }
  }

  const std::vector<ValueId> parameters = weights_of(scores);
  const Network network(scores, {.parameters = parameters, .activations = student.activations});
  const ops::Executor executor(teacher, {.observe_all = false});
  std::vector<Tensor> latent, rounded;
  for (ValueId v : parameters) latent.push_back(scores.value(v).constant);
  const std::vector<std::vector<std::size_t>> zeros =
      settings.keep_zeros ? zero_weights(latent) : std::vector<std::vector<std::size_t>>();
  const auto round = [&] {
    rounded = latent;
    for (std::size_t p = 0; p < parameters.size(); ++p)
      if (const auto grid = student.weights.find(parameters[p]); grid != student.weights.end())
        round_to(grid->second, rounded[p].shape(), rounded[p].mutable_data<float>());
  };
  round();
  Adam adam(latent, update_sizes(student, parameters));

  const std::int64_t unit = network.batch_unit();
  const std::int64_t batch = (std::max<std::int64_t>(settings.batch, 1) + unit - 1) / unit * unit;
  Shuffled order(source.count, settings.seed + static_cast<std::uint64_t>(settings.done));
  const std::int64_t total = std::max(settings.total, settings.steps);
  std::vector<std::vector<Tensor>> inputs(static_cast<std::size_t>(batch)), expected = inputs;
  std::vector<std::int64_t> chosen(inputs.size()), others = chosen;
  PerWorker<ops::Executor::Workspace> workspaces(executor);

  Distilled result;
  constexpr std::int64_t kShown = 10;
  std::vector<double> losses;
  for (std::int64_t step = 0; step < settings.steps; ++step) {
    for (std::int64_t& i : chosen) i = order.next();
    others = chosen;
    std::rotate(others.begin(), others.begin() + 1, others.end());
    parallel_for(batch, [&](std::int64_t i) {
      const auto at = static_cast<std::size_t>(i);
      Random random(settings.seed * 0x9E3779B9U +
                    static_cast<std::uint64_t>((settings.done + step) * batch + i) * 0xD1B54A32U);
      std::vector<Tensor> other;
      if (settings.augmentation.mix > 0) other = source.sample(others[at]);
      inputs[at] = augmented(source.sample(chosen[at]), other, settings.augmentation, random);
      ops::Executor::Workspace& workspace = workspaces.mine();
      expected[at] = executor.run(inputs[at], workspace);
    });
    if (step == 0)
      for (std::size_t o = 0; o < comparisons.size(); ++o) {
        double signal = 0;
        for (const auto& e : expected) signal += comparisons[o].signal_of(e[o]);
        comparisons[o].set_signal(signal / static_cast<double>(batch));
      }
    const Network::Result found = network.run(
        rounded, batch, [&](std::int64_t i) { return inputs[static_cast<std::size_t>(i)]; },
        [&](std::int64_t i, std::span<const Tensor> actual, std::span<Tensor> gradients) {
          double loss = 0;
          for (std::size_t o = 0; o < actual.size(); ++o)
            loss += comparisons[o].compare(actual[o], expected[static_cast<std::size_t>(i)][o],
                                           gradients[o]);
          return loss;
        });
    losses.push_back(found.loss / static_cast<double>(batch));
    // Where it goes on, its moments are new, and its first steps are no better than signs.
    const float begun = std::min(1.0F, static_cast<float>(step + 1) / kNewMoments);
    adam.update(
        latent, found.gradients,
        begun * cosine_rate(static_cast<float>(settings.rate), settings.done + step, total));
    for (std::size_t p = 0; p < zeros.size(); ++p)
      for (std::size_t k : zeros[p]) latent[p].mutable_data<float>()[k] = 0;
    round();
    ++result.steps;
    if (settings.progress && !settings.progress(result.steps, settings.steps, losses.back())) break;
  }
  const auto shown = static_cast<std::ptrdiff_t>(
      std::min<std::size_t>(losses.size(), static_cast<std::size_t>(kShown)));
  const auto mean = [&](auto begin, auto end) {
    return begin == end ? 0.0 : std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin);
  };
  result.loss_before = mean(losses.begin(), losses.begin() + shown);
  result.loss_after = mean(losses.end() - shown, losses.end());
  result.graph = student.graph;
  for (std::size_t p = 0; p < parameters.size(); ++p)
    result.graph.value(parameters[p]).constant = rounded[p];
  return result;
}

}  // namespace espquant::train
