#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace espquant::test {

/// Instruction sets that the vector kernels are compiled for and this machine runs, as Highway
/// names them: "AVX3_DL", "AVX2", ...
const std::vector<std::string>& vector_sets();

/// While it lives, the vector kernels use this instruction set; "best" leaves the choice to
/// Highway. Throws Error(Usage) on a name that is not in vector_sets(). Not for several threads.
class OnlyInstructionSet {
 public:
  explicit OnlyInstructionSet(std::string_view name);
  ~OnlyInstructionSet();
  OnlyInstructionSet(const OnlyInstructionSet&) = delete;
  OnlyInstructionSet& operator=(const OnlyInstructionSet&) = delete;

 private:
  bool limited_;
};

}  // namespace espquant::test
