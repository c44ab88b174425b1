#pragma once

#include "espdl/model.h"

namespace espquant::espdl {

/// input -> Conv -> Clip by table -> output, with one attribute of every kind and a per-channel
/// filter.
inline Model sample_model() {
  Model m;
  m.name = "sample";
  m.producer = "espquant";
  m.producer_version = "0.1";
  m.doc = "for tests";
  m.model_version = 3;
  m.opsets = {{"", 18}};
  m.metadata = {{"target", "esp32s3"}, {"note", ""}};
  m.inputs = {"input"};
  m.outputs = {"output"};
  m.values = {{"input", DType::Int8, {1, 2, 2, 3}, {-7}},
              {"hidden", DType::Int8, {1, 2, 2, 2}, {-4}},
              {"output", DType::Int8, {1, 2, 2, 2}, {-5}}};
  m.initializers = {
      {"filter",
       Tensor::of<std::int8_t>({1, 1, 3, 2}, {1, -2, 3, -4, 5, -128}),
       {-6, -5},
       "layout ==> NHWC"},
      {"bias", Tensor::of<std::int32_t>({2}, {-70000, 9}), {-13, -12}, "layout ==> UNK"},
      {"table", Tensor::of<std::int16_t>({3}, {-300, 0, 300}), {-5}, ""},
      {"empty", Tensor(DType::Float32, {0}), {0}, ""},
      {"factor", Tensor::scalar<float>(0.25F), {0}, ""}};
  Node conv;
  conv.name = "conv";
  conv.op = "Conv";
  conv.inputs = {"input", "filter", "bias"};
  conv.outputs = {"hidden"};
  conv.attributes = {{"activation", std::string("Linear")},
                     {"group", std::int64_t{1}},
                     {"pads", std::vector<std::int64_t>{0, 0, 0, 0}}};
  Node clip;
  clip.name = "clip";
  clip.op = "Clip";
  clip.inputs = {"hidden", "", "factor"};
  clip.outputs = {"output"};
  clip.attributes = {{"lut", std::string("table")},
                     {"alpha", 0.5F},
                     {"zero", std::int64_t{0}},
                     {"scales", std::vector<float>{0.0F, 2.0F}},
                     {"one_scale", std::vector<float>{2.0F}},
                     {"labels", std::vector<std::string>{"a", "it's"}},
                     {"value", Constant{"", Tensor::scalar<std::int64_t>(-5), {}, ""}}};
  m.nodes = {conv, clip};
  m.test_inputs = {{"input",
                    Tensor::of<std::int8_t>({1, 2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}),
                    {-7},
                    ""}};
  m.test_outputs = {
      {"output", Tensor::of<std::int8_t>({1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}), {-5}, ""}};
  return m;
}

}  // namespace espquant::espdl
