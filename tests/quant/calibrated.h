#pragma once

#include <utility>

#include "quant/quantize.h"
#include "tests/support/network.h"

/// Small networks with what calibration on random samples finds out about them.
namespace espquant::test {

/// Inputs with every element in [low, high), the same at each call.
inline calib::SampleSource random_samples(const Graph& graph, std::int64_t count, float low = -1,
                                          float high = 1) {
  std::vector<Shape> shapes;
  for (ValueId v : graph.inputs()) shapes.push_back(*graph.value(v).shape);
  return {count, [=](std::int64_t i) {
            std::vector<Tensor> inputs;
            for (std::size_t k = 0; k < shapes.size(); ++k)
              inputs.push_back(random_tensor(
                  shapes[k], static_cast<std::uint64_t>(i) * 16 + k + 1000, low, high));
            return inputs;
          }};
}

inline quant::Settings settings_for(std::string_view target) {
  quant::Settings settings;
  settings.target = &find_target(target);
  return settings;
}

struct Calibrated {
  quant::Plan plan;
  quant::Calibration calibration;
};

/// Without covariances: weights are rounded to nearest.
inline Calibrated calibrate(const Graph& graph, const quant::Settings& settings,
                            const calib::SampleSource& source) {
  const ops::Executor executor(graph);
  quant::Plan plan = quant::make_plan(graph, settings, calib::scan(executor, source, source.count));
  quant::Calibration calibration;
  calibration.statistics = calib::gather(executor, source, plan.requests);
  calibration.inputs = quant::layer_inputs(graph, calibration.statistics);
  return {std::move(plan), std::move(calibration)};
}

inline const Node& producer_of(const Graph& graph, ValueId v) {
  return graph.node(graph.value(v).producer);
}

}  // namespace espquant::test
