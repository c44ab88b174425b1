#include <algorithm>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "ops/dnnl_primitives.h"
#include "ops/window.h"
#include "train/kernel.h"

/// Conv forwards, and backwards to its input and its weights, by oneDNN on channels-last memory.
namespace espquant::train {
namespace {

using dnnl::memory;
constexpr auto kF32 = memory::data_type::f32;

memory::dims two_axes(Shape dims) {
  if (dims.size() == 3) dims.insert(dims.begin() + 2, 1);
  return dims;
}

class ConvolutionKernel final : public Kernel {
 public:
  explicit ConvolutionKernel(const NodeProblem& p)
      : wants_input_(p.wanted[0]),
        wants_weights_(p.wanted[1]),
        wants_bias_(p.inputs.size() > 2 && p.wanted[2]),
        has_bias_(p.node.input(2) != kNone),
        writes_input_(p.wanted[0] && p.alone[0]) {
    const Shape& weights = p.inputs[1].shape;
    const std::int64_t groups = p.node.attributes.get_int("group", 1);
    Shape x = p.inputs[0].shape, y = p.outputs[0].shape;
    x[0] *= p.samples;
    y[0] *= p.samples;
    channels_ = y[1];
    pixels_ = element_count(y) / channels_;
    input_ = memory::desc(two_axes(x), kF32, memory::format_tag::nhwc);
    output_ = memory::desc(two_axes(y), kF32, memory::format_tag::nhwc);
    memory::dims w = two_axes(weights);
    if (groups > 1) {
      w[0] /= groups;
      w.insert(w.begin(), groups);
    }
    memory::dims steps(w.size());
    for (std::size_t d = w.size(), step = 1; d-- > 0;) {
      steps[d] = static_cast<std::int64_t>(step);
      step *= static_cast<std::size_t>(w[d]);
    }
    given_ = memory::desc(w, kF32, steps);
    const memory::desc any(w, kF32, memory::format_tag::any);
    const memory::desc bias({channels_}, kF32, memory::format_tag::a);
    const ops::Window window = ops::make_window(p.node.attributes, p.inputs[0].shape,
                                                {weights.begin() + 2, weights.end()}, false);
    memory::dims strides, dilations, begin, end;
    for (const ops::WindowAxis& axis : {window[1], window[2]}) {
      strides.push_back(axis.stride);
      dilations.push_back(axis.dilation - 1);
      begin.push_back(axis.pad_begin);
      end.push_back(axis.pad_end);
    }
    const auto attributes = ops::exec::user_scratchpad();
    const auto& engine = ops::exec::cpu_engine();
    const auto algorithm = dnnl::algorithm::convolution_direct;
    using Forward = dnnl::convolution_forward;
    const Forward::primitive_desc forward(
        has_bias_ ? Forward::desc(dnnl::prop_kind::forward_training, algorithm, input_, any, bias,
                                  output_, strides, dilations, begin, end)
                  : Forward::desc(dnnl::prop_kind::forward_training, algorithm, input_, any,
                                  output_, strides, dilations, begin, end),
        attributes, engine);
    forward_ = Forward(forward);
    forward_weights_ = forward.weights_desc();
    scratch_ = forward.scratchpad_desc().get_size();
    to_forward_ = dnnl::reorder({engine, given_, engine, forward_weights_});
    if (wants_input_) {
      using Data = dnnl::convolution_backward_data;
      const Data::primitive_desc data(
          Data::desc(algorithm, input_, any, output_, strides, dilations, begin, end), attributes,
          engine, forward);
      backward_data_ = Data(data);
      data_weights_ = data.weights_desc();
      to_data_ = dnnl::reorder({engine, given_, engine, data_weights_});
      scratch_ = std::max(scratch_, data.scratchpad_desc().get_size());
    }
    if (wants_weights_) {
      using Weights = dnnl::convolution_backward_weights;
      const Weights::primitive_desc back(
          wants_bias_
              ? Weights::desc(algorithm, input_, any, bias, output_, strides, dilations, begin, end)
              : Weights::desc(algorithm, input_, any, output_, strides, dilations, begin, end),
          attributes, engine, forward);
      backward_weights_ = Weights(back);
      weights_gradient_ = back.diff_weights_desc();
      from_gradient_ = dnnl::reorder({engine, weights_gradient_, engine, given_});
      scratch_ = std::max(scratch_, back.scratchpad_desc().get_size());
    }
  }

  std::size_t prepared_floats() const override {
    return floats_of(forward_weights_) + (wants_input_ ? floats_of(data_weights_) : 0);
  }
  void prepare(std::span<const float* const> inputs, float* into) const override {
    reorder(to_forward_, given_, inputs[1], forward_weights_, into);
    if (wants_input_)
      reorder(to_data_, given_, inputs[1], data_weights_, into + floats_of(forward_weights_));
  }
  /// oneDNN's own, and room for gradients before they are added.
  std::size_t scratch_bytes() const override {
    std::size_t bytes = padded(scratch_);
    if (wants_input_ && !writes_input_) bytes += padded(input_.get_size());
    if (wants_weights_)
      bytes += padded(weights_gradient_.get_size()) + padded(given_.get_size()) +
               padded(static_cast<std::size_t>(channels_) * sizeof(float));
    return bytes;
  }

  bool overwrites(std::size_t i) const override { return i == 0 && writes_input_; }

  void forward(const Pass& pass) const override {
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, view(input_, pass.inputs[0])},
        {DNNL_ARG_WEIGHTS, view(forward_weights_, pass.prepared)},
        {DNNL_ARG_DST, view(output_, pass.outputs[0])},
        {DNNL_ARG_SCRATCHPAD, scratchpad(pass)}};
    if (has_bias_)
      arguments.emplace(DNNL_ARG_BIAS,
                        view({{channels_}, kF32, memory::format_tag::a}, pass.inputs[2]));
    forward_.execute(stream(), arguments);
  }

  void backward(const Pass& pass) const override {
    const float* dy = pass.output_gradients[0];
    std::byte* rest = pass.scratch + padded(scratch_);
    if (wants_input_) {
      float* dx = pass.input_gradients[0];
      if (!writes_input_) {
        dx = reinterpret_cast<float*>(rest);
        rest += padded(input_.get_size());
      }
      backward_data_.execute(
          stream(),
          {{DNNL_ARG_DIFF_DST, view(output_, dy)},
           {DNNL_ARG_WEIGHTS, view(data_weights_, pass.prepared + floats_of(forward_weights_))},
           {DNNL_ARG_DIFF_SRC, view(input_, dx)},
           {DNNL_ARG_SCRATCHPAD, scratchpad(pass)}});
      if (!writes_input_) add(dx, floats_of(input_), pass.input_gradients[0]);
    }
    if (wants_weights_) {
      auto* dw = reinterpret_cast<float*>(rest);
      auto* given = reinterpret_cast<float*>(rest + padded(weights_gradient_.get_size()));
      auto* db =
          reinterpret_cast<float*>(reinterpret_cast<std::byte*>(given) + padded(given_.get_size()));
      std::unordered_map<int, memory> arguments{
          {DNNL_ARG_SRC, view(input_, pass.inputs[0])},
          {DNNL_ARG_DIFF_DST, view(output_, dy)},
          {DNNL_ARG_DIFF_WEIGHTS, view(weights_gradient_, dw)},
          {DNNL_ARG_SCRATCHPAD, scratchpad(pass)}};
      if (wants_bias_)
        arguments.emplace(DNNL_ARG_DIFF_BIAS, view({{channels_}, kF32, memory::format_tag::a}, db));
      backward_weights_.execute(stream(), arguments);
      reorder(from_gradient_, weights_gradient_, dw, given_, given);
      add(given, floats_of(given_), pass.input_gradients[1]);
      if (wants_bias_) add(db, static_cast<std::size_t>(channels_), pass.input_gradients[2]);
    } else if (wants_bias_) {
      float* db = pass.input_gradients[2];
      const std::int64_t channels = channels_;
      for (std::int64_t p = 0; p < pixels_; ++p)
        for (std::int64_t c = 0; c < channels; ++c) db[c] += dy[p * channels + c];
    }
  }

 private:
  static std::size_t padded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }
  static std::size_t floats_of(const memory::desc& desc) { return desc.get_size() / sizeof(float); }
  static memory view(const memory::desc& desc, const void* data) {
    return {desc, ops::exec::cpu_engine(), const_cast<void*>(data)};
  }
  static dnnl::stream& stream() {
    thread_local dnnl::stream made(ops::exec::cpu_engine());
    return made;
  }
  memory scratchpad(const Pass& pass) const {
    return view(
        {{static_cast<std::int64_t>(scratch_)}, memory::data_type::u8, memory::format_tag::a},
        pass.scratch);
  }
  static void reorder(const dnnl::reorder& by, const memory::desc& from, const float* source,
                      const memory::desc& to, float* into) {
    memory in = view(from, source), out = view(to, into);
    by.execute(stream(), in, out);
  }
  static void add(const float* from, std::size_t count, float* to) {
    for (std::size_t i = 0; i < count; ++i) to[i] += from[i];
  }

  bool wants_input_, wants_weights_, wants_bias_, has_bias_, writes_input_;
  std::int64_t channels_ = 0, pixels_ = 0;
  memory::desc input_, output_, given_, forward_weights_, data_weights_, weights_gradient_;
  dnnl::convolution_forward forward_;
  dnnl::convolution_backward_data backward_data_;
  dnnl::convolution_backward_weights backward_weights_;
  dnnl::reorder to_forward_, to_data_, from_gradient_;
  std::size_t scratch_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_convolution(const NodeProblem& p) {
  const bool fits = p.node.op == "Conv" && p.inputs[0].channels_last &&
                    p.outputs[0].channels_last && p.is_constant[1] && !p.is_constant[0] &&
                    (p.node.input(2) == kNone || p.is_constant[2]);
  if (!fits) return nullptr;
  const Shape& w = p.inputs[1].shape;
  for (const ops::WindowAxis& axis :
       ops::make_window(p.node.attributes, p.inputs[0].shape, {w.begin() + 2, w.end()}, false))
    if (axis.pad_begin < 0 || axis.pad_end < 0) return nullptr;
  try {
    const ops::exec::SingleThreaded alone;
    return std::make_unique<ConvolutionKernel>(p);
  } catch (const dnnl::error&) {
    return nullptr;  // a shape that oneDNN declines
  }
}

}  // namespace espquant::train
