#pragma once

#include "espdl/model.h"
#include "job/data.h"

/// Notes on data that a command takes but that may not be what was meant.
namespace espquant::job {

/// On how the data were made: what the source left out, settings that do not fit each other, values
/// that suggest a wrong preparation.
void question_data(const Data& data, const DataOptions& options, const Graph& network);

/// The same, and on what too few samples to calibrate on leave out.
void question_calibration(const Data& data, const DataOptions& options, const Graph& network);

/// On inputs that lie beyond what those of `model` can hold.
void question_ranges(const Data& data, const espdl::Model& model);

}  // namespace espquant::job
