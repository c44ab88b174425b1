#include "ops/einsum.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string>

#include "ops/operators.h"
#include "ops/visit.h"

/// Einsum: products of operands, summed over the labels that the output lacks.
namespace espquant::ops {
namespace {

constexpr std::string_view kEllipsis = "...";

std::string without_spaces(std::string_view text) {
  std::string compact(text);
  std::erase(compact, ' ');
  return compact;
}

/// The labels of one term; an ellipsis stands for `hidden` axes.
std::vector<int> labels_of(std::string_view term, std::int64_t hidden, bool& has_ellipsis) {
  std::vector<int> labels;
  has_ellipsis = false;
  for (std::size_t i = 0; i < term.size();) {
    if (term.substr(i).starts_with(kEllipsis) && !has_ellipsis) {
      has_ellipsis = true;
      for (std::int64_t k = hidden; k > 0; --k) labels.push_back(-static_cast<int>(k));
      i += kEllipsis.size();
    } else if (std::isalpha(static_cast<unsigned char>(term[i])) != 0) {
      labels.push_back(term[i++]);
    } else {
      malformed(fmt::format("the term '{}' of its equation", term));
    }
  }
  return labels;
}

std::int64_t letters_in(std::string_view term) {
  return std::count_if(term.begin(), term.end(), [](char c) { return c != '.'; });
}

std::vector<std::string> split_terms(std::string_view text) {
  std::vector<std::string> terms(1);
  for (const char c : text) {
    if (c == ',')
      terms.emplace_back();
    else
      terms.back() += c;
  }
  return terms;
}

std::vector<int> implicit_output(const std::vector<std::vector<int>>& inputs) {
  std::map<int, int> uses;
  for (const auto& labels : inputs)
    for (const int label : labels) ++uses[label];
  std::vector<int> output;
  // Negative labels come first, from the outermost on; then letters.
  for (const auto& [label, count] : uses)
    if (label < 0 || count == 1) output.push_back(label);
  return output;
}

std::vector<Shape> operand_shapes(const InferContext& context) {
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < context.inputs.size(); ++i) shapes.push_back(context.shape(i));
  return shapes;
}

void infer_einsum(const InferContext& context) {
  if (context.inputs.empty()) malformed("Einsum without operands");
  for (std::size_t i = 0; i < context.inputs.size(); ++i) {
    require_float(context, i);
    require_same_dtype(context, 0, i);
  }
  const auto shapes = operand_shapes(context);
  const EinsumTerms terms =
      parse_einsum(context.node.attributes.get_string("equation", ""), shapes);
  Shape out;
  for (const int label : terms.output) out.push_back(extent_of_label(terms, shapes, label));
  set_output(context, 0, context.dtype(0), std::move(out));
}

/// By how much one step along each label moves within an operand.
std::vector<std::int64_t> strides_by_label(const std::vector<int>& labels, const Shape& shape,
                                           const std::vector<int>& all) {
  std::vector<std::int64_t> strides(all.size(), 0);
  std::int64_t stride = 1;
  for (std::size_t i = labels.size(); i-- > 0;) {
    const auto at =
        static_cast<std::size_t>(std::find(all.begin(), all.end(), labels[i]) - all.begin());
    if (shape[i] != 1) strides[at] += stride;
    stride *= shape[i];
  }
  return strides;
}

struct EinsumLoops {
  std::vector<std::int64_t> extents;
  std::vector<std::vector<std::int64_t>> strides;  // by operand, the output last
};

EinsumLoops loops_of(const RunContext& context) {
  std::vector<Shape> shapes;
  for (const Tensor* t : context.inputs) shapes.push_back(t->shape());
  const EinsumTerms terms =
      parse_einsum(context.node.attributes.get_string("equation", ""), shapes);
  std::vector<int> all = terms.output;
  for (const auto& labels : terms.inputs)
    for (const int label : labels)
      if (std::find(all.begin(), all.end(), label) == all.end()) all.push_back(label);
  EinsumLoops loops;
  for (const int label : all) loops.extents.push_back(extent_of_label(terms, shapes, label));
  for (std::size_t i = 0; i < shapes.size(); ++i)
    loops.strides.push_back(strides_by_label(terms.inputs[i], shapes[i], all));
  loops.strides.push_back(strides_by_label(terms.output, context.outputs[0].shape(), all));
  return loops;
}

void run_einsum(const RunContext& context) {
  const EinsumLoops loops = loops_of(context);
  const std::size_t operands = context.inputs.size();
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    std::vector<const T*> from;
    for (const Tensor* t : context.inputs) from.push_back(t->data<T>().data());
    std::vector<double> sums(static_cast<std::size_t>(context.outputs[0].size()), 0.0);
    std::vector<std::int64_t> at(loops.extents.size(), 0), offsets(operands + 1, 0);
    const bool empty =
        std::find(loops.extents.begin(), loops.extents.end(), 0) != loops.extents.end();
    for (bool more = !empty; more;) {
      double product = 1;
      for (std::size_t i = 0; i < operands; ++i)
        product *= static_cast<double>(from[i][offsets[i]]);
      sums[static_cast<std::size_t>(offsets[operands])] += product;
      more = false;
      for (std::size_t axis = at.size(); axis-- > 0 && !more;) {
        more = ++at[axis] < loops.extents[axis];
        const std::int64_t steps = more ? 1 : 1 - loops.extents[axis];
        if (!more) at[axis] = 0;
        for (std::size_t i = 0; i <= operands; ++i) offsets[i] += steps * loops.strides[i][axis];
      }
    }
    auto out = context.outputs[0].mutable_data<T>();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(sums[i]);
  });
}

std::int64_t einsum_macs(const Node& node, std::span<const Shape> inputs, std::span<const Shape>) {
  const std::vector<Shape> shapes(inputs.begin(), inputs.end());
  const EinsumTerms terms = parse_einsum(node.attributes.get_string("equation", ""), shapes);
  std::map<int, std::int64_t> extents;
  for (const auto& labels : terms.inputs)
    for (const int label : labels) extents[label] = extent_of_label(terms, shapes, label);
  std::int64_t macs = 1;
  for (const auto& [label, extent] : extents) macs = saturating_product({macs, extent});
  return macs;
}

}  // namespace

EinsumTerms parse_einsum(std::string_view equation, const std::vector<Shape>& operands) {
  const std::string text = without_spaces(equation);
  const std::size_t arrow = text.find("->");
  const auto terms = split_terms(std::string_view(text).substr(0, arrow));
  if (terms.size() != operands.size())
    malformed(fmt::format("the equation '{}' has {} terms for {} operands", equation, terms.size(),
                          operands.size()));
  EinsumTerms parsed;
  std::int64_t most_hidden = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const auto rank = static_cast<std::int64_t>(operands[i].size());
    const std::int64_t hidden = rank - letters_in(terms[i]);
    bool has_ellipsis = false;
    if (hidden < 0 || hidden > rank)
      malformed(fmt::format("the term '{}' of its equation", terms[i]));
    parsed.inputs.push_back(labels_of(terms[i], hidden, has_ellipsis));
    if (hidden != 0 && !has_ellipsis)
      malformed(fmt::format("the term '{}' for an operand of {} dimensions", terms[i], rank));
    most_hidden = std::max(most_hidden, hidden);
  }
  if (arrow == std::string::npos) {
    parsed.output = implicit_output(parsed.inputs);
    return parsed;
  }
  bool has_ellipsis = false;
  parsed.output = labels_of(std::string_view(text).substr(arrow + 2), most_hidden, has_ellipsis);
  for (const int label : parsed.output) {
    const bool known = std::any_of(parsed.inputs.begin(), parsed.inputs.end(), [&](const auto& in) {
      return std::find(in.begin(), in.end(), label) != in.end();
    });
    if (!known || std::count(parsed.output.begin(), parsed.output.end(), label) != 1)
      malformed(fmt::format("the output of the equation '{}'", equation));
  }
  return parsed;
}

std::int64_t extent_of_label(const EinsumTerms& terms, const std::vector<Shape>& operands,
                             int label) {
  std::int64_t extent = 1;
  for (std::size_t i = 0; i < operands.size(); ++i)
    for (std::size_t axis = 0; axis < terms.inputs[i].size(); ++axis) {
      const std::int64_t own = operands[i][axis];
      if (terms.inputs[i][axis] != label || own == 1) continue;
      if (extent != 1 && own != extent)
        bad_data(fmt::format("an Einsum over extents of {} and {}", extent, own));
      extent = own;
    }
  return extent;
}

const OpDef kEinsum{"Einsum", QuantRule::Float, infer_einsum, run_einsum, nullptr, einsum_macs};

}  // namespace espquant::ops
