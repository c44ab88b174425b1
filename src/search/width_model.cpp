#include "search/width_model.h"

#include <algorithm>

namespace espquant::search {

using strategy::LayerWidth;

std::optional<WidthModel> WidthModel::measure(const Field& field, const Config& family,
                                              std::span<const TensorInfo> tensors, Desk& desk) {
  const std::size_t count = field.layers.size();
  Config wide = family;
  std::fill(wide.widths.begin(), wide.widths.end(), LayerWidth::Wide);
  std::vector<Work> works{{Work::Kind::Look, field.recipe_of(wide), ""}};
  // In the order of the layers: what each has in common with the base is computed once.
  for (std::size_t l = 0; l < count; ++l) {
    Config one = wide;
    one.widths[l] = LayerWidth::Narrow;
    works.push_back({Work::Kind::Look, field.recipe_of(one), ""});
  }
  std::vector<std::size_t> with_weights;
  for (std::size_t l = 0; l < count; ++l) {
    if (!field.may_have(l, LayerWidth::NarrowWeights)) continue;
    with_weights.push_back(l);
    Config one = wide;
    one.widths[l] = LayerWidth::NarrowWeights;
    works.push_back({Work::Kind::Look, field.recipe_of(one), ""});
  }
  const recipe::Recipe plain = field.recipe_of(family);
  for (const TensorInfo& tensor : tensors)
    works.push_back({Work::Kind::Tensor, plain, tensor.name});
  const std::vector<std::optional<Outcome>> outcomes = desk.ask(works);
  for (const auto& outcome : outcomes)
    if (!outcome || !outcome->refusal.empty()) return std::nullopt;

  WidthModel model;
  model.floor_ = outcomes[0]->judged_mean;
  const auto cost_of = [](const Outcome& o) {
    return Cost{o.milliseconds, static_cast<double>(o.flash)};
  };
  model.wide_ = cost_of(*outcomes[0]);
  const auto beyond_floor = [&](const Outcome& o) {
    return std::max(o.judged_mean - model.floor_, 0.0);
  };
  const auto saved = [&](const Outcome& o) {
    const Cost cost = cost_of(o);
    return Cost{model.wide_.milliseconds - cost.milliseconds, model.wide_.flash - cost.flash};
  };
  for (std::size_t l = 0; l < count; ++l) {
    model.alone_.push_back(beyond_floor(*outcomes[1 + l]));
    model.narrow_saves_.push_back(saved(*outcomes[1 + l]));
  }
  std::vector<double> weights(count, 0.0);
  model.weights_save_.resize(count);
  std::size_t next = 1 + count;
  for (const std::size_t l : with_weights) {
    weights[l] = beyond_floor(*outcomes[next]);
    model.weights_save_[l] = saved(*outcomes[next++]);
  }
  std::vector<strategy::NoiseSource> sources;
  for (const TensorInfo& tensor : tensors)
    sources.push_back({beyond_floor(*outcomes[next++]), tensor.layers});
  model.sources_.emplace(model.alone_, std::move(sources), weights);
  return model;
}

WidthModel::Cost WidthModel::saving(std::size_t layer, LayerWidth width) const {
  if (width == LayerWidth::Narrow) return narrow_saves_[layer];
  if (width == LayerWidth::NarrowWeights) return weights_save_[layer];
  return {};
}

WidthModel::Prediction WidthModel::of(std::span<const LayerWidth> widths) const {
  Prediction prediction{floor_ + sources_->left(widths), wide_.milliseconds, wide_.flash};
  for (std::size_t l = 0; l < widths.size(); ++l) {
    const Cost saved = saving(l, widths[l]);
    prediction.milliseconds -= saved.milliseconds;
    prediction.flash -= saved.flash;
  }
  return prediction;
}

double WidthModel::price_of(std::size_t layer, LayerWidth from, LayerWidth to, Price price) const {
  const Cost before = saving(layer, from), after = saving(layer, to);
  // What is free, or pays for itself, goes first.
  constexpr double kLeastMs = 1e-6, kLeastBytes = 1;
  return price == Price::Milliseconds ? std::max(before.milliseconds - after.milliseconds, kLeastMs)
                                      : std::max(before.flash - after.flash, kLeastBytes);
}

std::vector<std::vector<LayerWidth>> WidthModel::greedy_way(const Field& field, Price price) const {
  std::vector<LayerWidth> now(field.layers.size(), LayerWidth::Narrow);
  std::vector<std::vector<LayerWidth>> way;
  while (true) {
    double best = 0;
    std::size_t layer = 0;
    LayerWidth width = LayerWidth::Narrow;
    for (std::size_t l = 0; l < now.size(); ++l)
      for (const LayerWidth to : {LayerWidth::NarrowWeights, LayerWidth::Wide}) {
        if (to <= now[l] || !field.may_have(l, to)) continue;
        const double worth =
            sources_->gain(l, to, now, now.size()) / price_of(l, now[l], to, price);
        if (worth <= best) continue;
        best = worth;
        layer = l;
        width = to;
      }
    if (best <= 0) return way;
    now[layer] = width;
    way.push_back(now);
  }
}

}  // namespace espquant::search
