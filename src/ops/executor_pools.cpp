#include <algorithm>
#include <functional>
#include <numeric>

#include "ops/executor_loops.h"
#include "ops/executor_lowering.h"
#include "ops/infer.h"

namespace espquant::ops::exec {
namespace {

class WindowPool final : public Kernel {
 public:
  WindowPool(const PoolWindow& pool, std::int64_t images) : pool_(pool), images_(images) {}

  std::function<void()> bind(const Binding& binding) const override {
    return [this, x = binding.inputs[0].data, y = binding.outputs[0].data] {
      const std::int64_t in = in_volume(pool_.window) * pool_.channels;
      const std::int64_t out = out_volume(pool_.window) * pool_.channels;
      for (std::int64_t i = 0; i < images_; ++i) pool_windows(pool_, x + i * in, y + i * out);
    };
  }

  std::string name() const override { return "window pool"; }

 private:
  PoolWindow pool_;
  std::int64_t images_;
};

class GlobalPool final : public Kernel {
 public:
  GlobalPool(bool average, std::int64_t images, std::int64_t pixels, std::int64_t channels)
      : average_(average), images_(images), pixels_(pixels), channels_(channels) {}

  std::function<void()> bind(const Binding& binding) const override {
    return [this, x = binding.inputs[0].data, y = binding.outputs[0].data,
            partial = reinterpret_cast<float*>(binding.scratch)] {
      for (std::int64_t i = 0; i < images_; ++i) {
        const float* from = x + i * pixels_ * channels_;
        float* to = y + i * channels_;
        if (average_)
          mean_of_rows(from, to, partial, pixels_, channels_);
        else
          max_of_rows(from, to, pixels_, channels_);
      }
    };
  }

  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(channels_) * sizeof(float);
  }
  std::string name() const override { return "global pool"; }

 private:
  bool average_;
  std::int64_t images_, pixels_, channels_;
};

/// The axes of a ReduceMean, sorted; by attribute before opset 18, by input since. False when they
/// are not known.
bool pooled_axes(const PlanBuilder& plan, const Node& node, std::vector<std::int64_t>& axes) {
  const auto rank = static_cast<std::int64_t>(plan.shape(node.inputs[0]).size());
  axes = node.attributes.get_ints("axes");
  if (node.input(1) != kNone) {
    const Tensor* given = plan.constant(node.input(1));
    if (given == nullptr) return false;
    axes = to_ints(*given);
  }
  axes = normalize_axes(std::move(axes), rank);
  return true;
}

bool reduces_pixels(const PlanBuilder& plan, const Node& node) {
  std::vector<std::int64_t> axes;
  if (!pooled_axes(plan, node, axes)) return false;
  std::vector<std::int64_t> pixels(plan.shape(node.inputs[0]).size() - 2);
  std::iota(pixels.begin(), pixels.end(), std::int64_t{2});
  return axes == pixels;
}

}  // namespace

bool lower_window_pool(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId x = node.input(0), y = node.outputs[0];
  const bool wants_indices = node.outputs.size() > 1 && node.outputs[1] != kNone;
  if (!plan.is_float(x) || !plan.is_float(y) || !has_channels(plan.shape(x)) || wants_indices)
    return false;
  const Shape& in = plan.shape(x);
  const auto kernel = spatial_attribute(node.attributes, "kernel_shape", in.size() - 2, 0, 1);
  PoolWindow pool;
  pool.window =
      make_window(node.attributes, in, kernel, node.attributes.get_int("ceil_mode", 0) != 0);
  pool.channels = in[1];
  pool.average = node.op == "AveragePool";
  pool.count_padding = node.attributes.get_int("count_include_pad", 0) != 0;
  Step step;
  step.node = n;
  step.inputs = {plan.require(x, Form::ChannelsLast)};
  step.outputs = {plan.define(y, Form::ChannelsLast)};
  step.kernel = std::make_shared<WindowPool>(pool, in[0]);
  plan.add_step(std::move(step));
  return true;
}

bool lower_global_pool(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId x = node.input(0), y = node.outputs[0];
  if (!plan.is_float(x) || !plan.is_float(y) || !has_channels(plan.shape(x))) return false;
  if (node.op == "ReduceMean" && !reduces_pixels(plan, node)) return false;
  const Shape& in = plan.shape(x);
  const std::int64_t pixels = element_count(in) / (in[0] * in[1]);
  Step step;
  step.node = n;
  step.inputs = {plan.require(x, Form::ChannelsLast)};
  step.outputs = {plan.define(y, has_channels(plan.shape(y)) ? Form::ChannelsLast : Form::Plain)};
  step.kernel = std::make_shared<GlobalPool>(node.op != "GlobalMaxPool", in[0], pixels, in[1]);
  plan.add_step(std::move(step));
  return true;
}

}  // namespace espquant::ops::exec
