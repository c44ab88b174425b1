#include "espquant/network.h"

#include <nlohmann/json.hpp>

#include "api/convert.h"
#include "job/check_network.h"
#include "ops/op.h"
#include "passes/pass_manager.h"
#include "report/json_text.h"
#include "report/network.h"

namespace espquant {

NetworkCheck check(const Network& network, const std::string& target, const std::string& release) {
  const job::NetworkCheckJob job{network.file, api::network_options(network), target, release, {}};
  const job::CheckedNetwork checked = job::check_network(job, job::ignored);
  return {checked.survey.unsupported() == 0, report::json_text(job::json_of(job, checked))};
}

std::string inspect(const Network& network, bool simplified) try {
  Graph graph = job::read_network(network.file, api::network_options(network));
  if (simplified)
    graph = passes::simplify(std::move(graph));
  else
    ops::infer_known_shapes(graph);
  return report::to_json(report::describe(graph));
} catch (Error& error) {
  throw error.file(network.file.string());
}

}  // namespace espquant
