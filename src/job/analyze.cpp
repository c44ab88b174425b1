#include "job/analyze.h"

#include "job/data_doubts.h"
#include "job/quantize.h"

namespace espquant::job {

Analyzed analyze(const AnalyzeJob& job, const Tell& tell, strategy::StageProgress progress) {
  Prepared prepared = prepare(job.model, job.network, job.calib, job.target, job.recipe, tell);
  const Data& data = prepared.calibration;
  std::optional<Data> other;
  if (job.test) {
    other = open_data(*job.test, prepared.imported, tell);
    question_data(*other, *job.test, prepared.imported);
  }
  strategy::QuantizeOptions options;
  options.report_samples = 0;
  options.test_values = false;
  strategy::QuantizedModel made = follow_recipe(prepared, options, job.model, job.recipe, progress);
  progress = {};
  const calib::SampleSource source = other ? other->source() : data.source();
  std::vector<std::int64_t> samples = strategy::evenly_spread(source.count, job.samples);
  analysis::Analysis analysis = analysis::analyze(made, *prepared.target, source, samples);
  std::optional<strategy::FoundBanks> banks;
  if (made.recipe.dynamic.enabled)
    banks = strategy::find_banks(made, *prepared.target, data.source(),
                                 strategy::bank_options_of(made.recipe.dynamic));
  return {prepared.target,  std::move(prepared.calibration),
          std::move(other), std::move(samples),
          std::move(made),  std::move(analysis),
          std::move(banks)};
}

}  // namespace espquant::job
