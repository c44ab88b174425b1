#pragma once

#include "target/target.h"

namespace espquant::cli {

/// Prints what of ONNX runs on `target`: a table, the tables of docs/operators.md, or JSON.
void list_operators(const Target& target, bool markdown, bool json);

}  // namespace espquant::cli
