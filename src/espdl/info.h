#pragma once

#include <string>

#include "espdl/model.h"

namespace espquant::espdl {

/// The .info text: the model for human eyes, all elements included, in the words and columns of
/// ESP-PPQ's export, so that the two can be compared line by line. Elements appear as the file
/// stores them, zero-padded to 16 bytes.
std::string info_text(const Model& model);

}  // namespace espquant::espdl
