#include "strategy/trials.h"

#include <algorithm>
#include <map>

#include "base/fixed_point.h"
#include "base/parallel.h"

namespace espquant::strategy {
namespace {

// Each holds all samples' tensors.
constexpr int kMostAtOnce = 4;

}  // namespace

Trials::Trials(const Workbench& bench, quant::Settings base, Means means, const FloatRun& run)
    : bench_(bench), run_(run), base_(std::move(base)), match_means_(means != Means::AsTheyAre) {}

std::unique_ptr<SteppedRun> Trials::run_of(Candidate draft) const {
  return std::make_unique<SteppedRun>(std::move(draft), bench_.plan(), *base_.target, run_,
                                      match_means_);
}

void Trials::branch(SteppedRun& run) {
  if (trunk_ == nullptr) trunk_ = run_of(bench_.draft(base_));
  const std::size_t shared = trunk_->shared_nodes(run);
  if (shared < trunk_->position()) return;
  trunk_->advance(shared);
  run.go_on_from(*trunk_);
}

Candidate Trials::make(const quant::Settings& settings) {
  const std::unique_ptr<SteppedRun> run = run_of(bench_.draft(settings));
  branch(*run);
  return run->finish();
}

void Trials::finish_each(std::size_t count,
                         const std::function<Runs(std::size_t first, std::size_t end)>& start,
                         const std::function<void(std::size_t, Candidate)>& visit) {
  // One network in a thread keeps it busier than all threads at one, as far as memory goes.
  const auto at_once = static_cast<std::size_t>(std::min(thread_count(), kMostAtOnce));
  for (std::size_t first = 0; first < count; first += at_once) {
    const std::size_t end = std::min(first + at_once, count);
    Runs runs = start(first, end);
    std::vector<Candidate> candidates(runs.size());
    parallel_for(static_cast<std::int64_t>(runs.size()), [&](std::int64_t i) {
      const auto r = static_cast<std::size_t>(i);
      candidates[r] = runs[r]->finish();
    });
    runs.clear();
    for (std::size_t r = 0; r < candidates.size(); ++r) visit(first + r, std::move(candidates[r]));
  }
}

void Trials::make_each(std::span<const quant::Settings> all,
                       const std::function<void(std::size_t, Candidate)>& visit) {
  const auto start = [&](std::size_t first, std::size_t end) {
    Runs runs(end - first);
    parallel_for(static_cast<std::int64_t>(runs.size()), [&](std::int64_t i) {
      const auto r = static_cast<std::size_t>(i);
      runs[r] = run_of(bench_.draft(all[first + r]));
    });
    for (const auto& run : runs) branch(*run);
    return runs;
  };
  finish_each(all.size(), start, visit);
}

std::vector<measure::OutputNoise> Trials::narrow_each(std::span<const Narrowing> all) {
  const Candidate draft = bench_.draft(base_);
  std::map<std::string_view, std::size_t> written;
  const std::vector<espdl::Node>& nodes = draft.lowered.model.nodes;
  for (std::size_t n = 0; n < nodes.size(); ++n)
    for (const std::string& name : nodes[n].outputs) written.emplace(name, n + 1);
  const auto start = [&](std::size_t first, std::size_t end) {
    Runs runs(end - first);
    parallel_for(static_cast<std::int64_t>(runs.size()),
                 [&](std::int64_t i) { runs[static_cast<std::size_t>(i)] = run_of(draft); });
    for (std::size_t i = first; i < end; ++i) {
      // Inputs are there before the first node.
      const auto it = written.find(all[i].tensor);
      const std::size_t position = it == written.end() ? 0 : it->second;
      if (trunk_ == nullptr || trunk_->position() > position) trunk_ = run_of(draft);
      trunk_->advance(position);
      runs[i - first]->go_on_from(*trunk_);
      runs[i - first]->narrow(all[i].tensor, all[i].step);
    }
    return runs;
  };
  std::vector<measure::OutputNoise> noises(all.size());
  finish_each(all.size(), start,
              [&](std::size_t i, const Candidate& candidate) { noises[i] = candidate.noise; });
  return noises;
}

void Trials::rebase(quant::Settings base) {
  base_ = std::move(base);
  if (trunk_ == nullptr) return;
  std::unique_ptr<SteppedRun> run = run_of(bench_.draft(base_));
  if (trunk_->shared_nodes(*run) >= trunk_->position()) run->go_on_from(*trunk_);
  trunk_ = std::move(run);
}

std::vector<Trials::Narrowing> narrowings_of(const Workbench& bench,
                                             std::span<const SharedTensor> tensors,
                                             const quant::Settings& narrow,
                                             const quant::Settings& wide) {
  const Candidate in_8 = bench.draft(narrow);
  const Candidate in_16 = bench.draft(wide);
  std::vector<Trials::Narrowing> narrowings;
  for (const SharedTensor& tensor : tensors) {
    const auto group = static_cast<std::size_t>(bench.plan().scales.sets.find(tensor.value));
    const Value& value = in_8.graph.value(tensor.value);
    narrowings.push_back(
        {in_16.lowered.orders.at(value.name).tensor,
         pow2(value.quant->exponent()) * in_16.factors[group] / in_8.factors[group]});
  }
  return narrowings;
}

}  // namespace espquant::strategy
