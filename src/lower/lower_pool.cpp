#include <algorithm>

#include "lower/rules.h"

namespace espquant::lower {
namespace {

struct Window {
  std::vector<std::int64_t> kernel, strides, pads, dilations;
};

Window window_of(const Node& n, std::size_t spatial) {
  return {n.attributes.get_ints("kernel_shape"),
          n.attributes.get_ints("strides", std::vector<std::int64_t>(spatial, 1)),
          n.attributes.get_ints("pads", std::vector<std::int64_t>(2 * spatial, 0)),
          n.attributes.get_ints("dilations", std::vector<std::int64_t>(spatial, 1))};
}

void check_window(const Node& n, const Window& w, std::size_t rank) {
  if (rank != 3 && rank != 4)
    refuse(n, "ESP-DL pools in one or two dimensions", "Reshape the input to N,C,H,W");
  if (std::any_of(w.dilations.begin(), w.dilations.end(), [](std::int64_t d) { return d != 1; }))
    refuse(n, "ESP-DL's pooling has no dilation (ESP-DL 3.6, 3.7)", "Use a pool without dilation");
}

void write_pool(Builder& b, const Node& n, const char* op, const Window& w) {
  const Perm perm = channels_last_perm(b.shape(n.inputs[0]).size());
  const TensorQuant& q = quant_of(b, n.outputs[0]);
  const std::string input = b.read_as(n.inputs[0], perm, input_quant(b, n));
  espdl::Node& node = b.node(op, n.name, {input}, {b.define(n.outputs[0], perm)}, q.bits);
  node.attributes["ceil_mode"] = std::int64_t{0};
  node.attributes["kernel_shape"] = w.kernel;
  node.attributes["pads"] = w.pads;
  node.attributes["strides"] = w.strides;
}

// Extra padding at the end that makes the runtime's rounded-down output size what ceil_mode asks
// for.
void pad_for_ceil_mode(Builder& b, const Node& n, Window& w) {
  const Shape& in = b.shape(n.inputs[0]);
  const Shape& out = b.shape(n.outputs[0]);
  const std::size_t spatial = w.kernel.size();
  for (std::size_t i = 0; i < spatial; ++i) {
    const std::int64_t needed =
        (out[i + 2] - 1) * w.strides[i] + w.kernel[i] - in[i + 2] - w.pads[i];
    w.pads[i + spatial] = std::max(w.pads[i + spatial], needed);
  }
}

}  // namespace

void lower_average_pool(Builder& b, const Node& n) {
  const std::size_t rank = b.shape(n.inputs[0]).size();
  const Window w = window_of(n, rank - 2);
  check_window(n, w, rank);
  const bool padded =
      std::any_of(w.pads.begin(), w.pads.end(), [](std::int64_t p) { return p != 0; });
  if (padded && n.attributes.get_int("count_include_pad", 0) == 0)
    refuse(n, "ESP-DL divides by the whole window, padding included (ESP-DL 3.6)",
           "Export the pool with count_include_pad=True, or without padding");
  if (n.attributes.get_int("ceil_mode", 0) != 0) {
    Window wider = w;
    pad_for_ceil_mode(b, n, wider);
    if (wider.pads != w.pads)
      refuse(n, "ESP-DL's average pool has no ceil_mode (ESP-DL 3.6)",
             "Export the pool with ceil_mode=False");
  }
  write_pool(b, n, "AveragePool", w);
  b.model().nodes.back().attributes["count_include_pad"] = std::int64_t{1};
}

void lower_max_pool(Builder& b, const Node& n) {
  const std::size_t rank = b.shape(n.inputs[0]).size();
  if (n.outputs.size() > 1 && n.outputs[1] != kNone)
    refuse(n, "ESP-DL's MaxPool gives no indices", "Remove the second output");
  Window w = window_of(n, rank - 2);
  check_window(n, w, rank);
  // Padding never wins a maximum, so more of it at the end does no harm.
  if (n.attributes.get_int("ceil_mode", 0) != 0) pad_for_ceil_mode(b, n, w);
  write_pool(b, n, "MaxPool", w);
  b.model().nodes.back().attributes["dilations"] = w.dilations;
}

void lower_global_average_pool(Builder& b, const Node& n) {
  const std::size_t rank = b.shape(n.inputs[0]).size();
  check_window(n, {}, rank);
  const Perm perm = channels_last_perm(rank);
  const std::string input = b.read_as(n.inputs[0], perm, input_quant(b, n));
  b.node("GlobalAveragePool", n.name, {input}, {b.define(n.outputs[0], perm)},
         quant_of(b, n.outputs[0]).bits);
}

void lower_global_max_pool(Builder& b, const Node& n) {
  const Shape& in = b.shape(n.inputs[0]);
  const std::size_t spatial = in.size() - 2;
  const Window w{{in.begin() + 2, in.end()},
                 std::vector<std::int64_t>(spatial, 1),
                 std::vector<std::int64_t>(2 * spatial, 0),
                 std::vector<std::int64_t>(spatial, 1)};
  check_window(n, w, in.size());
  write_pool(b, n, "MaxPool", w);
  b.model().nodes.back().attributes["dilations"] = w.dilations;
}

}  // namespace espquant::lower
