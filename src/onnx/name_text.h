#pragma once

#include "onnx_schema.pb.h"

namespace espquant::onnx {

/// Names go into files, JSON and terminals. Protobuf wants UTF-8, but does not look when it reads.
/// Throws Malformed with the name where one of `model`, its functions or a graph inside is not.
void refuse_names_that_are_no_text(const onnx_schema::Model& model);

}  // namespace espquant::onnx
