#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cost/latency.h"

namespace espquant::cost {

/// What `dl::Model::profile()` or `profile_module()` printed on a device (ESP-DL 5.4).
struct Profile {
  /// One per node of the model; nothing for nodes that are not in the print.
  std::vector<std::optional<double>> milliseconds;
  std::optional<double> total_milliseconds;

  double sum() const;
};

/// Reads a log that holds such a print, once or several times (times are averaged): rows with the
/// name of a node and, behind it, its time, and a row that begins with "total". Columns may be
/// separated by blanks, '|' or ','; prefixes of ESP-IDF's log and colors are skipped. Microseconds,
/// unless the row or a heading says ms. Throws Error(BadData) where the log has no such row, names
/// nodes that the model has not, or leaves out nodes that must take time, or where the sum of rows
/// differs from the total by more than 10 %; each says what to do.
Profile parse_profile(std::string_view log, const espdl::Model& model);

struct ProfileFit {
  Board board;
  /// Of the estimates before and after: the total against the measured one, and the mean difference
  /// of a node weighted by its time, all as fractions.
  double total_before = 0;
  double nodes_before = 0, nodes_after = 0;
};

/// The prices of `before`, moved to what a profile of `model` shows: weighted least squares over
/// its nodes, held to the prices before where the model does not show them, then all by one factor
/// so that the sum is the measured one. `Board::within` is the difference of the sum over one half
/// of the nodes when only the other half is known, at least 10 %.
ProfileFit fit_to_profile(const espdl::Model& model, const Target& target, const Board& before,
                          const Profile& profile, const LatencyOptions& options = {});

}  // namespace espquant::cost
