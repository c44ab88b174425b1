#include <algorithm>
#include <set>

#include "ops/gradient.h"
#include "train/kernel.h"

/// What every operator has: its reference kernels, and for those that only move data a list of
/// where each element comes from.
namespace espquant::train {
namespace {

bool only_moves(const Node& n) {
  static const std::set<std::string_view> kMoving{
      "Concat",  "DepthToSpace", "Expand",    "Flatten",  "Gather",  "Identity",
      "Pad",     "Reshape",      "Slice",     "Split",    "Squeeze", "Tile",
      "Dropout", "SpaceToDepth", "Transpose", "Unsqueeze"};
  return kMoving.contains(n.op);
}

class MovementKernel final : public Kernel {
 public:
  explicit MovementKernel(const NodeProblem& p) : samples_(p.samples) {
    std::vector<Tensor> given(p.node.inputs.size());
    std::vector<const Tensor*> pointers;
    for (std::size_t i = 0; i < given.size(); ++i) {
      const bool missing = p.node.inputs[i] == kNone;
      if (!missing) {
        given[i] = p.is_constant[i] ? *p.constant(i) : Tensor(DType::Float32, p.inputs[i].shape);
        elements_.push_back(p.is_constant[i] ? 0 : p.inputs[i].elements());
      } else {
        elements_.push_back(0);
      }
      pointers.push_back(missing ? nullptr : &given[i]);
    }
    const ops::Origins origins = ops::origins_of(p.node, p.graph.opset, pointers);
    // What the node fills in itself is what it makes of zeros.
    Graph opset_only;
    opset_only.opset = p.graph.opset;
    const std::vector<Tensor> of_zeros = ops::run_node(opset_only, p.node, pointers);
    std::vector<std::vector<std::int64_t>> position;
    for (const Layout& in : p.inputs) position.push_back(in.position_of_element());
    for (std::size_t o = 0; o < p.outputs.size(); ++o) {
      Output& output = outputs_.emplace_back();
      for (std::int64_t element : p.outputs[o].element_of_position()) {
        const std::int64_t number = origins.numbers[o][static_cast<std::size_t>(element)];
        if (number == 0) {
          output.input.push_back(-1);
          output.place.push_back(0);
          output.filled.push_back(of_zeros[o].data<float>()[static_cast<std::size_t>(element)]);
          continue;
        }
        const auto place = origins.place_of(number);
        output.input.push_back(static_cast<std::int32_t>(place.input));
        output.place.push_back(static_cast<std::int32_t>(
            position[place.input][static_cast<std::size_t>(place.element)]));
        output.filled.push_back(0);
      }
    }
  }

  void forward(const Pass& pass) const override {
    for (std::size_t o = 0; o < outputs_.size(); ++o) {
      const Output& output = outputs_[o];
      float* y = pass.outputs[o];
      for (std::int64_t s = 0; s < samples_; ++s)
        for (std::size_t i = 0; i < output.input.size(); ++i, ++y) {
          const std::int32_t input = output.input[i];
          *y = input < 0
                   ? output.filled[i]
                   : pass.inputs[static_cast<std::size_t>(input)]
                                [s * elements_[static_cast<std::size_t>(input)] + output.place[i]];
        }
    }
  }
  void backward(const Pass& pass) const override {
    for (std::size_t o = 0; o < outputs_.size(); ++o) {
      const Output& output = outputs_[o];
      const float* dy = pass.output_gradients[o];
      if (dy == nullptr) continue;
      for (std::int64_t s = 0; s < samples_; ++s)
        for (std::size_t i = 0; i < output.input.size(); ++i, ++dy) {
          if (output.input[i] < 0) continue;
          const auto input = static_cast<std::size_t>(output.input[i]);
          if (float* dx = pass.input_gradients[input])
            dx[s * elements_[input] + output.place[i]] += *dy;
        }
    }
  }

 private:
  struct Output {
    std::vector<std::int32_t> input, place;
    std::vector<float> filled;
  };
  std::int64_t samples_;
  /// Per sample, of each input; 0 for constants.
  std::vector<std::int64_t> elements_;
  std::vector<Output> outputs_;
};

class ReferenceKernel final : public Kernel {
 public:
  explicit ReferenceKernel(const NodeProblem& p)
      : node_(p.node),
        samples_(p.samples),
        inputs_(p.inputs),
        outputs_(p.outputs),
        is_constant_(p.is_constant),
        wanted_(p.wanted) {
    opset_.opset = p.graph.opset;
    for (const Layout& l : inputs_) in_order_.push_back(l.element_of_position());
    for (const Layout& l : outputs_) out_order_.push_back(l.element_of_position());
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      constants_.push_back(p.constant(i) == nullptr ? Tensor() : *p.constant(i));
  }

  void forward(const Pass& pass) const override {
    for (std::int64_t s = 0; s < samples_; ++s) {
      const std::vector<Tensor> inputs = inputs_of(pass, s);
      const std::vector<Tensor> outputs = ops::run_node(opset_, node_, pointers(inputs));
      for (std::size_t o = 0; o < outputs_.size(); ++o)
        if (pass.outputs[o] != nullptr)
          store(outputs[o], out_order_[o], pass.outputs[o] + s * outputs_[o].elements());
    }
  }

  void backward(const Pass& pass) const override {
    for (std::int64_t s = 0; s < samples_; ++s) {
      const std::vector<Tensor> inputs = inputs_of(pass, s);
      std::vector<Tensor> outputs, gradients;
      for (std::size_t o = 0; o < outputs_.size(); ++o) {
        const std::int64_t at = s * outputs_[o].elements();
        outputs.push_back(load(outputs_[o], out_order_[o], pass.outputs[o] + at));
        gradients.push_back(pass.output_gradients[o] == nullptr
                                ? Tensor()
                                : load(outputs_[o], out_order_[o], pass.output_gradients[o] + at));
      }
      const std::vector<Tensor> back =
          ops::run_gradient(opset_, node_, pointers(inputs), outputs, gradients, wanted_);
      for (std::size_t i = 0; i < back.size(); ++i) {
        if (!back[i].defined() || pass.input_gradients[i] == nullptr) continue;
        float* to = pass.input_gradients[i] + (is_constant_[i] ? 0 : s * inputs_[i].elements());
        const auto from = back[i].data<float>();
        for (std::size_t k = 0; k < from.size(); ++k)
          to[k] += from[static_cast<std::size_t>(in_order_[i][k])];
      }
    }
  }

 private:
  static Tensor load(const Layout& layout, const std::vector<std::int64_t>& order,
                     const float* from) {
    Tensor t(DType::Float32, layout.shape);
    auto to = t.mutable_data<float>();
    for (std::size_t k = 0; k < to.size(); ++k) to[static_cast<std::size_t>(order[k])] = from[k];
    return t;
  }
  static void store(const Tensor& t, const std::vector<std::int64_t>& order, float* to) {
    const auto from = t.data<float>();
    for (std::size_t k = 0; k < from.size(); ++k) to[k] = from[static_cast<std::size_t>(order[k])];
  }
  std::vector<Tensor> inputs_of(const Pass& pass, std::int64_t s) const {
    std::vector<Tensor> inputs(inputs_.size());
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (pass.inputs[i] == nullptr)
        inputs[i] = constants_[i];  // integers, or none
      else
        inputs[i] = load(inputs_[i], in_order_[i],
                         pass.inputs[i] + (is_constant_[i] ? 0 : s * inputs_[i].elements()));
    }
    return inputs;
  }
  static std::vector<const Tensor*> pointers(const std::vector<Tensor>& tensors) {
    std::vector<const Tensor*> result;
    for (const Tensor& t : tensors) result.push_back(t.defined() ? &t : nullptr);
    return result;
  }

  Node node_;
  Graph opset_;
  std::int64_t samples_;
  std::vector<Layout> inputs_, outputs_;
  std::vector<bool> is_constant_, wanted_;
  std::vector<std::vector<std::int64_t>> in_order_, out_order_;
  std::vector<Tensor> constants_;
};

}  // namespace

std::unique_ptr<Kernel> make_movement(const NodeProblem& p) {
  if (!only_moves(p.node)) return nullptr;
  for (std::size_t i = 0; i < p.inputs.size(); ++i)
    if (p.wanted[i] && p.is_constant[i]) return nullptr;
  // A constant among the data (Concat) is not at a sample's place.
  return std::make_unique<MovementKernel>(p);
}

std::unique_ptr<Kernel> make_reference(const NodeProblem& p) {
  return std::make_unique<ReferenceKernel>(p);
}

std::vector<std::int64_t> Layout::element_of_position() const {
  std::vector<std::int64_t> order(static_cast<std::size_t>(elements()));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  if (!channels_last || order.empty()) return order;
  const std::int64_t n = shape[0], channels = shape[1], area = elements() / (n * channels);
  std::size_t at = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t p = 0; p < area; ++p)
      for (std::int64_t c = 0; c < channels; ++c) order[at++] = (i * channels + c) * area + p;
  return order;
}

std::vector<std::int64_t> Layout::position_of_element() const {
  const std::vector<std::int64_t> elements = element_of_position();
  std::vector<std::int64_t> positions(elements.size());
  for (std::size_t p = 0; p < elements.size(); ++p)
    positions[static_cast<std::size_t>(elements[p])] = static_cast<std::int64_t>(p);
  return positions;
}

}  // namespace espquant::train
