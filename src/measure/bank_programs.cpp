#include "measure/bank_programs.h"

#include "measure/planned_memory.h"

namespace espquant::measure {

BankPrograms::BankPrograms(const sim::Program& own, const espdl::Banks& banks) : banks_(&banks) {
  for (std::size_t b = 0; b < banks.banks.size(); ++b) {
    models_.push_back(espdl::with_bank(own.model(), banks, b));
    all_.push_back(&programs_.emplace_back(models_.back(), own.target(), own.options()));
    compute_in_planned_memory(programs_.back());
  }
  all_.push_back(&own);
}

std::size_t BankPrograms::choose(std::span<const Tensor> inputs) const {
  if (programs_.empty()) return 0;
  return banks_->choose(espdl::statistic_of(inputs, banks_->statistic, banks_->percentile));
}

std::size_t BankPrograms::choose(std::span<const Tensor> inputs, std::size_t before) const {
  if (programs_.empty()) return 0;
  return banks_->choose(espdl::statistic_of(inputs, banks_->statistic, banks_->percentile), before);
}

}  // namespace espquant::measure
