#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "espdl/banks.h"
#include "target/target.h"

/// Banks of exponents, as text and JSON.
namespace espquant::job {

/// How a tensor's exponent follows that of the input, over all banks.
struct Following {
  std::string tensor;
  /// From the quietest bank to the model's own.
  std::vector<int> exponents;
  /// By so many octaves, of those by which the first input's does.
  int octaves = 0, of_input = 0;

  bool follows() const { return octaves != 0 && 2 * octaves >= of_input; }
};

/// Of every tensor of integers that a node writes, in order of execution, and of the inputs.
std::vector<Following> following(const espdl::Model& model, const espdl::Banks& banks);

/// What each bank is for, what it changes, and what is watched. `bytes`: of the .banks file.
std::string banks_text(const espdl::Model& model, const espdl::Banks& banks, std::size_t bytes);
nlohmann::ordered_json banks_json(const espdl::Model& model, const espdl::Banks& banks,
                                  std::size_t bytes);

/// Which layers' ranges follow the input, and which do not.
std::string following_text(const espdl::Model& model, const espdl::Banks& banks);
nlohmann::ordered_json following_json(const espdl::Model& model, const espdl::Banks& banks);

/// "1 (0-22), 2 (23-45), own (46-91)": which frames are of which bank.
std::string frames_by_bank(const std::vector<std::size_t>& banks, std::size_t own);

}  // namespace espquant::job
