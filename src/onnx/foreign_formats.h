#pragma once

#include <cstddef>
#include <span>

namespace espquant::onnx {

/// Throws Error(Malformed), saying what it is and how to come to an ONNX file, for bytes that begin
/// as another format does: TensorFlow Lite, HDF5 (Keras), PyTorch, zip archives, SavedModel,
/// safetensors, GGUF, ONNX Runtime's own format, an ESP-DL model, Git LFS pointers, pages of the
/// web, empty files.
void refuse_foreign_format(std::span<const std::byte> bytes);

}  // namespace espquant::onnx
