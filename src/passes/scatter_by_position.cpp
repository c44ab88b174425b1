#include <algorithm>
#include <numeric>
#include <optional>

#include "ops/op.h"
#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// ScatterND, ScatterElements, GatherND and GatherElements with constant indices: where each
/// element comes from is known, so slices, Concat and Gather along an axis do.
namespace espquant::passes {
namespace {

/// Tensors up to this size are gathered element by element where nothing better fits.
constexpr std::int64_t kMostSingleElements = 1 << 14;
constexpr std::int64_t kMostElements = 1 << 22;

Tensor count_from(std::int64_t first, const Shape& shape) {
  Tensor t(DType::Int64, shape);
  auto data = t.mutable_data<std::int64_t>();
  std::iota(data.begin(), data.end(), first);
  return t;
}

std::vector<std::int64_t> elements(const Tensor& t) {
  const auto data = t.data<std::int64_t>();
  return {data.begin(), data.end()};
}

struct Box {
  Shape begin, end;
};

/// The box of all positions whose source is `first` or later, if they are exactly those of a box,
/// in order.
std::optional<Box> box_of(const std::vector<std::int64_t>& sources, const Shape& shape,
                          std::int64_t first) {
  Box box{shape, Shape(shape.size(), 0)};
  const Shape strides = strides_of(shape);
  std::int64_t next = first;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i] < first) continue;
    if (sources[i] != next++) return std::nullopt;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      const std::int64_t at = static_cast<std::int64_t>(i) / strides[axis] % shape[axis];
      box.begin[axis] = std::min(box.begin[axis], at);
      box.end[axis] = std::max(box.end[axis], at + 1);
    }
  }
  std::int64_t volume = 1;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) volume *= box.end[axis] - box.begin[axis];
  if (next == first || volume != next - first) return std::nullopt;
  return box;
}

/// The box replaced by `updates`: what lies before and behind it, axis by axis.
ValueId replace_box(Graph& graph, const std::string& name, ValueId data, ValueId updates,
                    const Box& box) {
  const Shape shape = shape_of(graph, data);
  Shape extent(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) extent[i] = box.end[i] - box.begin[i];
  ValueId result = insert_reshape(graph, name + "_updates", updates, extent);
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    // Axes before this one are still those of the box, those behind it are whole.
    Shape begin = box.begin, end = box.end;
    for (std::size_t i = axis; i < shape.size(); ++i) {
      begin[i] = 0;
      end[i] = shape[i];
    }
    std::vector<ValueId> parts;
    if (box.begin[axis] > 0) {
      Shape until = end;
      until[axis] = box.begin[axis];
      parts.push_back(insert_slice(graph, name + "_before", data, begin, until));
    }
    parts.push_back(result);
    if (box.end[axis] < shape[axis]) {
      Shape from = begin;
      from[axis] = box.end[axis];
      parts.push_back(insert_slice(graph, name + "_behind", data, from, end));
    }
    result = insert_concat(graph, name + "_joined", parts, static_cast<std::int64_t>(axis));
  }
  return result;
}

/// Positions along `axis` when whole slices along it move: sources of an input of `extent` along
/// that axis, in the order of the output.
std::optional<std::vector<std::int64_t>> slices_along(const std::vector<std::int64_t>& sources,
                                                      const Shape& shape, std::size_t axis,
                                                      std::int64_t extent) {
  Shape from = shape;
  from[axis] = extent;
  const Shape strides = strides_of(shape), from_strides = strides_of(from);
  std::vector<std::int64_t> positions(static_cast<std::size_t>(shape[axis]), -1);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    std::int64_t rest = 0;
    for (std::size_t k = 0; k < shape.size(); ++k)
      if (k != axis) rest += static_cast<std::int64_t>(i) / strides[k] % shape[k] * from_strides[k];
    const std::int64_t distance = sources[i] - rest;
    if (distance < 0 || distance % from_strides[axis] != 0 ||
        distance / from_strides[axis] >= extent)
      return std::nullopt;
    auto& position = positions[static_cast<std::size_t>(static_cast<std::int64_t>(i) /
                                                        strides[axis] % shape[axis])];
    if (position >= 0 && position != distance / from_strides[axis]) return std::nullopt;
    position = distance / from_strides[axis];
  }
  return positions;
}

/// `v`, of row-major elements, in the order of `sources` under another shape.
ValueId gather_single(Graph& graph, const std::string& name, ValueId v,
                      const std::vector<std::int64_t>& sources, const Shape& shape) {
  const std::int64_t size = element_count(shape_of(graph, v));
  v = insert_reshape(graph, name + "_flat", v, {size});
  v = insert_gather(graph, name + "_gathered", v, 0, sources);
  return insert_reshape(graph, name + "_shaped", v, shape);
}

/// Where the sources of a scatter would stand if the updates, seen as `stacked` with the axes
/// `perm`, were behind the data along `axis`.
std::vector<std::int64_t> behind_data(const std::vector<std::int64_t>& sources, const Shape& shape,
                                      std::size_t axis, const Shape& stacked,
                                      const std::vector<std::int64_t>& perm) {
  const std::int64_t size = element_count(shape);
  const Shape strides = strides_of(shape), stacked_strides = strides_of(stacked);
  Shape whole = shape;
  whole[axis] += stacked[static_cast<std::size_t>(perm[axis])];
  const Shape whole_strides = strides_of(whole);
  std::vector<std::int64_t> moved;
  for (const std::int64_t source : sources) {
    std::int64_t to = source < size ? 0 : shape[axis] * whole_strides[axis];
    for (std::size_t k = 0; k < shape.size(); ++k) {
      const auto from = static_cast<std::size_t>(perm[k]);
      to += (source < size ? source / strides[k] % shape[k]
                           : (source - size) / stacked_strides[from] % stacked[from]) *
            whole_strides[k];
    }
    moved.push_back(to);
  }
  return moved;
}

/// The data with some slices along an axis replaced: updates are put behind the data, slices
/// gathered. The updates' slices lie along the same axis, or along a first one of their own. kNone
/// where no axis does and there are too many elements to be gathered one by one.
ValueId replace_slices(Graph& graph, const std::string& name, ValueId data, ValueId updates,
                       const std::vector<std::int64_t>& sources) {
  const Shape shape = shape_of(graph, data);
  const std::int64_t size = element_count(shape), added = element_count(shape_of(graph, updates));
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t slice = size / shape[axis], count = added / slice;
    if (added % slice != 0) continue;
    for (const bool first : {false, true}) {
      Shape stacked = shape;
      stacked[axis] = count;
      std::vector<std::int64_t> perm(shape.size());
      std::iota(perm.begin(), perm.end(), 0);
      if (first) {
        std::rotate(stacked.begin(), stacked.begin() + static_cast<std::ptrdiff_t>(axis),
                    stacked.begin() + static_cast<std::ptrdiff_t>(axis) + 1);
        for (std::size_t k = 0; k < axis; ++k) perm[k] = static_cast<std::int64_t>(k) + 1;
        perm[axis] = 0;
      }
      const auto positions = slices_along(behind_data(sources, shape, axis, stacked, perm), shape,
                                          axis, shape[axis] + count);
      if (!positions) continue;
      ValueId v = insert_reshape(graph, name + "_updates", updates, stacked);
      v = insert_transpose(graph, name + "_slices", v, perm);
      v = insert_concat(graph, name + "_all", {data, v}, static_cast<std::int64_t>(axis));
      return insert_gather(graph, name + "_chosen", v, static_cast<std::int64_t>(axis), *positions);
    }
  }
  if (size + added > kMostSingleElements) return kNone;
  const ValueId all = insert_concat(graph, name + "_all",
                                    {insert_reshape(graph, name + "_data", data, {size}),
                                     insert_reshape(graph, name + "_updates", updates, {added})},
                                    0);
  return gather_single(graph, name, all, sources, shape);
}

bool rewrite_scatter(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.attributes.get_string("reduction", "none") != "none") return false;
  const ValueId data = node.inputs.at(0), updates = node.inputs.at(2);
  const Shape shape = shape_of(graph, data);
  const std::int64_t size = element_count(shape);
  if (size == 0 || size > kMostElements || element_count(shape_of(graph, updates)) == 0)
    return false;
  const Tensor old = count_from(0, shape), young = count_from(size, shape_of(graph, updates));
  const Tensor indices = *constant_of(graph, node.inputs[1]);
  const Tensor* arguments[] = {&old, &indices, &young};
  const auto sources = elements(ops::run_node(graph, node, arguments).at(0));
  const auto box = box_of(sources, shape, size);
  // Some updates are overwritten by others: then they are no box.
  const bool whole = box && std::count_if(sources.begin(), sources.end(), [&](std::int64_t s) {
                              return s >= size;
                            }) == element_count(shape_of(graph, updates));
  const ValueId result = whole ? replace_box(graph, node.name, data, updates, *box)
                               : replace_slices(graph, node.name, data, updates, sources);
  if (result == kNone) return false;
  take_over(graph, id, result);
  return true;
}

bool rewrite_gather(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const ValueId data = node.inputs.at(0);
  const Shape shape = shape_of(graph, data), out = shape_of(graph, node.outputs.at(0));
  if (element_count(shape) == 0 || element_count(out) == 0 || element_count(shape) > kMostElements)
    return false;
  const Tensor numbers = count_from(0, shape), indices = *constant_of(graph, node.inputs[1]);
  const Tensor* arguments[] = {&numbers, &indices};
  const auto sources = elements(ops::run_node(graph, node, arguments).at(0));
  if (out.size() == shape.size())
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      Shape others = out;
      others[axis] = shape[axis];
      if (others != shape) continue;
      if (const auto positions = slices_along(sources, out, axis, shape[axis])) {
        take_over(graph, id,
                  insert_gather(graph, node.name + "_chosen", data, static_cast<std::int64_t>(axis),
                                *positions));
        return true;
      }
    }
  if (element_count(shape) > kMostSingleElements || element_count(out) > kMostSingleElements)
    return false;
  take_over(graph, id, gather_single(graph, node.name, data, sources, out));
  return true;
}

}  // namespace

std::int64_t scatter_by_position(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) {
    const Node& node = graph.node(id);
    const bool scatter = node.op == "ScatterND" || node.op == "ScatterElements",
               gather = node.op == "GatherND" || node.op == "GatherElements";
    if ((!scatter && !gather) || constant_of(graph, node.input(1)) == nullptr ||
        graph.value(node.outputs.at(0)).dtype != DType::Float32)
      return false;
    return scatter ? rewrite_scatter(graph, id) : rewrite_gather(graph, id);
  });
}

}  // namespace espquant::passes
