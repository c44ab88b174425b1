#include "strategy/fit_schedule.h"

#include "base/error.h"
#include "schedule/same_integers.h"

namespace espquant::strategy {

void fit_schedule(espdl::Model& model, const Target& target, const cost::LatencyOptions& latency,
                  const schedule::Goal& goal) {
  auto optimized = schedule::optimize(model, {target, latency}, {goal, {}});
  schedule::require_same_integers(model, optimized.model, target);
  model = std::move(optimized.model);
}

void require_no_banks(const recipe::Recipe& recipe) {
  if (recipe.dynamic.enabled)
    throw Error(ErrorCode::Usage, "banks of exponents name the nodes of the file before --fit")
        .remedy("Leave out --fit, or choose a recipe without banks");
}

}  // namespace espquant::strategy
