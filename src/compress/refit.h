#pragma once

#include "calib/calibrate.h"
#include "compress/channels.h"

namespace espquant::compress {

/// Fits the weights and biases of `smaller`, layer by layer in order, so that each makes of what it
/// now reads what it made in `original`, as nearly as it can in the mean square (He et al. 2017; on
/// the inputs that the smaller network really computes). A layer whose result is added to another
/// value makes up for what that one lacks, too.
///
/// `smaller` is `original` without some channels or nodes: ids are the same. `kept_of` gives, of a
/// value, the indices that its channels had in `original`; empty: all. Samples are spread evenly.
/// `only`: these layers, where not null.
void refit(Graph& smaller, const Graph& original,
           const std::function<std::vector<std::size_t>(ValueId)>& kept_of,
           const calib::SampleSource& source, std::int64_t samples,
           const calib::Progress& progress = {}, const std::vector<NodeId>* only = nullptr);

}  // namespace espquant::compress
