#include "tests/fuzz/instruction_sets.h"

// As conv_simd.cpp, so that the list has what that is compiled for.
#define HWY_WANT_AVX3_DL
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <algorithm>

#include "base/error.h"

namespace espquant::test {
namespace {

void limit_to(std::int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().DeInit();
}

}  // namespace

const std::vector<std::string>& vector_sets() {
  static const std::vector<std::string> sets = [] {
    std::vector<std::string> names;
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets())
      if (target != HWY_SCALAR && target != HWY_EMU128) names.emplace_back(hwy::TargetName(target));
    return names;
  }();
  return sets;
}

OnlyInstructionSet::OnlyInstructionSet(std::string_view name) : limited_(name != "best") {
  if (!limited_) return;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (name != hwy::TargetName(target)) continue;
    limit_to(target);
    return;
  }
  throw Error(ErrorCode::Usage,
              "this machine cannot run instruction set '" + std::string(name) + "'")
      .remedy("Leave the field isa out, or run on a machine that has it");
}

OnlyInstructionSet::~OnlyInstructionSet() {
  if (limited_) limit_to(0);
}

}  // namespace espquant::test
