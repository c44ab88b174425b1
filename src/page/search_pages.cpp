#include "page/search_pages.h"

#include <nlohmann/json.hpp>

#include "job/evaluate.h"
#include "job/model_facts.h"
#include "job/port_metadata.h"
#include "page/answers_part.h"
#include "page/layers_part.h"
#include "page/model_part.h"

namespace espquant::page {
namespace {

using Json = nlohmann::ordered_json;

void add_point(Json& page, const job::Tuned& tuned, const job::TuneJob& job, std::size_t p) {
  const job::TunedPoint& point = tuned.points[p];
  const search::Tried& tried = tuned.findings.tried[point.tried];
  const Target& target = *tuned.target;
  job::ModelFile file;
  file.path = point.files.front();
  const std::vector<std::byte> bytes = read_file(file.path);
  const espdl::Model model = espdl::read_model(bytes, file.read_options());
  report::FileFacts facts = job::facts_of(bytes, file);
  facts.target = target.name;
  const report::Cost cost =
      report::cost_of(model, target, {}, job.board.latency_for(target, job::ignored));
  Json part = model_part(model, facts, target, &cost);
  // Of a dozen models they would be most of the page.
  if (p != tuned.recommended)
    for (Json& node : part["nodes"]) node.erase("weights");
  part["recipe"] = tried.work.recipe.name;
  part["noise"] = tried.outcome.noise;
  part["noise_samples"] = tuned.deciding_samples;
  part["noise_on"] = tuned.on_test_data ? "test" : "calibration";
  if (tried.outcome.accuracy) part["accuracy"] = *tried.outcome.accuracy;
  if (tried.outcome.agreement) part["agreement"] = *tried.outcome.agreement;
  if (p == tuned.recommended && job.test) {
    const sim::Program program(model, target);
    const job::Evaluated evaluated = job::evaluate(measure::BankPrograms(program), job.model,
                                                   job.network, *job.test, job::ignored);
    add_answers(page, part, evaluated.result, answered(evaluated.data, "test"), model);
  }
  page["models"].push_back(std::move(part));
}

}  // namespace

Json page_of_tuned(const Origin& origin, const job::Tuned& tuned, const job::TuneJob& job) {
  Json page = page_of(origin);
  page["search"] = job::json_of(tuned, job);
  add_point(page, tuned, job, tuned.recommended);
  for (std::size_t p = 0; p < tuned.points.size(); ++p)
    if (p != tuned.recommended) add_point(page, tuned, job, p);
  return page;
}

Json page_of_shrunk(const Origin& origin, const job::ShrunkJob& shrunk,
                    const std::vector<std::filesystem::path>& files) {
  Json page = page_of_quantized(origin, shrunk.quantized, files.at(1));
  Json json = job::json_of(shrunk, files);
  json.erase("seconds");
  page["shrink"] = std::move(json);
  return page;
}

}  // namespace espquant::page
