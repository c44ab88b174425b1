#include <algorithm>

#include "ops/window.h"
#include "train/kernel.h"

/// MaxPool, AveragePool and GlobalAveragePool of channels-last images (N,H,W,C).
namespace espquant::train {
namespace {

/// One output position and the inputs that it sees, as offsets of pixels.
struct PoolPlace {
  std::vector<std::int64_t> pixels;
  float share = 0;  ///< of the mean
};

struct PoolGeometry {
  std::int64_t images = 0, channels = 0, in_pixels = 0;
  std::vector<PoolPlace> places;
};

std::optional<PoolGeometry> pool_geometry(const NodeProblem& p) {
  const Shape& x = p.inputs[0].shape;
  PoolGeometry g;
  g.images = p.samples * x[0];
  g.channels = x[1];
  g.in_pixels = element_count(x) / (x[0] * x[1]);
  if (p.node.op == "GlobalAveragePool") {
    PoolPlace& all = g.places.emplace_back();
    for (std::int64_t i = 0; i < g.in_pixels; ++i) all.pixels.push_back(i);
    all.share = 1.0F / static_cast<float>(g.in_pixels);
    return g;
  }
  const Attributes& a = p.node.attributes;
  const bool counts_pad = a.get_int("count_include_pad", 0) != 0;
  // Windows that hang over what ceil_mode adds have counts of their own.
  if (counts_pad && a.get_int("ceil_mode", 0) != 0) return std::nullopt;
  const ops::Window w =
      ops::make_window(a, x, a.get_ints("kernel_shape"), a.get_int("ceil_mode", 0) != 0);
  if (w[0].in != 1 || w[0].kernel != 1) return std::nullopt;
  for (std::int64_t y = 0; y < w[1].out; ++y)
    for (std::int64_t c = 0; c < w[2].out; ++c) {
      PoolPlace& place = g.places.emplace_back();
      const ops::Range rows = w[1].taps(y), columns = w[2].taps(c);
      for (std::int64_t i = rows.begin; i < rows.end; ++i)
        for (std::int64_t j = columns.begin; j < columns.end; ++j)
          place.pixels.push_back((w[1].origin(y) + i * w[1].dilation) * w[2].in + w[2].origin(c) +
                                 j * w[2].dilation);
      const std::int64_t count =
          counts_pad ? w[1].kernel * w[2].kernel : static_cast<std::int64_t>(place.pixels.size());
      place.share = count == 0 ? 0.0F : 1.0F / static_cast<float>(count);
    }
  return g;
}

class AverageKernel final : public Kernel {
 public:
  explicit AverageKernel(PoolGeometry g) : g_(std::move(g)) {}

  void forward(const Pass& pass) const override {
    float* y = pass.outputs[0];
    for (std::int64_t n = 0; n < g_.images; ++n)
      for (const PoolPlace& place : g_.places) {
        std::fill_n(y, g_.channels, 0.0F);
        for (std::int64_t pixel : place.pixels) {
          const float* x = pass.inputs[0] + (n * g_.in_pixels + pixel) * g_.channels;
          for (std::int64_t c = 0; c < g_.channels; ++c) y[c] += x[c];
        }
        for (std::int64_t c = 0; c < g_.channels; ++c) y[c] *= place.share;
        y += g_.channels;
      }
  }
  void backward(const Pass& pass) const override {
    if (pass.input_gradients[0] == nullptr) return;
    const float* dy = pass.output_gradients[0];
    for (std::int64_t n = 0; n < g_.images; ++n)
      for (const PoolPlace& place : g_.places) {
        for (std::int64_t pixel : place.pixels) {
          float* dx = pass.input_gradients[0] + (n * g_.in_pixels + pixel) * g_.channels;
          for (std::int64_t c = 0; c < g_.channels; ++c) dx[c] += place.share * dy[c];
        }
        dy += g_.channels;
      }
  }

 private:
  PoolGeometry g_;
};

class MaximumKernel final : public Kernel {
 public:
  explicit MaximumKernel(PoolGeometry g) : g_(std::move(g)) {}

  void forward(const Pass& pass) const override {
    float* y = pass.outputs[0];
    for (std::int64_t n = 0; n < g_.images; ++n)
      for (const PoolPlace& place : g_.places) {
        const float* image = pass.inputs[0] + n * g_.in_pixels * g_.channels;
        std::copy_n(image + place.pixels.front() * g_.channels, g_.channels, y);
        for (std::int64_t pixel : place.pixels) {
          const float* x = image + pixel * g_.channels;
          for (std::int64_t c = 0; c < g_.channels; ++c) y[c] = std::max(y[c], x[c]);
        }
        y += g_.channels;
      }
  }
  /// The first of several equal ones gets all.
  void backward(const Pass& pass) const override {
    if (pass.input_gradients[0] == nullptr) return;
    const float* y = pass.outputs[0];
    const float* dy = pass.output_gradients[0];
    std::vector<float> left(static_cast<std::size_t>(g_.channels));
    for (std::int64_t n = 0; n < g_.images; ++n)
      for (const PoolPlace& place : g_.places) {
        std::copy_n(dy, g_.channels, left.data());
        for (std::int64_t pixel : place.pixels) {
          const std::int64_t at = (n * g_.in_pixels + pixel) * g_.channels;
          const float* x = pass.inputs[0] + at;
          float* dx = pass.input_gradients[0] + at;
          for (std::int64_t c = 0; c < g_.channels; ++c) {
            const bool is_largest = x[c] == y[c];
            dx[c] += is_largest ? left[static_cast<std::size_t>(c)] : 0.0F;
            left[static_cast<std::size_t>(c)] *= is_largest ? 0.0F : 1.0F;
          }
        }
        y += g_.channels;
        dy += g_.channels;
      }
  }

 private:
  PoolGeometry g_;
};

}  // namespace

std::unique_ptr<Kernel> make_pool(const NodeProblem& p) {
  const std::string& op = p.node.op;
  const bool is_maximum = op == "MaxPool";
  if ((!is_maximum && op != "AveragePool" && op != "GlobalAveragePool") ||
      !p.inputs[0].channels_last || !p.outputs[0].channels_last || p.outputs.size() > 1)
    return nullptr;
  auto geometry = pool_geometry(p);
  if (!geometry) return nullptr;
  for (const PoolPlace& place : geometry->places)
    if (place.pixels.empty()) return nullptr;
  if (is_maximum) return std::make_unique<MaximumKernel>(std::move(*geometry));
  return std::make_unique<AverageKernel>(std::move(*geometry));
}

}  // namespace espquant::train
