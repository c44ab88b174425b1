#include "espquant/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/convert.h"
#include "api/model_impl.h"
#include "job/compare.h"
#include "report/json_text.h"

namespace espquant {

struct Comparison::Impl {
  std::string name;
  job::Comparison comparison;
};

Comparison compare(const Network& network, const Data& calib, const CompareOptions& options,
                   const Observer& observer) {
  api::Listener listener(observer);
  job::CompareJob job;
  job.model = network.file;
  job.network = api::network_options(network);
  job.calib = api::data_options(calib, "calibration data");
  if (!options.test.empty()) job.test = api::data_options(options.test, "test data");
  job.target = options.target;
  for (const Recipe& recipe : options.recipes) job.recipes.push_back(recipe.options());
  job.board.file = options.board;
  return Comparison(std::make_shared<const Comparison::Impl>(Comparison::Impl{
      network.file.stem().string(), job::compare(job, listener.tell(), listener.stages())}));
}

std::string Comparison::json() const {
  const std::vector<std::vector<std::filesystem::path>> none(impl_->comparison.results.size());
  return report::json_text(job::json_of(impl_->comparison, impl_->name, none, {}));
}

std::vector<std::filesystem::path> Comparison::save(const std::filesystem::path& folder,
                                                    const std::string& name,
                                                    bool compile_request) const {
  const std::string called = name.empty() ? impl_->name : name;
  OutputFiles output;
  const auto files = job::add_files(output, impl_->comparison, folder, called, compile_request);
  output.add(folder / "compare.json",
             report::json_text(job::json_of(impl_->comparison, called, files, folder)));
  output.commit();
  std::vector<std::filesystem::path> all;
  for (const auto& some : files) all.insert(all.end(), some.begin(), some.end());
  all.push_back(folder / "compare.json");
  return all;
}

Model Comparison::model(const std::string& recipe) const {
  const auto& results = impl_->comparison.results;
  const auto found = std::ranges::find_if(
      results, [&](const strategy::Compared& r) { return r.recipe.name == recipe; });
  if (found == results.end())
    throw Error(ErrorCode::Usage, fmt::format("no recipe '{}' was compared", recipe));
  if (!found->refusal.empty())
    throw Error(ErrorCode::Usage,
                fmt::format("the recipe '{}' was refused: {}", recipe, found->refusal));
  job::ModelFile file;
  file.path = impl_->name + ".espdl";
  return Model(make_model(found->file->bytes(), std::move(file)));
}

}  // namespace espquant
