#pragma once

#include <string_view>

namespace espquant::cost {

/// Whether an operator's single output may take the memory of one of its inputs (ESP-DL 5.2).
enum class InPlace {
  Never,
  Alias,      ///< the same data under another shape: Reshape and its kin
  Overwrite,  ///< the output replaces the input's elements: Add, Relu, ...
};

InPlace in_place_kind(std::string_view op);

}  // namespace espquant::cost
