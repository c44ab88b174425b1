#include "ops/gradient.h"

#include <numeric>

namespace espquant::ops {

Origins::Place Origins::place_of(std::int64_t number) const {
  std::size_t input = 0;
  for (std::size_t i = 0; i < first.size(); ++i)
    if (first[i] != 0 && first[i] <= number) input = i;
  return {input, number - first[input]};
}

Origins origins_of(const Node& node, std::int64_t opset, std::span<const Tensor* const> inputs) {
  Origins origins;
  std::vector<Tensor> numbers(inputs.size());
  std::vector<const Tensor*> given(inputs.begin(), inputs.end());
  origins.first.assign(inputs.size(), 0);
  std::int64_t next = 1;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] == nullptr || !is_float(inputs[i]->dtype())) continue;
    numbers[i] = Tensor(DType::Int64, inputs[i]->shape());
    auto elements = numbers[i].mutable_data<std::int64_t>();
    origins.first[i] = next;
    std::iota(elements.begin(), elements.end(), next);
    next += numbers[i].size();
    given[i] = &numbers[i];
  }
  Graph opset_only;
  opset_only.opset = opset;
  Node moving = node;
  moving.attributes.erase("value");  // Pad: of the elements that it fills in nothing is asked
  for (const Tensor& moved : run_node(opset_only, moving, given)) {
    if (moved.dtype() != DType::Int64) {
      origins.numbers.emplace_back();  // a mask
      continue;
    }
    const auto elements = moved.data<std::int64_t>();
    origins.numbers.emplace_back(elements.begin(), elements.end());
  }
  return origins;
}

void gradient_of_movement(const GradientContext& context) {
  const Origins origins = origins_of(context.node, context.opset, context.inputs);
  for (std::size_t o = 0; o < origins.numbers.size(); ++o) {
    if (!context.output_gradients[o].defined()) continue;
    visit_float(context.output_gradients[o].dtype(), [&]<typename T>(T) {
      std::vector<T*> to;
      for (Tensor& gradient : context.input_gradients)
        to.push_back(gradient.defined() ? gradient.mutable_data<T>().data() : nullptr);
      const auto dy = context.output_gradients[o].data<T>();
      for (std::size_t i = 0; i < origins.numbers[o].size(); ++i) {
        if (origins.numbers[o][i] == 0) continue;
        const auto [input, element] = origins.place_of(origins.numbers[o][i]);
        if (to[input] != nullptr) to[input][element] += dy[i];
      }
    });
  }
}

}  // namespace espquant::ops
