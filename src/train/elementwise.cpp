#include <algorithm>
#include <limits>
#include <optional>

#include "ops/broadcast.h"
#include "train/kernel.h"

/// Add, Sub, Mul of broadcast operands; Relu and Clip.
namespace espquant::train {
namespace {

/// Of element i of the output, in the order of storage, the operand's.
class OperandPlaces {
 public:
  OperandPlaces(const Layout& in, const Layout& out, bool is_constant) : repeats_(is_constant) {
    elements_ = in.elements();
    if (in.shape == out.shape && in.channels_last == out.channels_last) return;
    Tensor numbers(DType::Int64, in.shape), spread(DType::Int64, out.shape);
    const std::vector<std::int64_t> position = in.position_of_element();
    std::copy(position.begin(), position.end(), numbers.mutable_data<std::int64_t>().begin());
    ops::broadcast_copy(numbers, spread);
    for (std::int64_t element : out.element_of_position())
      places_.push_back(static_cast<std::int32_t>(
          spread.data<std::int64_t>()[static_cast<std::size_t>(element)]));
  }

  /// Of the elements of sample `s`.
  template <typename T>
  T* sample(T* data, std::int64_t s) const {
    return repeats_ || data == nullptr ? data : data + s * elements_;
  }
  bool is_same() const { return places_.empty(); }
  std::size_t operator[](std::size_t i) const {
    return places_.empty() ? i : static_cast<std::size_t>(places_[i]);
  }

 private:
  bool repeats_;
  std::int64_t elements_ = 0;
  std::vector<std::int32_t> places_;
};

enum class Arithmetic : std::uint8_t { Add, Sub, Mul };

class ArithmeticKernel final : public Kernel {
 public:
  ArithmeticKernel(const NodeProblem& p, Arithmetic operation)
      : operation_(operation),
        samples_(p.samples),
        elements_(static_cast<std::size_t>(p.outputs[0].elements())),
        a_(p.inputs[0], p.outputs[0], p.is_constant[0]),
        b_(p.inputs[1], p.outputs[0], p.is_constant[1]) {}

  void forward(const Pass& pass) const override {
    for (std::int64_t s = 0; s < samples_; ++s) {
      const float* a = a_.sample(pass.inputs[0], s);
      const float* b = b_.sample(pass.inputs[1], s);
      float* y = pass.outputs[0] + s * static_cast<std::int64_t>(elements_);
      const auto each = [&](auto f) {
        if (a_.is_same() && b_.is_same())
          for (std::size_t i = 0; i < elements_; ++i) y[i] = f(a[i], b[i]);
        else
          for (std::size_t i = 0; i < elements_; ++i) y[i] = f(a[a_[i]], b[b_[i]]);
      };
      if (operation_ == Arithmetic::Add) each([](float u, float v) { return u + v; });
      if (operation_ == Arithmetic::Sub) each([](float u, float v) { return u - v; });
      if (operation_ == Arithmetic::Mul) each([](float u, float v) { return u * v; });
    }
  }

  void backward(const Pass& pass) const override {
    for (std::int64_t s = 0; s < samples_; ++s) {
      const float* dy = pass.output_gradients[0] + s * static_cast<std::int64_t>(elements_);
      const float* a = a_.sample(pass.inputs[0], s);
      const float* b = b_.sample(pass.inputs[1], s);
      if (float* da = a_.sample(pass.input_gradients[0], s))
        for (std::size_t i = 0; i < elements_; ++i)
          da[a_[i]] += operation_ == Arithmetic::Mul ? dy[i] * b[b_[i]] : dy[i];
      if (float* db = b_.sample(pass.input_gradients[1], s))
        for (std::size_t i = 0; i < elements_; ++i)
          db[b_[i]] += operation_ == Arithmetic::Mul   ? dy[i] * a[a_[i]]
                       : operation_ == Arithmetic::Sub ? -dy[i]
                                                       : dy[i];
    }
  }

 private:
  Arithmetic operation_;
  std::int64_t samples_;
  std::size_t elements_;
  OperandPlaces a_, b_;
};

class ClampKernel final : public Kernel {
 public:
  ClampKernel(std::int64_t elements, float low, float high, bool writes)
      : elements_(elements), low_(low), high_(high), writes_(writes) {}

  bool overwrites(std::size_t i) const override { return i == 0 && writes_; }

  void forward(const Pass& pass) const override {
    const float* x = pass.inputs[0];
    float* y = pass.outputs[0];
    const float low = low_, high = high_;
    for (std::int64_t i = 0; i < elements_; ++i) y[i] = std::min(std::max(x[i], low), high);
  }
  // Without a branch, and everything read whether it is needed or not: so it becomes vector code.
  void backward(const Pass& pass) const override {
    float* dx = pass.input_gradients[0];
    if (dx == nullptr) return;
    const float* x = pass.inputs[0];
    const float* dy = pass.output_gradients[0];
    const float low = low_, high = high_;
    const auto back = [&](std::int64_t i) {
      const float all = dy[i];
      const bool passes = (x[i] > low) & (x[i] < high);
      return passes ? all : 0.0F;
    };
    if (writes_)
      for (std::int64_t i = 0; i < elements_; ++i) dx[i] = back(i);
    else
      for (std::int64_t i = 0; i < elements_; ++i) dx[i] += back(i);
  }

 private:
  std::int64_t elements_;
  float low_, high_;
  bool writes_;
};

}  // namespace

std::unique_ptr<Kernel> make_elementwise(const NodeProblem& p) {
  const std::string& op = p.node.op;
  if (op == "Add") return std::make_unique<ArithmeticKernel>(p, Arithmetic::Add);
  if (op == "Sub") return std::make_unique<ArithmeticKernel>(p, Arithmetic::Sub);
  if (op == "Mul") return std::make_unique<ArithmeticKernel>(p, Arithmetic::Mul);
  constexpr float kMost = std::numeric_limits<float>::max();
  const std::int64_t elements = p.samples * p.outputs[0].elements();
  const bool writes = p.wanted[0] && p.alone[0];
  if (op == "Relu") return std::make_unique<ClampKernel>(elements, 0.0F, kMost, writes);
  if (op != "Clip") return nullptr;
  float bounds[] = {-kMost, kMost};
  for (std::size_t i = 1; i < 3; ++i) {
    if (p.node.input(i) == kNone) continue;
    if (p.constant(i) == nullptr || p.wanted[i]) return nullptr;
    bounds[i - 1] = p.constant(i)->data<float>()[0];
  }
  return std::make_unique<ClampKernel>(elements, bounds[0], bounds[1], writes);
}

}  // namespace espquant::train
