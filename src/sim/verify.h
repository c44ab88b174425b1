#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/program.h"

/// Compares what a Program computes with what somebody else says it should.
namespace espquant::sim {

enum class Tolerance : std::uint8_t {
  Exact,  ///< every bit; any NaN equals any other
  EspDl,  ///< as Model::test() of ESP-DL 1.6: int8 exact, int16 within 1, float within 2e-5
};

struct OutputCheck {
  std::string name;
  std::int64_t elements = 0;
  /// Elements outside the tolerance, and elements that differ at all.
  std::int64_t mismatches = 0, different = 0;
  /// Largest difference, in steps of the last place for integers, absolute for floats.
  double largest = 0;
  /// Position of the first mismatch in row-major order; -1 without one.
  std::int64_t first = -1;
  /// Why the elements could not be compared (type, shape or exponent); empty when they could.
  std::string problem;

  bool passed() const { return problem.empty() && mismatches == 0; }
};

struct VerifyOptions {
  Tolerance tolerance = Tolerance::EspDl;
  /// Absolute, for floats under Tolerance::EspDl.
  double float_tolerance = 2e-5;
};

/// Feeds the test inputs that the file carries (through assign(), as the chip does), runs, and
/// compares every test output, graph output or intermediate, in type, shape, exponent and elements.
/// Throws Error(BadData) when the file has no test values or lacks those of an input.
std::vector<OutputCheck> verify_test_values(const Program& program,
                                            const VerifyOptions& options = {});

/// The same on given tensors, by name, in the types and exponents of the model. Throws
/// Error(BadData) when an input is missing or does not fit.
std::vector<OutputCheck> verify(const Program& program, const std::map<std::string, Tensor>& inputs,
                                const std::map<std::string, Tensor>& expected,
                                const VerifyOptions& options = {});

/// Compares one tensor with another of the same name.
OutputCheck compare(const std::string& name, const Tensor& actual, const Tensor& expected,
                    const VerifyOptions& options = {});

}  // namespace espquant::sim
