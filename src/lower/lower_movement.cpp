#include <algorithm>

#include "lower/rules.h"
#include "quant/scores.h"

/// Operators that only move data: they work in whatever order their input stands, axes renamed.
namespace espquant::lower {
namespace {

std::vector<std::int64_t> ints_of(const Builder& b, const Node& n, std::size_t input) {
  const ValueId v = n.input(input);
  if (v == kNone) return {};
  const Value& value = b.graph().value(v);
  if (!value.is_constant())
    refuse(n, "one of its parameters is computed at run time", "Make it a constant");
  const Tensor wide = value.constant.cast(DType::Int64);
  const auto data = wide.data<std::int64_t>();
  return {data.begin(), data.end()};
}

int bits_of(const Builder& b, ValueId v) {
  const auto& q = b.graph().value(v).quant;
  return q ? q->bits : 0;
}

// ESP-DL 3.17: the sum of exponentials is a float at either width, and no maximum is subtracted.
void refuse_exponentials_beyond_float(const Node& n, const TensorQuant& in) {
  if (in.exponent() <= quant::kLargestScoreExponent - (in.bits - 8)) return;
  refuse(n, "its input reaches beyond 64, where the sum of exponentials leaves float32 on the chip",
         "Subtract the largest element first and add it behind: m + log(sum(exp(x - m)))");
}

std::string read_own(Builder& b, ValueId v, const Perm& perm) {
  const auto& q = b.graph().value(v).quant;
  return q ? b.read_as(v, perm, *q) : b.read(v, perm);
}

}  // namespace

void lower_transpose(Builder& b, const Node& n) {
  const Perm& stored = b.stored(n.inputs[0]).perm;
  const std::size_t rank = stored.size();
  Perm reversed = identity_perm(rank);
  std::reverse(reversed.begin(), reversed.end());
  const Perm moves = n.attributes.get_ints("perm", reversed);
  const Perm where = inverse(moves);
  Perm perm(rank);
  for (std::size_t i = 0; i < rank; ++i) perm[i] = where[static_cast<std::size_t>(stored[i])];
  b.alias(n.outputs[0], n.inputs[0], perm);
}

void lower_reshape(Builder& b, const Node& n) {
  const Graph& graph = b.graph();
  const ValueId in = n.inputs[0], out = n.outputs[0];
  const Shape& before = b.shape(in);
  const Shape& after = b.shape(out);
  const Stored stored = b.stored(in);
  const Perm natural = identity_perm(before.size());
  std::string input;
  std::int64_t first_extent = before[0];
  const bool same = same_order(before, stored.perm, natural);
  const auto& readers = graph.value(out).consumers;
  const bool into_gemm =
      after.size() == 2 && before.size() >= 3 && after[0] == before[0] && stored.perm[0] == 0 &&
      !graph.is_output(out) && !readers.empty() &&
      std::all_of(readers.begin(), readers.end(), [&](NodeId id) {
        const Node& r = graph.node(id);
        return r.op == "Gemm" && r.inputs[0] == out && graph.value(r.inputs[1]).is_constant();
      });
  if (same || into_gemm) {
    const auto& q = graph.value(in).quant;
    input = q ? b.read_as(in, stored.perm, *q) : b.read(in, stored.perm);
    first_extent = before[static_cast<std::size_t>(stored.perm[0])];
  } else {
    input = read_own(b, in, natural);
  }
  const Perm perm = identity_perm(after.size());
  // A Flatten goes by the axes as they are stored, of which others may be first.
  if (n.op == "Flatten" && n.attributes.get_int("axis", 1) == 1 && first_extent == after[0]) {
    b.node("Flatten", n.name, {input}, {b.define(out, perm)}, bits_of(b, out)).attributes["axis"] =
        std::int64_t{1};
  } else {
    const std::string target = b.constant_ints(n.name + "_shape", after);
    b.node("Reshape", n.name, {input, target}, {b.define(out, perm)}, bits_of(b, out));
  }
  if (into_gemm && !same) b.flatten(out, before, stored.perm);
}

void lower_concat(Builder& b, const Node& n) {
  const std::size_t rank = b.shape(n.outputs[0]).size();
  const TensorQuant& out = quant_of(b, n.outputs[0]);
  Perm perm;
  for (ValueId v : n.inputs) {
    if (b.graph().value(v).is_constant()) continue;
    const Perm& p = b.stored(v).perm;
    if (perm.empty() || p == channels_last_perm(rank)) perm = p;
  }
  if (perm.empty()) perm = identity_perm(rank);
  std::vector<std::string> inputs;
  for (ValueId v : n.inputs) {
    const Value& value = b.graph().value(v);
    if (value.is_constant()) {
      inputs.push_back(b.constant(b.unique_name(value.name),
                                  b.quantized(value.constant, out).transposed(perm),
                                  out.exponents));
    } else {
      inputs.push_back(b.read_as(v, perm, out));
    }
  }
  const std::int64_t axis =
      normalize_axis(n.attributes.get_int("axis", 0), static_cast<std::int64_t>(rank));
  b.node("Concat", n.name, std::move(inputs), {b.define(n.outputs[0], perm)}, out.bits)
      .attributes["axis"] = stored_axis(perm, axis);
}

void lower_split(Builder& b, const Node& n) {
  const Shape& shape = b.shape(n.inputs[0]);
  const Perm perm = b.stored(n.inputs[0]).perm;
  const std::int64_t axis =
      normalize_axis(n.attributes.get_int("axis", 0), static_cast<std::int64_t>(shape.size()));
  std::vector<std::int64_t> sizes;
  std::vector<std::string> outputs;
  const std::string input = read_own(b, n.inputs[0], perm);
  for (ValueId v : n.outputs) {
    if (v == kNone) refuse(n, "one of its outputs has no name", "Name every output of the Split");
    sizes.push_back(b.shape(v)[static_cast<std::size_t>(axis)]);
    outputs.push_back(b.define(v, perm));
  }
  const std::string parts = b.constant_ints(n.name + "_split", sizes);
  b.node("Split", n.name, {input, parts}, std::move(outputs), bits_of(b, n.outputs[0]))
      .attributes["axis"] = stored_axis(perm, axis);
}

void lower_slice(Builder& b, const Node& n) {
  const std::size_t rank = b.shape(n.inputs[0]).size();
  const Perm perm = b.stored(n.inputs[0]).perm;
  const auto starts = ints_of(b, n, 1), ends = ints_of(b, n, 2);
  auto axes = ints_of(b, n, 3), steps = ints_of(b, n, 4);
  if (axes.empty())
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  if (steps.empty()) steps.assign(starts.size(), 1);
  for (auto& a : axes) a = stored_axis(perm, normalize_axis(a, static_cast<std::int64_t>(rank)));
  std::vector<std::string> inputs{read_own(b, n.inputs[0], perm)};
  inputs.push_back(b.constant_ints(n.name + "_starts", starts));
  inputs.push_back(b.constant_ints(n.name + "_ends", ends));
  inputs.push_back(b.constant_ints(n.name + "_axes", axes));
  inputs.push_back(b.constant_ints(n.name + "_steps", steps));
  b.node("Slice", n.name, std::move(inputs), {b.define(n.outputs[0], perm)},
         bits_of(b, n.outputs[0]));
}

void lower_pad(Builder& b, const Node& n) {
  const std::size_t rank = b.shape(n.inputs[0]).size();
  const Perm perm = b.stored(n.inputs[0]).perm;
  const std::string mode = n.attributes.get_string("mode", "constant");
  if (mode == "wrap")
    refuse(n, "ESP-DL's Pad has no mode 'wrap' (ESP-DL 3.14)", "Use constant, edge or reflect");
  const auto pads = ints_of(b, n, 1);
  auto axes = ints_of(b, n, 3);
  if (axes.empty())
    for (std::size_t i = 0; i < rank; ++i) axes.push_back(static_cast<std::int64_t>(i));
  std::vector<std::int64_t> stored(2 * rank, 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto at = static_cast<std::size_t>(
        stored_axis(perm, normalize_axis(axes[i], static_cast<std::int64_t>(rank))));
    stored[at] = pads.at(i);
    stored[at + rank] = pads.at(i + axes.size());
  }
  if (std::any_of(stored.begin(), stored.end(), [](std::int64_t p) { return p < 0; }))
    refuse(n, "ESP-DL's Pad cannot crop", "Use a Slice for negative padding");
  const TensorQuant& q = input_quant(b, n);
  std::vector<std::string> inputs{b.read_as(n.inputs[0], perm, q),
                                  b.constant_ints(n.name + "_pads", stored)};
  if (n.input(2) != kNone) {
    const Tensor& value = b.graph().value(n.inputs[2]).constant;
    inputs.push_back(b.constant(b.unique_name(n.name + "_value"),
                                b.quantized(value.reshaped({1}), q), q.exponents));
  }
  b.node("Pad", n.name, std::move(inputs), {b.define(n.outputs[0], perm)}, q.bits)
      .attributes["mode"] = mode;
}

void lower_gather(Builder& b, const Node& n) {
  const std::size_t rank = b.shape(n.inputs[0]).size();
  const Value& indices = b.graph().value(n.inputs.at(1));
  if (!indices.is_constant())
    refuse(n, "ESP-DL's Gather needs constant indices", "Make the indices a constant");
  const std::int64_t axis =
      normalize_axis(n.attributes.get_int("axis", 0), static_cast<std::int64_t>(rank));
  const bool one_axis = indices.constant.rank() == 1;
  const Perm perm = one_axis ? b.stored(n.inputs[0]).perm : identity_perm(rank);
  const std::int64_t extent = b.shape(n.inputs[0])[static_cast<std::size_t>(axis)];
  Tensor positions = indices.constant.cast(DType::Int64);
  // ESP-DL 3.14: negative indices are not understood at run time.
  for (auto& i : positions.mutable_data<std::int64_t>()) i += i < 0 ? extent : 0;
  const std::string list = b.constant(b.unique_name(indices.name), positions, {0});
  const std::string input = read_own(b, n.inputs[0], perm);
  const Perm out = one_axis ? perm : identity_perm(b.shape(n.outputs[0]).size());
  b.node("Gather", n.name, {input, list}, {b.define(n.outputs[0], out)}, bits_of(b, n.outputs[0]))
      .attributes["axis"] = stored_axis(perm, axis);
}

void lower_depth_space(Builder& b, const Node& n) {
  const Perm perm = channels_last_perm(4);
  const std::int64_t block = n.attributes.get_int("blocksize", 1);
  const std::string mode = n.attributes.get_string("mode", "DCR");
  const std::int64_t narrow =
      n.op == "DepthToSpace" ? b.shape(n.outputs[0])[1] : b.shape(n.inputs[0])[1];
  // ESP-DL 3.14: channel order as coded differs from ONNX's but for these cases.
  if (n.op == "DepthToSpace" && mode == "DCR" && narrow != block)
    refuse(n, "ESP-DL mixes up the channels of DepthToSpace in DCR order",
           "Export it in CRD order (PixelShuffle does)");
  if (n.op == "SpaceToDepth" && mode == "DCR" && narrow != 1)
    refuse(n, "ESP-DL orders the channels of SpaceToDepth otherwise than ONNX",
           "Use strided slices and a Concat");
  const std::string input = read_own(b, n.inputs[0], perm);
  espdl::Node& node =
      b.node(n.op, n.name, {input}, {b.define(n.outputs[0], perm)}, bits_of(b, n.outputs[0]));
  node.attributes["blocksize"] = block;
  if (n.op == "DepthToSpace") node.attributes["mode"] = mode;
}

void lower_identity(Builder& b, const Node& n) {
  // A tensor of its own: input and output of a network may not share one.
  const Perm perm = b.stored(n.inputs[0]).perm;
  const std::string input = read_own(b, n.inputs[0], perm);
  const int bits = bits_of(b, n.outputs[0]);
  const DType dtype = bits == 8 ? DType::Int8 : bits == 16 ? DType::Int16 : DType::Float32;
  b.node("RequantizeLinear", n.name, b.with_scale(input, n.name, 1.0F, dtype),
         {b.define(n.outputs[0], perm)}, bits);
}

void lower_insert_zeros(Builder& b, const Node& n) {
  const Perm perm = channels_last_perm(b.shape(n.inputs[0]).size());
  const std::string input = read_own(b, n.inputs[0], perm);
  espdl::Node& node = b.node("InsertZeros", n.name, {input}, {b.define(n.outputs[0], perm)},
                             bits_of(b, n.outputs[0]));
  node.attributes["output_padding"] = n.attributes.get_ints("output_padding");
  node.attributes["stride"] = n.attributes.get_ints("stride");
}

void lower_softmax(Builder& b, const Node& n) {
  const Perm perm = b.stored(n.inputs[0]).perm;
  const auto rank = static_cast<std::int64_t>(perm.size());
  const std::int64_t axis = normalize_axis(n.attributes.get_int("axis", -1), rank);
  TensorQuant q = quant_of(b, n.inputs[0]);
  // ESP-DL 3.13: the 8-bit kernel looks exponentials up and does not subtract the maximum; the
  // 16-bit one does. Widened at the same exponent, the integers stay what they are.
  if (q.bits == 8 && q.exponent() > quant::kLargestScoreExponent) q.bits = 16;
  const std::string input = b.read_as(n.inputs[0], perm, q);
  // The output is float on the chip (ESP-DL 3.13).
  b.node(n.op, n.name, {input}, {b.define_float(n.outputs[0], perm)}, q.bits).attributes["axis"] =
      stored_axis(perm, axis);
}

void lower_reduce(Builder& b, const Node& n) {
  const Perm perm = b.stored(n.inputs[0]).perm;
  if (n.op == "ReduceLogSumExp") refuse_exponentials_beyond_float(n, input_quant(b, n));
  const auto rank = static_cast<std::int64_t>(perm.size());
  auto axes = ints_of(b, n, 1);
  if (axes.empty()) {
    if (n.attributes.get_int("noop_with_empty_axes", 0) != 0)
      refuse(n, "reduces nothing", "Remove the node");
    axes = identity_perm(perm.size());
  }
  for (auto& a : axes) a = stored_axis(perm, normalize_axis(a, rank));
  std::sort(axes.begin(), axes.end());
  const bool keep = n.attributes.get_int("keepdims", 1) != 0;
  Perm out = perm;
  if (!keep) {
    // What is left of the order, network axes renumbered.
    Perm left;
    for (std::int64_t i = 0; i < rank; ++i)
      if (!std::binary_search(axes.begin(), axes.end(), i))
        left.push_back(perm[static_cast<std::size_t>(i)]);
    out.clear();
    for (std::int64_t a : left)
      out.push_back(std::count_if(left.begin(), left.end(), [&](std::int64_t o) { return o < a; }));
  }
  const std::string list = b.constant_ints(n.name + "_axes", axes);
  const std::string input = b.graph().value(n.outputs[0]).quant
                                ? b.read_as(n.inputs[0], perm, input_quant(b, n))
                                : read_own(b, n.inputs[0], perm);
  b.node(n.op, n.name, {input, list}, {b.define(n.outputs[0], out)}, bits_of(b, n.outputs[0]))
      .attributes["keepdims"] = std::int64_t{keep};
}

}  // namespace espquant::lower
