#include "analysis/analysis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "analysis/value_pictures.h"
#include "base/parallel.h"
#include "calib/histogram.h"
#include "lower/lower.h"
#include "measure/float_references.h"
#include "measure/output_comparison.h"
#include "measure/simulate.h"
#include "quant/weights.h"
#include "quant/widths.h"

namespace espquant::analysis {
namespace {

constexpr double kTypicalShare = 0.999;
// Filters this far below the largest are what weight decay leaves of unused ones: not even 16 bits
// would show them.
constexpr double kDeadFilter = 1.0 / (1 << 14);
// Traced sums take several times the time; a layer that saturates does so in most samples.
constexpr std::int64_t kSaturationSamples = 8;

/// Extremes and counts of one tensor's float values: the same in whatever order they are added.
struct ValueBooks {
  calib::Extent extent;
  calib::Histogram magnitudes;
  std::int64_t values = 0, zeros = 0, clipped = 0;
  std::vector<bool> alive;

  void add(const ValueBooks& other) {
    if (other.values == 0) return;
    extent.min = values == 0 ? other.extent.min : std::min(extent.min, other.extent.min);
    extent.max = values == 0 ? other.extent.max : std::max(extent.max, other.extent.max);
    magnitudes.add(other.magnitudes);
    values += other.values;
    zeros += other.zeros;
    clipped += other.clipped;
    alive.resize(std::max(alive.size(), other.alive.size()), false);
    for (std::size_t c = 0; c < other.alive.size(); ++c)
      if (other.alive[c]) alive[c] = true;
  }
};

/// How the elements of an output fall into channels, each of which may have a bias.
struct OutputChannels {
  std::size_t count = 1, inner = 1;
};

OutputChannels output_channels(const Shape& shape) {
  if (shape.empty()) return {};
  OutputChannels channels{static_cast<std::size_t>(shape[shape.size() > 1 ? 1 : 0]), 1};
  for (std::size_t i = 2; i < shape.size(); ++i)
    channels.inner *= static_cast<std::size_t>(shape[i]);
  return channels;
}

/// An error of the outputs: its squares, and its sums by channel of them.
struct OutputError {
  double squares = 0;
  std::vector<double> channel_sums;

  void add(const Tensor& actual, const Tensor& expected) {
    const auto a = actual.data<float>(), e = expected.data<float>();
    const OutputChannels channels = output_channels(actual.shape());
    const std::size_t first = channel_sums.size();
    channel_sums.resize(first + channels.count, 0);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double d = static_cast<double>(a[i]) - e[i];
      squares += d * d;
      channel_sums[first + i / channels.inner % channels.count] += d;
    }
  }
};

/// What one sample adds to sums of floating-point numbers, which are made in the order of samples.
struct SampleSums {
  /// By tensor.
  std::vector<measure::Noise> clipping, inputs;
  std::vector<bool> close;
  /// By row: what it changes at the outputs, and their noise from there on.
  std::vector<OutputError> change, noise;
  double output_signal = 0;
};

/// A row of the result: an input of the network, or a node.
struct Row {
  std::size_t tensor = 0;
  /// All that the node writes and the network knows.
  std::vector<std::size_t> tensors;
  std::optional<std::size_t> node;
};

class Gathering {
 public:
  Gathering(const ops::Executor& executor, const sim::Program& program, const lower::Orders& orders,
            std::size_t samples)
      : executor_(executor),
        program_(program),
        references_(executor.graph(), program, orders),
        sums_(samples),
        books_(static_cast<std::size_t>(thread_count())) {
    for (std::size_t t : program.inputs())
      if (references_.value_of(t) != kNone) rows_.push_back({t, {t}, std::nullopt});
    for (std::size_t n = 0; n < program.node_count(); ++n) {
      Row row;
      row.node = n;
      for (std::size_t t : program.node_outputs(n))
        if (references_.value_of(t) != kNone) row.tensors.push_back(t);
      if (row.tensors.empty()) continue;
      row.tensor = row.tensors.front();
      rows_.push_back(std::move(row));
    }
  }

  const std::vector<Row>& rows() const { return rows_; }
  const std::vector<SampleSums>& sums() const { return sums_; }

  void visit(const measure::MeasuredSample& sample) {
    SampleSums& sums = sums_[static_cast<std::size_t>(sample.index)];
    auto& books = books_.at(static_cast<std::size_t>(worker_index()));
    books.resize(program_.tensor_count());
    sums.clipping.resize(program_.tensor_count());
    sums.close.resize(program_.tensor_count());
    for (const Row& row : rows_)
      for (std::size_t t : row.tensors) {
        look_at(t, sample.expected[t], books[t], sums.clipping[t]);
        sums.close[t] = is_close(t, sample.expected[t]);
      }
    continue_in_float(sample, sums);
  }

  /// What a row changes at the outputs; `without_mean`: as far as no bias makes up for it.
  measure::Noise at_output(std::size_t row, bool without_mean) const {
    return total_of(&SampleSums::change, row, without_mean);
  }
  /// The noise of the outputs behind a row, likewise.
  measure::Noise noise_behind(std::size_t row, bool without_mean) const {
    return total_of(&SampleSums::noise, row, without_mean);
  }

  measure::Noise total_of(std::vector<OutputError> SampleSums::*errors, std::size_t row,
                          bool without_mean) const {
    measure::Noise effect;
    std::vector<double> means;
    for (const SampleSums& s : sums_) {
      const OutputError& error = (s.*errors)[row];
      effect.noise += error.squares;
      effect.signal += s.output_signal;
      means.resize(error.channel_sums.size(), 0);
      for (std::size_t c = 0; c < means.size(); ++c) means[c] += error.channel_sums[c];
    }
    if (!without_mean) return effect;
    std::size_t c = 0;
    for (ValueId v : executor_.graph().outputs()) {
      const Shape& shape = *executor_.graph().value(v).shape;
      const OutputChannels channels = output_channels(shape);
      const double each = static_cast<double>(element_count(shape)) /
                          static_cast<double>(channels.count) * static_cast<double>(sums_.size());
      for (std::size_t i = 0; i < channels.count && c < means.size(); ++i, ++c)
        effect.noise -= means[c] * means[c] / each;
    }
    effect.noise = std::max(effect.noise, 0.0);
    return effect;
  }

  ValueBooks books_of(std::size_t tensor) const {
    ValueBooks total;
    for (const auto& books : books_)
      if (!books.empty()) total.add(books[tensor]);
    return total;
  }

  StoredChannels channels_of(std::size_t tensor) const {
    return stored_channels(references_.order_of(tensor), program_.desc(tensor).shape);
  }

  /// Scores of classes: an output, or what a Softmax reads, of one position.
  bool is_scores(std::size_t tensor) const {
    const Graph& graph = executor_.graph();
    const ValueId v = references_.value_of(tensor);
    const StoredChannels channels = channels_of(tensor);
    const DType dtype = program_.desc(tensor).dtype;
    if (dtype == DType::Float32 || channels.count < 2 ||
        element_count(program_.desc(tensor).shape) != channels.count)
      return false;
    const Value& value = graph.value(v);
    // Probabilities say less than the scores that they are made of.
    if (value.producer != kNone && graph.node(value.producer).op == "Softmax") return false;
    return graph.is_output(v) ||
           std::any_of(value.consumers.begin(), value.consumers.end(), [&](NodeId n) {
             const std::string& op = graph.node(n).op;
             return op == "Softmax" || op == "LogSoftmax" || op == "ArgMax";
           });
  }

 private:
  double step_of(std::size_t tensor) const {
    return std::ldexp(1.0, program_.desc(tensor).exponent());
  }

  void look_at(std::size_t t, const std::vector<float>& values, ValueBooks& books,
               measure::Noise& clipping) const {
    if (values.empty()) return;
    const sim::TensorDesc& desc = program_.desc(t);
    const double step = step_of(t);
    const double range = desc.dtype == DType::Float32
                             ? std::numeric_limits<float>::infinity()
                             : std::ldexp(1.0, static_cast<int>(8 * size_of(desc.dtype)) - 1);
    const auto low = static_cast<float>(-range * step);
    const auto high = static_cast<float>((range - 1) * step);
    const auto margin = static_cast<float>(step);
    ValueBooks mine;
    const auto [min, max] = std::minmax_element(values.begin(), values.end());
    mine.extent.min = *min;
    mine.extent.max = *max;
    mine.values = static_cast<std::int64_t>(values.size());
    mine.zeros = std::count(values.begin(), values.end(), 0.0F);
    mine.magnitudes.add(values, mine.extent);
    double noise = 0, signal = 0;
    for (float v : values) {
      if (!std::isfinite(v)) continue;
      signal += static_cast<double>(v) * v;
      const float beyond = v > high ? v - high : v < low ? low - v : 0.0F;
      if (beyond <= margin) continue;
      ++mine.clipped;
      noise += static_cast<double>(beyond) * beyond;
    }
    clipping = {noise, signal};
    find_living(t, values, mine.alive);
    books.add(mine);
  }

  void find_living(std::size_t t, const std::vector<float>& values,
                   std::vector<bool>& alive) const {
    const StoredChannels channels = channels_of(t);
    alive.assign(static_cast<std::size_t>(channels.count), false);
    if (channels.count == 0) return;
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i] != 0)
        alive[i / static_cast<std::size_t>(channels.inner) %
              static_cast<std::size_t>(channels.count)] = true;
  }

  // Equal scores in float are no matter of precision.
  bool is_close(std::size_t t, const std::vector<float>& values) const {
    if (!is_scores(t)) return false;
    float best = values[0], second = values[1];
    if (best < second) std::swap(best, second);
    for (std::size_t i = 2; i < values.size(); ++i) {
      if (values[i] > best)
        second = std::exchange(best, values[i]);
      else
        second = std::max(second, values[i]);
    }
    return best > second && static_cast<double>(best) - second < step_of(t);
  }

  /// Puts the chip's tensors in place of the float network's, row after row, and sees what each one
  /// changes at the outputs when the rest goes on in float.
  void continue_in_float(const measure::MeasuredSample& sample, SampleSums& sums) const {
    const Graph& graph = executor_.graph();
    sums.change.resize(rows_.size());
    sums.noise.resize(rows_.size());
    sums.inputs.resize(rows_.size());
    const std::vector<Tensor> expected = measure::compared_values(graph, sample.outputs);
    std::vector<Tensor> before = expected;
    for (const Tensor& t : before)
      for (float v : t.data<float>()) sums.output_signal += static_cast<double>(v) * v;
    std::vector<float> values;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      std::vector<Tensor> after;
      for (std::size_t t : rows_[r].tensors) {
        values.resize(sample.expected[t].size());
        measure::load(sample.frame.bytes(t).data(), program_.desc(t), values);
        if (!rows_[r].node) sums.inputs[r].add(values, sample.expected[t]);
        after = rerun(t, values, sample.workspace);
      }
      after = measure::compared_values(graph, after);
      for (std::size_t o = 0; o < after.size(); ++o) {
        sums.change[r].add(after[o], before[o]);
        sums.noise[r].add(after[o], expected[o]);
      }
      before = std::move(after);
    }
  }

  std::vector<Tensor> rerun(std::size_t tensor, std::span<const float> values,
                            ops::Executor::Workspace& workspace) const {
    const ValueId v = references_.value_of(tensor);
    const Shape& shape = *executor_.graph().value(v).shape;
    const lower::Order& order = references_.order_of(tensor);
    const bool channels_last = order.is_channels_last(shape);
    if (channels_last || order.is_natural())
      return executor_.rerun({v, values, shape, channels_last}, workspace);
    const Tensor plain = order.network(values, shape);
    return executor_.rerun({v, plain.data<float>(), shape, false}, workspace);
  }

  const ops::Executor& executor_;
  const sim::Program& program_;
  measure::FloatReferences references_;
  std::vector<Row> rows_;
  std::vector<SampleSums> sums_;
  /// By worker, then by tensor.
  std::vector<std::vector<ValueBooks>> books_;
};

LayerFacts facts_of(const Gathering& gathered, const sim::Program& program, std::size_t r,
                    const measure::NoiseReport& noise, bool means_matched) {
  const Row& row = gathered.rows()[r];
  const sim::TensorDesc& desc = program.desc(row.tensor);
  LayerFacts facts;
  facts.tensor = program.tensor_name(row.tensor);
  facts.node = row.node ? program.model().nodes[*row.node].name : facts.tensor;
  facts.op = row.node ? program.model().nodes[*row.node].op : std::string(kInput);
  facts.bits = static_cast<int>(8 * size_of(desc.dtype));
  facts.exponent = desc.exponent();
  if (row.node) {
    facts.accumulated = noise.layers[*row.node].accumulated;
    facts.alone = noise.layers[*row.node].alone;
  }
  facts.at_output = gathered.at_output(r, means_matched);
  facts.noise_behind = gathered.noise_behind(r, means_matched);
  const bool scores = gathered.is_scores(row.tensor);
  for (const SampleSums& s : gathered.sums()) {
    facts.clipping.add(s.clipping[row.tensor]);
    if (!row.node) facts.accumulated.add(s.inputs[r]);
    facts.close_decisions += s.close[row.tensor] ? 1 : 0;
    facts.decisions += scores ? 1 : 0;
  }
  if (!row.node) facts.alone = facts.accumulated;
  const ValueBooks books = gathered.books_of(row.tensor);
  facts.min = books.extent.min;
  facts.max = books.extent.max;
  facts.typical = books.magnitudes.quantile(kTypicalShare);
  facts.values = books.values;
  facts.zeros = books.zeros;
  facts.clipped = books.clipped;
  facts.channels = static_cast<std::int64_t>(books.alive.size());
  facts.dead_channels = std::count(books.alive.begin(), books.alive.end(), false);
  return facts;
}

// The layer with weights that makes `v`, seen through the activation that is part of it.
const Node* weighted_layer(const Graph& graph, ValueId v) {
  NodeId id = graph.value(v).producer;
  if (id == kNone) return nullptr;
  if (!quant::is_weighted(graph, graph.node(id))) {
    const ValueId before = graph.node(id).input(0);
    if (before == kNone || graph.value(before).producer == kNone) return nullptr;
    const NodeId producer = graph.value(before).producer;
    if (quant::following_activation(graph, producer) != id) return nullptr;
    id = producer;
  }
  return quant::is_weighted(graph, graph.node(id)) ? &graph.node(id) : nullptr;
}

void add_saturation(std::vector<AnalyzedLayer>& layers, const sim::Program& program,
                    const Graph& network, const calib::SampleSource& source,
                    std::span<const std::int64_t> samples) {
  if (program.target().family != Family::S3) return;
  const auto few =
      strategy::evenly_spread(static_cast<std::int64_t>(samples.size()), kSaturationSamples);
  const calib::SampleSource chosen{
      static_cast<std::int64_t>(few.size()), [&](std::int64_t i) {
        return source.sample(samples[static_cast<std::size_t>(few[static_cast<std::size_t>(i)])]);
      }};
  const measure::SaturationReport report =
      measure::measure_saturation(program, network, nullptr, chosen);
  for (const measure::LayerSaturation& found : report.layers)
    for (AnalyzedLayer& layer : layers)
      if (layer.facts.tensor == found.tensor && layer.facts.node == found.node)
        layer.facts.saturation = found;
}

double channel_noise(std::span<const float> weights, int exponent) {
  double squares = 0;
  for (float w : weights) squares += static_cast<double>(w) * w;
  if (squares == 0) return 0;
  const double uniform = std::ldexp(1.0, 2 * exponent) / 12 * static_cast<double>(weights.size());
  return std::min(1.0, uniform / squares);
}

std::vector<double> filter_maxima(const quant::WeightRows& rows) {
  std::vector<double> maxima(static_cast<std::size_t>(rows.rows), 0);
  for (std::int64_t c = 0; c < rows.rows; ++c)
    for (float w : rows.row(c))
      maxima[static_cast<std::size_t>(c)] =
          std::max(maxima[static_cast<std::size_t>(c)], std::abs(static_cast<double>(w)));
  return maxima;
}

double mean_noise(const quant::WeightRows& rows, std::span<const int> exponents) {
  const std::vector<double> maxima = filter_maxima(rows);
  const double largest = *std::max_element(maxima.begin(), maxima.end());
  double sum = 0;
  std::int64_t living = 0;
  for (std::size_t c = 0; c < maxima.size(); ++c) {
    if (maxima[c] <= kDeadFilter * largest) continue;
    sum += channel_noise(rows.row(static_cast<std::int64_t>(c)),
                         exponents[exponents.size() > 1 ? c : 0]);
    ++living;
  }
  return living > 0 ? sum / static_cast<double>(living) : 0;
}

}  // namespace

WeightFacts weight_facts(const Graph& scaled, const Graph& quantized, const Node& layer,
                         const Target& target) {
  WeightFacts facts;
  const quant::WeightRows rows = quant::weight_rows(scaled, layer);
  const TensorQuant& stored = *quantized.value(layer.inputs[1]).quant;
  const int bits = quant::activation_bits(quantized, layer);
  const int in = quantized.value(layer.inputs[0]).quant_at(bits)->exponent();
  facts.channels = rows.rows;
  if (rows.rows == 0) return facts;
  facts.per_channel = stored.per_channel();
  const std::vector<double> maxima = filter_maxima(rows);
  const double largest = *std::max_element(maxima.begin(), maxima.end());
  double smallest = largest;
  for (double max : maxima)
    if (max > kDeadFilter * largest) smallest = std::min(smallest, max);
  if (smallest > 0) facts.spread = largest / smallest;
  const std::vector<int> best =
      quant::best_weight_exponents(rows, 1.0F, stored.max_q(), stored.per_channel()).exponents;
  facts.noise = mean_noise(rows, stored.exponents);
  facts.noise_without_bias = std::min(facts.noise, mean_noise(rows, best));
  if (layer.input(2) == kNone) return facts;
  const auto bias = scaled.value(layer.inputs[2]).constant.data<float>();
  const double limit = std::ldexp(1.0, std::min(target.bias_bits(bits), 62) - 1) - 1;
  for (std::size_t c = 0; c < bias.size(); ++c) {
    const int exponent = in + best[best.size() > 1 && c < best.size() ? c : 0];
    const double needed = std::ldexp(std::abs(static_cast<double>(bias[c])), -exponent);
    if (needed > limit)
      facts.excess_bias_bits =
          std::max(facts.excess_bias_bits, static_cast<int>(std::ceil(std::log2(needed / limit))));
  }
  return facts;
}

Analysis analyze(const strategy::QuantizedModel& made, const Target& target,
                 const calib::SampleSource& source, std::span<const std::int64_t> samples) {
  const sim::Program program(made.model, target);
  const lower::Orders orders = lower::lower(made.quantized, target).orders;
  const ops::Executor executor(made.scaled, {.keep_all = true});
  Gathering gathering(executor, program, orders, samples.size());
  const measure::NoiseReport noise = measure::measure_noise(
      executor, program, orders, source, samples,
      [&](const measure::MeasuredSample& sample) { gathering.visit(sample); });
  const bool means_matched =
      made.recipe.quantization.bias_correction == recipe::BiasCorrection::Empirical;
  Analysis analysis;
  analysis.output = noise.output;
  analysis.samples = noise.samples;
  for (std::size_t r = 0; r < gathering.rows().size(); ++r) {
    AnalyzedLayer layer;
    layer.facts = facts_of(gathering, program, r, noise, means_matched);
    const ValueId v = made.scaled.find_value(layer.facts.tensor);
    if (const Node* weighted = weighted_layer(made.scaled, v)) {
      layer.facts.weights = weight_facts(made.scaled, made.quantized, *weighted, target);
      layer.facts.weight_bits = made.quantized.value(weighted->inputs[1]).quant->bits;
    }
    analysis.layers.push_back(std::move(layer));
  }
  double all_at_output = 0;
  for (const AnalyzedLayer& layer : analysis.layers) all_at_output += layer.facts.at_output.noise;
  if (all_at_output > 0)
    for (AnalyzedLayer& layer : analysis.layers)
      layer.facts.share_at_output = layer.facts.at_output.noise / all_at_output;
  add_saturation(analysis.layers, program, made.scaled, source, samples);
  for (AnalyzedLayer& layer : analysis.layers)
    layer.diagnosis = diagnose(layer.facts, made.recipe, target);
  return analysis;
}

}  // namespace espquant::analysis
