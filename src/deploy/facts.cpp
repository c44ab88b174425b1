#include "deploy/facts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/fixed_point.h"
#include "base/digest.h"
#include "deploy/model_cost.h"

namespace espquant::deploy {
namespace {

constexpr std::size_t kBlock = 16;

/// A C++ string literal. Bytes beyond ASCII stay as they are: sources are UTF-8.
std::string cpp_literal(std::string_view text) {
  std::string literal = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      literal += {'\\', c};
    else if (c == '?')  // "??=" and the like were other characters before C++17
      literal += "\\?";
    else if (code < 0x20 || code == 0x7F)
      literal += fmt::format("\\{:03o}", code);
    else
      literal += c;
  }
  return literal + '"';
}

std::string_view element_type_of(const espdl::ValueInfo& value) {
  switch (value.dtype) {
    case DType::Float32:
      return "Float";
    case DType::UInt8:
      return "Uint8";
    case DType::Int8:
      return "Int8";
    case DType::UInt16:
      return "Uint16";
    case DType::Int16:
      return "Int16";
    case DType::Int32:
      return "Int32";
    case DType::Int64:
      return "Int64";
    case DType::Bool:
      return "Bool";
    default:
      throw Error(ErrorCode::Unsupported,
                  fmt::format("an application takes no {}", to_string(value.dtype)))
          .tensor(value.name);
  }
}

const espdl::ValueInfo& value_of(const espdl::Model& model, const std::string& name) {
  const auto* value = model.find_value(name);
  if (value == nullptr)
    throw Error(ErrorCode::Malformed, "the file does not describe it").tensor(name);
  return *value;
}

std::string tensors_text(const espdl::Model& model, const std::vector<std::string>& names,
                         bool outputs) {
  std::string text;
  for (const std::string& name : names) {
    const auto& value = value_of(model, name);
    text += fmt::format("    {{{}, ElementType::{}, {}, {}, {}}},\n", cpp_literal(name),
                        element_type_of(value), element_count(value.shape), value.exponent(),
                        outputs && holds_scores(value));
  }
  return text;
}

std::int64_t microseconds_of(double milliseconds) {
  return static_cast<std::int64_t>(std::llround(1000 * milliseconds));
}

std::string nodes_text(const cost::LatencyEstimate& estimate) {
  std::string text;
  for (const auto& node : estimate.nodes)
    text += fmt::format("    {{{}, {}, {}}},\n", cpp_literal(node.node), cpp_literal(node.op),
                        microseconds_of(node.milliseconds));
  return text;
}

/// Softmax and Sigmoid give probabilities; what stands in the order of another view still does.
bool gives_probabilities(const espdl::Model& model) {
  std::string name = model.outputs.empty() ? "" : model.outputs.front();
  for (auto node = model.nodes.rbegin(); node != model.nodes.rend(); ++node) {
    if (std::find(node->outputs.begin(), node->outputs.end(), name) == node->outputs.end())
      continue;
    if (node->op == "Softmax" || node->op == "Sigmoid") return true;
    static constexpr std::array<std::string_view, 8> kViews = {
        "Reshape",   "Flatten",  "Squeeze",          "Unsqueeze",
        "Transpose", "Identity", "RequantizeLinear", "DequantizeLinear"};
    if (std::find(kViews.begin(), kViews.end(), node->op) == kViews.end() || node->inputs.empty())
      return false;
    name = node->inputs.front();
  }
  return false;
}

std::string_view name_of(data::Fit fit) {
  switch (fit) {
    case data::Fit::Letterbox:
      return "Letterbox";
    case data::Fit::CenterCrop:
      return "CenterCrop";
    case data::Fit::Stretch:
      break;
  }
  return "Stretch";
}

std::string_view name_of(data::Resize resize) {
  switch (resize) {
    case data::Resize::PillowBilinear:
      return "PillowBilinear";
    case data::Resize::Nearest:
      return "Nearest";
    case data::Resize::OpenCvBilinear:
      break;
  }
  return "OpenCvBilinear";
}

std::string_view name_of(data::Color color) {
  return color == data::Color::Gray ? "Gray" : color == data::Color::Rgb ? "Rgb" : "Bgr";
}

std::string numbers_text(std::span<const std::int16_t> numbers) {
  constexpr std::size_t kPerLine = 16;
  std::string text;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    text += fmt::format("{}{},{}", i % kPerLine == 0 ? "    " : " ", numbers[i],
                        i % kPerLine == kPerLine - 1 ? "\n" : "");
  return text;
}

std::string pictures_text(std::size_t m, const PictureInput& pictures,
                          const espdl::ValueInfo& input, const Target& target) {
  const data::Preprocess& p = pictures.preprocess;
  std::string text =
      fmt::format("// {}\nconst int16_t kPixelValues{}[] = {{\n{}}};\n\n", data::describe(p), m,
                  numbers_text(pixel_integers(p, input, target)));
  return text + fmt::format(
                    "const PreprocessSettings kPictures{} = {{\n"
                    "    {}, {}, Resize::{}, Fit::{}, {}, {}, Color::{}, {}, {}, {}, {}, "
                    "kPixelValues{},\n}};\n\n",
                    m, p.width, p.height, name_of(p.resize), name_of(p.fit), p.short_side, p.pad,
                    name_of(p.color), pictures.row_stride, pictures.column_stride,
                    pictures.channel_stride, input.dtype == DType::Int16, m);
}

/// Of all pixel values, [channels][256].
Tensor pixel_ramp(const data::Preprocess& preprocess) {
  data::Preprocess ramp = preprocess;
  ramp.width = 256;
  ramp.height = 1;
  ramp.fit = data::Fit::Stretch;
  ramp.layout = data::Layout::Nchw;
  Tensor pixels(DType::UInt8, {1, 256, preprocess.channels()});
  auto pixel = pixels.mutable_data<std::uint8_t>();
  for (std::size_t i = 0; i < pixel.size(); ++i)
    pixel[i] = static_cast<std::uint8_t>(i / static_cast<std::size_t>(preprocess.channels()));
  return data::apply(ramp, pixels);
}

std::string real_pixels_text(std::size_t m, const data::Preprocess& preprocess) {
  std::string numbers;
  const Tensor ramp = pixel_ramp(preprocess);
  for (const float v : ramp.data<float>()) numbers += fmt::format("    {:a}F,\n", v);
  return fmt::format("const float kRealPixels{}[] = {{\n{}}};\n\n", m, numbers);
}

/// With one more, as an array may not be empty.
std::string sample_banks_text(std::size_t m, const std::vector<Sample>& samples) {
  std::string numbers;
  for (const Sample& sample : samples) numbers += fmt::format("{}, ", sample.bank);
  return fmt::format("const uint8_t kSampleBanks{}[] = {{{}0}};\n\n", m, numbers);
}

std::size_t padded_size(const Tensor& tensor) {
  return (tensor.byte_size() + kBlock - 1) / kBlock * kBlock;
}

}  // namespace

bool holds_scores(const espdl::ValueInfo& output) {
  constexpr std::int64_t kLeastClasses = 3, kMostClasses = 10000;
  const std::int64_t count = element_count(output.shape);
  return count >= kLeastClasses && count <= kMostClasses && !output.shape.empty() &&
         count == *std::max_element(output.shape.begin(), output.shape.end());
}

std::vector<std::int16_t> pixel_integers(const data::Preprocess& preprocess,
                                         const espdl::ValueInfo& input, const Target& target) {
  const Tensor values = pixel_ramp(preprocess);
  std::vector<std::int16_t> integers;
  const float inverse = pow2(-input.exponent());
  for (const float v : values.data<float>())
    integers.push_back(input.dtype == DType::Int8
                           ? quantize_value<std::int8_t>(v, inverse, target.rounding)
                           : quantize_value<std::int16_t>(v, inverse, target.rounding));
  return integers;
}

std::string samples_file(const ProjectRequest& request) {
  std::string bytes;
  const auto add = [&](const std::vector<Tensor>& tensors) {
    for (const Tensor& tensor : tensors) {
      const auto raw = tensor.bytes();
      bytes.append(reinterpret_cast<const char*>(raw.data()), raw.size());
      bytes.resize((bytes.size() + kBlock - 1) / kBlock * kBlock);
    }
  };
  for (const ProjectModel& model : request.models)
    for (const Sample& sample : model.samples) {
      add(sample.inputs);
      add(sample.outputs);
    }
  // An assembler makes no symbol of nothing.
  if (bytes.empty()) bytes.resize(kBlock);
  return bytes;
}

std::string model_facts_source(const ProjectRequest& request) {
  const Target& target = *request.target;
  std::string text =
      "#include \"model_facts.hpp\"\n\n// clang-format off\n\nnamespace firmware {\nnamespace "
      "{\n\n";
  std::string models;
  std::size_t offset = 0;
  for (std::size_t m = 0; m < request.models.size(); ++m) {
    const ProjectModel& it = request.models[m];
    const espdl::Model& model = it.model;
    const ModelCost cost = cost_of(request, it);
    const auto& estimate = cost.latency;
    text += fmt::format("const TensorFacts kInputs{}[] = {{\n{}}};\n\n", m,
                        tensors_text(model, model.inputs, false));
    text += fmt::format("const TensorFacts kOutputs{}[] = {{\n{}}};\n\n", m,
                        tensors_text(model, model.outputs, true));
    text += fmt::format("const NodeFacts kNodes{}[] = {{\n{}}};\n\n", m, nodes_text(estimate));
    if (!it.classes.empty()) {
      text += fmt::format("const char* const kClasses{}[] = {{\n", m);
      for (const auto& name : it.classes) text += fmt::format("    {},\n", cpp_literal(name));
      text += "};\n\n";
    }
    const bool banks = !request.banks_file.empty();
    if (banks) text += sample_banks_text(m, it.samples);
    if (banks && it.pictures) text += real_pixels_text(m, it.pictures->preprocess);
    if (it.pictures)
      text += pictures_text(m, *it.pictures, value_of(model, model.inputs.front()), target);
    models += fmt::format(
        "    {{{}, {}, {},\n     {}, {}, {}, {}, {},\n     kInputs{}, {}, kOutputs{}, {}, "
        "kNodes{}, "
        "{}, {}, {}, {}, {}, {}, {}, {}, {}}},\n",
        cpp_literal(it.name),
        it.name_in_package.empty() ? "nullptr" : cpp_literal(it.name_in_package),
        cpp_literal(sha256_of(request.file)),
        cpp_literal(fmt::format("{}, ESP-DL {}", target.name, target.release.version)),
        !model.test_inputs.empty() && !model.test_outputs.empty(), gives_probabilities(model),
        microseconds_of(estimate.milliseconds), cost.ram_bytes, m, model.inputs.size(), m,
        model.outputs.size(), m, model.nodes.size(), it.samples.size(), offset,
        it.classes.empty() ? "nullptr" : fmt::format("kClasses{}", m), it.classes.size(),
        it.pictures ? fmt::format("&kPictures{}", m) : "nullptr", request.banks_file.size(),
        banks ? fmt::format("kSampleBanks{}", m) : "nullptr",
        banks && it.pictures ? fmt::format("kRealPixels{}", m) : "nullptr");
    for (const Sample& sample : it.samples) {
      for (const Tensor& tensor : sample.inputs) offset += padded_size(tensor);
      for (const Tensor& tensor : sample.outputs) offset += padded_size(tensor);
    }
  }
  return text + fmt::format(
                    "}}  // namespace\n\nconst ModelFacts kModels[] = {{\n{}}};\nconst size_t "
                    "kModelCount = "
                    "{};\n\n}}  // namespace firmware\n",
                    models, request.models.size());
}

}  // namespace espquant::deploy
