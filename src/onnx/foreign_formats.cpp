#include "onnx/foreign_formats.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "base/error.h"

namespace espquant::onnx {
namespace {

struct ForeignFormat {
  std::string_view magic;
  std::size_t offset;
  std::string_view what;
  std::string_view remedy;
};

using namespace std::string_view_literals;

constexpr std::string_view kFromTorch =
    "load it in PyTorch and export the network with torch.onnx.export(model, example, "
    "\"model.onnx\")";
constexpr std::string_view kFromTensorFlow =
    "convert it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx";

constexpr ForeignFormat kFormats[] = {
    {"TFL3"sv, 4, "is a TensorFlow Lite model",
     "convert it: python -m tf2onnx.convert --tflite FILE --output model.onnx; a quantized one "
     "loses "
     "accuracy twice, so better convert the float network"},
    {"\x89HDF\r\n\x1a\n"sv, 0, "is a Keras model (HDF5)",
     "load it in Keras and export it: model.export(\"model.onnx\", format=\"onnx\"), or tf2onnx"},
    {"\x80\x02"sv, 0, "is a Python pickle, as PyTorch saves weights", kFromTorch},
    {"\x80\x03"sv, 0, "is a Python pickle", kFromTorch},
    {"\x80\x04"sv, 0, "is a Python pickle", kFromTorch},
    {"ORTM"sv, 4, "is a model in ONNX Runtime's own format",
     "give the .onnx file it was made from"},
    {"GGUF"sv, 0, "is a GGUF file of a language model", "export the network as ONNX"},
    {"EDL1"sv, 0, "is an ESP-DL model already",
     "`espquant inspect` shows it, `espquant run` runs it; quantize takes the .onnx file"},
    {"EDL2"sv, 0, "is an ESP-DL model already",
     "`espquant inspect` shows it, `espquant run` runs it; quantize takes the .onnx file"},
    {"PDL1"sv, 0, "is a package of ESP-DL models", "give the .onnx file of one network"},
    {"PDL2"sv, 0, "is a package of ESP-DL models", "give the .onnx file of one network"},
    {"PDL3"sv, 0, "is a package of ESP-DL models", "give the .onnx file of one network"},
    {"\x93NUMPY"sv, 0, "is a NumPy array", "give it as data (--calib), and an .onnx file as model"},
    {"version https://git-lfs"sv, 0, "is a Git LFS pointer, not the file itself",
     "fetch the file: git lfs pull"},
    {"\x1f\x8b"sv, 0, "is compressed with gzip", "unpack it first"},
    {"\x89PNG"sv, 0, "is a picture", "give an .onnx file"},
    {"\xff\xd8\xff"sv, 0, "is a picture", "give an .onnx file"},
};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

[[noreturn]] void refuse(std::string_view what, std::string_view remedy) {
  throw Error(ErrorCode::Malformed, std::string(what) + ", not an ONNX model").remedy(remedy);
}

/// PyTorch, Keras 3 and NumPy all save zip archives: the names of the members tell them apart.
void refuse_zip(std::string_view head) {
  const auto holds = [&](std::string_view name) {
    return head.find(name) != std::string_view::npos;
  };
  if (holds("data.pkl") || holds("/version") || holds("constants.pkl"))
    refuse("is a PyTorch file", kFromTorch);
  if (holds("config.json") || holds("metadata.json"))
    refuse("is a Keras model",
           "load it in Keras and export it: model.export(\"model.onnx\", format=\"onnx\")");
  if (holds(".npy")) refuse("is an .npz archive of arrays", "give it as data (--calib)");
  refuse("is a zip archive", "unpack it, and give the .onnx file in it");
}

/// The header of safetensors: its length in 8 bytes, then a JSON object.
bool is_safetensors(std::string_view head) {
  return head.size() > 10 && head[8] == '{' && head[9] == '"' && head[7] == 0 && head[6] == 0;
}

}  // namespace

void refuse_foreign_format(std::span<const std::byte> bytes) {
  constexpr std::size_t kHead = 4096;
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              std::min(bytes.size(), kHead));
  if (head.empty())
    throw Error(ErrorCode::Malformed, "is empty").remedy("download or export the model again");
  for (const ForeignFormat& format : kFormats)
    if (head.size() >= format.offset && head.substr(format.offset).starts_with(format.magic))
      refuse(format.what, format.remedy);
  if (head.starts_with("PK\x03\x04"sv)) refuse_zip(head);
  if (is_safetensors(head)) refuse("is a file of weights (safetensors)", kFromTorch);
  const std::string start = lower_case(head.substr(0, 512));
  const std::size_t text = start.find_first_not_of(" \t\r\n");
  const auto begins = [&](std::string_view with) {
    return text != std::string::npos && std::string_view(start).substr(text).starts_with(with);
  };
  if (begins("<!doctype html") || begins("<html"))
    refuse("is a page of the web",
           "download the file itself: on GitHub by 'Raw', on Hugging Face by "
           "'resolve' in place of 'blob'");
  if (head.find("saved_model_schema_version"sv) != std::string_view::npos ||
      (head.starts_with("\x08\x01\x12"sv) && head.find("\x0a\x02v1"sv) != std::string_view::npos))
    refuse("is a TensorFlow SavedModel", kFromTensorFlow);
}

}  // namespace espquant::onnx
