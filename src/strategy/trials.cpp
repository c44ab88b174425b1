#include "strategy/trials.h"

namespace espquant::strategy {

Trials::Trials(const Workbench& bench, quant::Settings base, Means means, lower::Options options,
               const FloatRun& run)
    : bench_(bench),
      base_(std::move(base)),
      means_(means),
      options_(std::move(options)),
      run_(run) {
  ESPQUANT_ASSERT(means != Means::MatchOrUndo, "trials are made in one way");
}

void Trials::start() {
  trunk_ = std::make_unique<SteppedRun>(bench_.draft(base_, options_), bench_.plan(), *base_.target,
                                        run_, means_ == Means::Match);
}

Candidate Trials::make(const quant::Settings& settings) {
  if (trunk_ == nullptr) start();
  Candidate draft = bench_.draft(settings, options_);
  const std::size_t shared = trunk_->shared_nodes(draft);
  if (shared < trunk_->position())
    return SteppedRun(std::move(draft), bench_.plan(), *settings.target, run_,
                      means_ == Means::Match)
        .finish();
  trunk_->advance(shared);
  return SteppedRun(std::move(draft), *trunk_).finish();
}

void Trials::rebase(quant::Settings base) {
  base_ = std::move(base);
  if (trunk_ == nullptr) return;
  Candidate draft = bench_.draft(base_, options_);
  if (trunk_->shared_nodes(draft) < trunk_->position())
    start();
  else
    trunk_ = std::make_unique<SteppedRun>(std::move(draft), *trunk_);
}

}  // namespace espquant::strategy
