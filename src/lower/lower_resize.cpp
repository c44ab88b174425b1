#include <algorithm>
#include <cmath>

#include "lower/rules.h"

/// Resize: ESP-DL's nearest takes floor(o / scale) whatever ONNX asks for, its linear knows
/// half-pixel and aligned corners (ESP-DL 3.16); what differs is refused.
namespace espquant::lower {
namespace {

double source_of(const std::string& mode, double o, double scale, std::int64_t in,
                 std::int64_t out) {
  if (mode == "asymmetric") return o / scale;
  if (mode == "align_corners")
    return out > 1 ? o * static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
  if (mode == "pytorch_half_pixel" && out == 1) return 0;
  if (mode == "tf_half_pixel_for_nn") return (o + 0.5) / scale;
  return (o + 0.5) / scale - 0.5;
}

std::int64_t nearest_of(const std::string& mode, double x) {
  if (mode == "floor") return static_cast<std::int64_t>(std::floor(x));
  if (mode == "ceil") return static_cast<std::int64_t>(std::ceil(x));
  if (mode == "round_prefer_ceil") return static_cast<std::int64_t>(std::floor(x + 0.5));
  return static_cast<std::int64_t>(std::ceil(x - 0.5));
}

bool nearest_agrees(const std::string& coordinates, const std::string& rounding, std::int64_t in,
                    std::int64_t out) {
  const double scale = static_cast<double>(out) / static_cast<double>(in);
  const float inverse = 1.0F / static_cast<float>(scale);
  for (std::int64_t o = 0; o < out; ++o) {
    const std::int64_t asked = std::clamp<std::int64_t>(
        nearest_of(rounding, source_of(coordinates, static_cast<double>(o), scale, in, out)), 0,
        in - 1);
    const auto chip =
        std::min<std::int64_t>(static_cast<std::int64_t>(static_cast<float>(o) * inverse), in - 1);
    if (asked != chip) return false;
  }
  return true;
}

}  // namespace

void lower_resize(Builder& b, const Node& n) {
  const Shape& in = b.shape(n.inputs[0]);
  const Shape& out = b.shape(n.outputs[0]);
  const std::string mode = n.attributes.get_string("mode", "nearest");
  const std::string coordinates =
      n.attributes.get_string("coordinate_transformation_mode", "half_pixel");
  const std::string rounding = n.attributes.get_string("nearest_mode", "round_prefer_floor");
  if (in.size() != 3 && in.size() != 4)
    refuse(n, "ESP-DL resizes in one or two dimensions", "Reshape the input");
  if (in[0] != out[0] || in[1] != out[1])
    refuse(n, "ESP-DL resizes only height and width", "Keep the channels");
  const TensorQuant& q = quant_of(b, n.outputs[0]);
  if (q.bits != 8)
    refuse(n, "ESP-DL resizes only at 8 bits (ESP-DL 3.16)", "Keep this node at 8 bits");
  if (mode == "nearest") {
    for (std::size_t i = 2; i < in.size(); ++i)
      if (!nearest_agrees(coordinates, rounding, in[i], out[i]))
        refuse(n, "picks other pixels than ESP-DL's nearest resize, which takes floor(o / scale)",
               "Export with coordinate_transformation_mode=asymmetric and nearest_mode=floor");
  } else if (mode != "linear" || (coordinates != "half_pixel" && coordinates != "align_corners" &&
                                  coordinates != "pytorch_half_pixel")) {
    refuse(n, "ESP-DL knows nearest, and linear by half pixels or aligned corners",
           "Export with one of these modes");
  }
  const Perm perm = channels_last_perm(in.size());
  Tensor scales(DType::Float32, {static_cast<std::int64_t>(in.size())});
  for (std::size_t i = 0; i < in.size(); ++i)
    scales.mutable_data<float>()[i] = static_cast<float>(out[i]) / static_cast<float>(in[i]);
  const std::string input = b.read_as(n.inputs[0], perm, input_quant(b, n));
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
