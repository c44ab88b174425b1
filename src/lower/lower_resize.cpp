#include <algorithm>
#include <cmath>

#include "lower/rules.h"
#include "ops/resample.h"

/// Resize: ESP-DL's nearest takes floor(o / scale) whatever ONNX asks for, its linear knows
/// half pixels and aligned corners, both at 8 bits only (ESP-DL 3.16). What differs is written by
/// other operators, or refused.
namespace espquant::lower {
namespace {

/// How ONNX resizes one axis.
struct Axis {
  std::int64_t in = 1, out = 1;
  ops::AxisSampler sampler;
};

// Whether the runtime's floor(o / scale) takes the same pixels.
bool nearest_agrees(const Axis& axis) {
  const float inverse = 1.0F / (static_cast<float>(axis.out) / static_cast<float>(axis.in));
  for (std::int64_t o = 0; o < axis.out; ++o) {
    const auto chip = std::min<std::int64_t>(
        static_cast<std::int64_t>(static_cast<float>(o) * inverse), axis.in - 1);
    if (axis.sampler.index(o, 0) != chip) return false;
  }
  return true;
}

/// The image as it is made, one axis after the other.
struct Image {
  std::string name;
  /// As it stands.
  Shape shape;
};

/// Resizes by operators that any width has: elements are picked and, for linear, two of them
/// weighed. The last node writes the output.
class Picking {
 public:
  Picking(Builder& b, const Node& n, const Perm& perm, const TensorQuant& quant)
      : b_(b), n_(n), perm_(perm), quant_(quant) {}

  Image nearest(const Image& image, std::size_t stored, const Axis& axis, bool last) {
    std::vector<std::int64_t> from;
    for (std::int64_t o = 0; o < axis.out; ++o) from.push_back(axis.sampler.index(o, 0));
    return pick(image, stored, from, last);
  }

  Image linear(const Image& image, std::size_t stored, const Axis& axis, bool last) {
    std::vector<std::int64_t> low, high;
    std::vector<float> below, above;
    for (std::int64_t o = 0; o < axis.out; ++o) {
      low.push_back(axis.sampler.index(o, 0));
      high.push_back(axis.sampler.index(o, 1));
      below.push_back(axis.sampler.weight(o, 0));
      above.push_back(axis.sampler.weight(o, 1));
    }
    const Image a = weigh(pick(image, stored, low, false), stored, below);
    const Image c = weigh(pick(image, stored, high, false), stored, above);
    return write("Add", {a.name, c.name}, a.shape, last, {});
  }

 private:
  Image pick(const Image& image, std::size_t stored, const std::vector<std::int64_t>& from,
             bool last) {
    Shape shape = image.shape;
    shape[stored] = static_cast<std::int64_t>(from.size());
    return write("Gather", {image.name, b_.constant_ints(n_.name + "_from", from)}, shape, last,
                 {{"axis", static_cast<std::int64_t>(stored)}});
  }

  Image weigh(const Image& image, std::size_t stored, const std::vector<float>& weights) {
    // 1 is the largest of them.
    const TensorQuant quant{16, {-14}, -1};
    Shape shape(image.shape.size(), 1);
    shape[stored] = static_cast<std::int64_t>(weights.size());
    const std::string factors =
        b_.constant(b_.unique_name(n_.name + "_weights"),
                    b_.quantized(Tensor::of<float>(shape, weights), quant), quant.exponents);
    return write("Mul", {image.name, factors}, image.shape, false, {});
  }

  Image write(const std::string& op, std::vector<std::string> inputs, const Shape& shape, bool last,
              std::map<std::string, espdl::AttributeValue> attributes) {
    if (!last)
      return {b_.derive(op, n_.name, std::move(inputs), shape, quant_, std::move(attributes)),
              shape};
    const std::string out = b_.define_as(n_.outputs[0], perm_, quant_);
    espdl::Node& node = b_.node(op, n_.name, std::move(inputs), {out}, quant_.bits);
    for (auto& [name, value] : attributes) node.attributes[name] = std::move(value);
    return {out, shape};
  }

  Builder& b_;
  const Node& n_;
  const Perm& perm_;
  const TensorQuant& quant_;
};

// The scales as the network gives them, where they are constant: sizes are their floor.
std::vector<Axis> axes_of_resize(const Builder& b, const Node& n) {
  const Shape& in = b.shape(n.inputs[0]);
  const Shape& out = b.shape(n.outputs[0]);
  const ValueId scales = n.input(2);
  const Tensor none;
  const Tensor& given = scales != kNone && b.graph().value(scales).is_constant()
                            ? b.graph().value(scales).constant
                            : none;
  const bool by_scales = given.defined() && given.dtype() == DType::Float32 &&
                         given.size() == static_cast<std::int64_t>(in.size());
  const ops::Sampling sampling = ops::sampling_of(n.attributes);
  std::vector<Axis> axes;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const float scale =
        by_scales ? given.data<float>()[i] : static_cast<float>(out[i]) / static_cast<float>(in[i]);
    axes.push_back({in[i], out[i], ops::AxisSampler(sampling, {in[i], out[i], scale, 0, 1})});
  }
  return axes;
}

// ESP-DL 3.16: the vector kernels go wrong with few channels, except by 2 x 2.
bool has_nearest_kernel(const Builder& b, const std::vector<Axis>& axes) {
  constexpr std::int64_t kVectorChannels = 16;
  const bool doubles =
      axes.size() == 4 &&
      std::all_of(axes.begin() + 2, axes.end(), [](auto& axis) { return axis.out == 2 * axis.in; });
  return (doubles || axes[1].in >= kVectorChannels || b.target().family == Family::C) &&
         std::all_of(axes.begin() + 2, axes.end(), nearest_agrees);
}

bool knows_linear(const std::string& coordinates) {
  return coordinates == "half_pixel" || coordinates == "align_corners" ||
         coordinates == "pytorch_half_pixel";
}

void resize_by_picking(Builder& b, const Node& n, const std::vector<Axis>& axes, bool linear) {
  const Perm perm = channels_last_perm(axes.size());
  // Interpolated values stay between those of the input.
  const TensorQuant quant = input_quant(b, n);
  Image image{b.read_as(n.inputs[0], perm, quant), permuted(b.shape(n.inputs[0]), perm)};
  std::vector<std::size_t> changing;
  for (std::size_t i = 2; i < axes.size(); ++i)
    if (axes[i].in != axes[i].out) changing.push_back(i);
  // The smaller image is worked on as long as it is small.
  std::stable_sort(changing.begin(), changing.end(), [&](std::size_t x, std::size_t y) {
    return axes[x].out * axes[y].in < axes[y].out * axes[x].in;
  });
  if (changing.empty()) changing.push_back(2);
  Picking picking(b, n, perm, quant);
  for (std::size_t i : changing) {
    const auto stored = static_cast<std::size_t>(stored_axis(perm, static_cast<std::int64_t>(i)));
    const bool last = i == changing.back();
    image = linear && axes[i].in > 1 ? picking.linear(image, stored, axes[i], last)
                                     : picking.nearest(image, stored, axes[i], last);
  }
}

}  // namespace

void lower_resize(Builder& b, const Node& n) {
  const Shape& in = b.shape(n.inputs[0]);
  const Shape& out = b.shape(n.outputs[0]);
  const std::string mode = n.attributes.get_string("mode", "nearest");
  const std::string coordinates =
      n.attributes.get_string("coordinate_transformation_mode", "half_pixel");
  if (in.size() != 3 && in.size() != 4)
    refuse(n, "ESP-DL resizes in one or two dimensions", "Reshape the input");
  if (in[0] != out[0] || in[1] != out[1])
    refuse(n, "ESP-DL resizes only height and width", "Keep the channels");
  const TensorQuant& q = quant_of(b, n.outputs[0]);
  if (mode != "nearest" && mode != "linear")
    refuse(n, "ESP-DL resizes to the nearest pixel or linearly", "Export with one of these modes");
  if (coordinates == "tf_crop_and_resize")
    refuse(n, "ESP-DL does not crop while it resizes", "Put a Slice in front of the Resize");
  const bool linear = mode == "linear";
  if (linear && n.attributes.get_int("antialias", 0) != 0)
    refuse(n, "ESP-DL does not smooth while it resizes", "Export without antialias");
  const std::vector<Axis> axes = axes_of_resize(b, n);
  const bool single =
      std::any_of(axes.begin() + 2, axes.end(), [](const Axis& axis) { return axis.in == 1; });
  // ESP-DL 3.16: there is no kernel of 16 bits, and the one of 8 bits knows few grids.
  const bool agrees = linear ? knows_linear(coordinates) && !single : has_nearest_kernel(b, axes);
  if (q.bits != 8 || !agrees) {
    const bool blurs = linear && std::any_of(axes.begin() + 2, axes.end(), [](const Axis& axis) {
                         return axis.in > 1 && axis.in != axis.out;
                       });
    if (q.bits == 8 && blurs && !knows_linear(coordinates))
      refuse(n, "at 8 bits ESP-DL resizes linearly by half pixels or aligned corners only",
             "Export with one of these modes, or give this layer 16 bits");
    if (q.bits == 8 && blurs && single)
      refuse(n, "at 8 bits ESP-DL reads beyond an axis of one element when it resizes linearly",
             "Resize that axis by a node of its own, or give this layer 16 bits");
    if (q.bits != 8 || !blurs) return resize_by_picking(b, n, axes, linear);
  }
  const Perm perm = channels_last_perm(in.size());
  Tensor scales(DType::Float32, {static_cast<std::int64_t>(in.size())});
  for (std::size_t i = 0; i < in.size(); ++i)
    scales.mutable_data<float>()[i] = static_cast<float>(out[i]) / static_cast<float>(in[i]);
  // ESP-DL 3.16: to a smaller exponent nearest keeps the low bits instead of saturating.
  const TensorQuant& given = input_quant(b, n);
  const bool wraps = !linear && q.exponent() < given.exponent();
  const std::string input = b.read_as(n.inputs[0], perm, wraps ? q : given);
  // Scales stay in the network's order.
  const std::string list = b.constant(b.unique_name(n.name + "_scales"), scales, {0});
  espdl::Node& node =
      b.node("Resize", n.name, {input, "", list}, {b.define(n.outputs[0], perm)}, q.bits);
  node.attributes["coordinate_transformation_mode"] =
      mode == "nearest" ? std::string("asymmetric") : coordinates;
  node.attributes["mode"] = mode;
  node.attributes["nearest_mode"] = std::string("floor");
}

}  // namespace espquant::lower
