#include "job/verify.h"

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "data/npz.h"

namespace espquant::job {
namespace {

/// The arrays whose key starts with `prefix`, by what follows.
std::map<std::string, Tensor> arrays_behind(const data::Npz& npz, std::string_view prefix) {
  std::map<std::string, Tensor> arrays;
  for (const std::string& name : npz.names())
    if (name.starts_with(prefix)) arrays.emplace(name.substr(prefix.size()), npz.read(name));
  return arrays;
}

}  // namespace

std::vector<sim::OutputCheck> verify_against(const sim::Program& program,
                                             const std::filesystem::path& file,
                                             const sim::VerifyOptions& options) try {
  const auto npz = data::Npz::open(file);
  const auto expected = arrays_behind(npz, "output:");
  if (expected.empty())
    throw Error(ErrorCode::BadData, "no expected results in it")
        .remedy("Name the arrays input:<tensor> and output:<tensor>");
  return sim::verify(program, arrays_behind(npz, "input:"), expected, options);
} catch (Error& error) {
  throw error.file(file.string());
}

}  // namespace espquant::job
