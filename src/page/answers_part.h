#pragma once

#include <nlohmann/json_fwd.hpp>

#include "job/data.h"
#include "measure/evaluate.h"

namespace espquant::page {

/// What answers were measured on.
struct AnsweredData {
  const data::Dataset& dataset;
  /// Of the data set, in the order of the answers.
  std::span<const std::size_t> samples;
  /// That the network tells apart.
  std::int64_t class_count = 0;
  /// "test" or "calibration".
  const char* called = "test";
};

/// Adds to `model`, one of page["models"] or to become one, where its answers differ from the float
/// network's and from the labels (`answers`, docs/report-data.md): which class is taken for which,
/// how large errors are, and the samples most worth a look, which are added to page["samples"].
/// Does nothing without a float network and labels. `file` may hold names of classes.
void add_answers(nlohmann::ordered_json& page, nlohmann::ordered_json& model,
                 const measure::Evaluation& evaluation, const AnsweredData& data,
                 const espdl::Model& file);

/// The same with the figures of the evaluation: accuracy, agreement.
void add_evaluation(nlohmann::ordered_json& page, nlohmann::ordered_json& model,
                    const measure::Evaluation& evaluation, const AnsweredData& data,
                    const espdl::Model& file);
/// Of all samples that were chosen.
AnsweredData answered(const job::Data& data, const char* called);

}  // namespace espquant::page
