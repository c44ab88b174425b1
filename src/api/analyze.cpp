#include "espquant/analyze.h"

#include "api/convert.h"
#include "job/analysis_report.h"
#include "job/analyze.h"

namespace espquant {

Analysis analyze(const Network& network, const Data& calib, const AnalyzeOptions& options,
                 const Observer& observer) {
  api::Listener listener(observer);
  job::AnalyzeJob job;
  job.model = network.file;
  job.network = api::network_options(network);
  job.calib = api::data_options(calib, "calibration data");
  if (!options.test.empty()) job.test = api::data_options(options.test, "test data");
  job.samples = options.samples;
  job.target = options.target;
  job.recipe = options.recipe.options();
  const job::Analyzed analyzed = job::analyze(job, listener.tell(), listener.stages());
  const job::AnalysisView all{job::AnalysisOrder::Output, 0, 3};
  return {job::analysis_json(analyzed.analysis, analyzed.made.recipe, *analyzed.target, all),
          job::analysis_text(analyzed.analysis, all)};
}

}  // namespace espquant
