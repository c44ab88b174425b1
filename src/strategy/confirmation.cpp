#include "strategy/confirmation.h"

#include "measure/evaluate.h"

namespace espquant::strategy {

bool is_confirmed(const Workbench& bench, const Candidate& chosen, const Candidate& given,
                  double share) {
  const Target& target = *bench.settings().target;
  const sim::Program mine(chosen.lowered.model, target), its(given.lowered.model, target);
  const calib::SampleSource unseen = bench.unseen();
  if (unseen.count == 0)
    return output_noise(mine, bench.network(), bench.run())
        .is_below(share, output_noise(its, bench.network(), bench.run()));
  const sim::Program* const programs[] = {&mine, &its};
  const ops::Executor reference(bench.network(), {.observe_all = false});
  const std::vector<measure::Evaluation> results =
      measure::evaluate_all(programs, bench.network(), &reference, unseen, {});
  return results[0].noise->is_below(share, *results[1].noise);
}

}  // namespace espquant::strategy
