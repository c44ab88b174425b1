#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "schedule/dataflow.h"

namespace espquant::schedule {

/// Nodes [first, end) of a model, to be computed band by band: a few rows of all their results, then
/// the next (patches, as MCUNetV2 calls them).
struct Region {
  std::size_t first = 0, end = 0;
  /// Where bands begin, and the end of the last: rows of the output that has the fewest. Others have
  /// as large a share of theirs.
  std::vector<std::int64_t> cuts;

  std::int64_t bands() const { return static_cast<std::int64_t>(cuts.size()) - 1; }
};

/// What a band computes, by numbers of a Dataflow. Made again and again for a search, so that its
/// memory is kept.
struct Band {
  /// Per tensor; empty for those that are not of the region, and for those that the band does not
  /// need.
  std::vector<Rows> computed;
  /// Per node of the model: of its operands with rows.
  std::vector<NeededRows> needed;
};

/// Looks at regions of one model.
class Regions {
 public:
  Regions(const Dataflow& flow, const Conditions& conditions);

  /// Tensors that these nodes make and others read, or that are visible; in order of production.
  /// Nothing where one of the nodes has no RowRule, or where an operand that is needed whole is made
  /// inside.
  std::optional<std::vector<std::size_t>> outputs_of(std::size_t first, std::size_t end) const;

  /// The rows of an output that are a band's own.
  static Rows own_rows(const FlowTensor& tensor, const Region& region, std::int64_t band) {
    return own_rows(tensor, region.cuts[static_cast<std::size_t>(band)],
                    region.cuts[static_cast<std::size_t>(band) + 1], region.cuts.back());
  }

  /// What the rows from one cut to another of `all` need. False where they are too few for the
  /// runtime's loops to compute the same.
  bool make_band(const Region& region, const std::vector<std::size_t>& outputs, std::int64_t band,
                 Band& made) const;

  struct Banded {
    Region region;
    double milliseconds = 0;
  };
  /// The nodes in as few bands as there can be with at most `limit` bytes in memory at a time, what
  /// only passes by included, but no fewer than `parts`. Finished rows gather, so that later bands
  /// are smaller. Nothing where no bands serve.
  std::optional<Banded> in_bands(std::size_t first, std::size_t end, std::size_t limit,
                                 std::int64_t parts = 2);

 private:
  /// What does not change from band to band.
  struct Frame {
    std::size_t first = 0, end = 0;
    std::vector<std::size_t> outputs;
    std::int64_t rows = 0;
    /// Bytes that lie there before the region, and that only pass by.
    std::size_t before = 0, passing = 0;
  };
  static Rows own_rows(const FlowTensor& tensor, std::int64_t from, std::int64_t to,
                       std::int64_t all) {
    return {from * tensor.rows() / all, to * tensor.rows() / all};
  }
  bool make_band(const Frame& frame, std::int64_t from, std::int64_t to, Band& made) const;
  std::optional<Frame> frame_of(std::size_t first, std::size_t end, std::size_t limit) const;
  bool fits(const Frame& frame, std::int64_t from, std::int64_t to, std::size_t limit);
  std::optional<std::vector<std::int64_t>> cuts_of(const Frame& frame, std::int64_t most_rows,
                                                   std::size_t limit);
  double milliseconds_of_band(const Frame& frame, std::int64_t from, std::int64_t to);
  double node_milliseconds(std::size_t node, const Rows& output, const NeededRows& needed);
  double slice_milliseconds(std::size_t tensor, std::int64_t rows);
  double concat_milliseconds(std::size_t tensor, const Region& region);
  std::size_t bytes_of_band(const Frame& frame, const Band& band) const;
  std::size_t row_bytes(std::size_t tensor, const Rows& rows) const;

  const Dataflow& flow_;
  const Conditions& conditions_;
  Band band_;
  /// Estimates that come again for other regions.
  std::map<std::tuple<std::size_t, std::int64_t, std::int64_t>, double> of_nodes_;
  std::map<std::tuple<std::size_t, std::int64_t>, double> of_slices_;
};

/// A node that takes rows of a tensor: `first` and `end` are constants of one number each.
espdl::Node row_slice(std::string name, const std::string& tensor, const espdl::ValueInfo& output,
                      std::string first, std::string end, std::string axis, std::string step);

/// The model with the region in bands; the rows of its outputs are put together behind the last.
espdl::Model write_bands(const Dataflow& flow, const Regions& regions, const Region& region,
                         const Target& target);

}  // namespace espquant::schedule
