#include <cstdio>
#include <cstring>

#include "model.hpp"
#include "postprocess.hpp"

extern "C" void app_main() {
  const firmware::ModelFacts& facts = firmware::kModels[0];
  dl::Model* model = firmware::load_model(facts);
  if (model == nullptr) return;
  if (facts.has_test_values)
    printf("test values of the file: %s\n", model->test() == ESP_OK ? "ok" : "FAILED");

  // Put your own data here: the integers that the inputs take, value / 2^exponent rounded, or a
  // picture by firmware::Preprocessor.
  for (size_t i = 0; i < facts.input_count; ++i)
    std::memset(firmware::input_data(model, facts.inputs[i]), 0, facts.inputs[i].bytes());
  model->run();
  for (size_t i = 0; i < facts.output_count; ++i)
    firmware::print_output(facts, facts.outputs[i], firmware::output_data(model, facts.outputs[i]));
  delete model;
}
