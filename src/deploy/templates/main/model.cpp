#include "model.hpp"

#include <cstdio>

#include "model_storage.hpp"

namespace firmware {
namespace {

// Whether the model on the chip has the tensors that this application was generated for.
bool fits(const char* name, dl::TensorBase* tensor, const TensorFacts& facts) {
  if (tensor != nullptr && tensor->get_dtype() == static_cast<dl::dtype_t>(facts.type) &&
      static_cast<size_t>(tensor->get_size()) == facts.elements)
    return true;
  printf("model %s: the tensor '%s' is not the one that this application was made for\n", name,
         facts.name);
  return false;
}

template <typename Map>
dl::TensorBase* find(Map& tensors, const char* name) {
  const auto found = tensors.find(name);
  return found == tensors.end() ? nullptr : found->second;
}

}  // namespace

dl::Model* load_model(const ModelFacts& facts) {
  dl::Model* model = open_stored_model(facts.name_in_package);
  if (model == nullptr) return nullptr;
  bool sound = true;
  for (size_t i = 0; i < facts.input_count; ++i)
    sound =
        sound && fits(facts.name, find(model->get_inputs(), facts.inputs[i].name), facts.inputs[i]);
  for (size_t i = 0; i < facts.output_count; ++i)
    sound = sound &&
            fits(facts.name, find(model->get_outputs(), facts.outputs[i].name), facts.outputs[i]);
  if (sound) return model;
  delete model;
  return nullptr;
}

void* input_data(dl::Model* model, const TensorFacts& input) {
  return model->get_input(input.name)->get_element_ptr();
}

const void* output_data(dl::Model* model, const TensorFacts& output) {
  return model->get_output(output.name)->get_element_ptr();
}

}  // namespace firmware
