#include "cost/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "cost/fit.h"
#include "cost/in_place.h"

namespace espquant::cost {
namespace {

/// Without the colors of a terminal.
std::string without_escapes(std::string_view line) {
  std::string plain;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b' && i + 1 < line.size() && line[i + 1] == '[') {
      i += 2;
      while (i < line.size() && (line[i] < '@' || line[i] > '~')) ++i;
    } else {
      plain += line[i];
    }
  }
  return plain;
}

std::vector<std::string> cells_of(std::string_view line) {
  constexpr std::string_view kSeparators = " \t\r|,;";
  std::vector<std::string> cells;
  std::string cell;
  for (const char c : without_escapes(line)) {
    if (kSeparators.find(c) == kSeparators.npos) {
      cell += c;
    } else if (!cell.empty()) {
      cells.push_back(std::move(cell));
      cell.clear();
    }
  }
  if (!cell.empty()) cells.push_back(std::move(cell));
  return cells;
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

struct Time {
  double value = 0;
  /// "us", "ms" or nothing.
  std::string unit;
};

/// "123.4", "123us", "1.2ms".
std::optional<Time> time_of(const std::string& cell) {
  Time time;
  const char* end = cell.data() + cell.size();
  const auto [rest, error] = std::from_chars(cell.data(), end, time.value);
  if (error != std::errc() || !std::isfinite(time.value) || time.value < 0) return std::nullopt;
  time.unit = lower_case(std::string(rest, end));
  if (!time.unit.empty() && time.unit != "us" && time.unit != "ms") return std::nullopt;
  return time;
}

/// The last number behind cell `first`.
std::optional<Time> last_time(const std::vector<std::string>& cells, std::size_t first) {
  std::optional<Time> last;
  for (std::size_t i = first; i < cells.size(); ++i) {
    if (auto time = time_of(cells[i])) {
      if (time->unit.empty() && i + 1 < cells.size()) {
        const std::string next = lower_case(cells[i + 1]);
        if (next == "us" || next == "ms") time->unit = next;
      }
      last = time;
    }
  }
  return last;
}

bool mentions(std::string_view line, std::string_view word) {
  return lower_case(std::string(line)).find(word) != std::string::npos;
}

bool is_heading(std::string_view line) {
  return mentions(line, "name") && (mentions(line, "latency") || mentions(line, "time"));
}

bool is_identifier(const std::string& cell) {
  return !cell.empty() &&
         ((cell[0] >= 'A' && cell[0] <= 'Z') || (cell[0] >= 'a' && cell[0] <= 'z')) &&
         std::all_of(cell.begin(), cell.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '_';
         });
}

/// Averages of what a log says about a model.
class ProfileReader {
 public:
  explicit ProfileReader(const espdl::Model& model) : model_(model) {
    for (std::size_t n = 0; n < model.nodes.size(); ++n) {
      nodes_.emplace(model.nodes[n].name, n);
    }
    sums_.resize(model.nodes.size());
    counts_.resize(model.nodes.size());
  }

  void read(std::string_view line) {
    if (is_heading(line)) {
      default_unit_ = mentions(line, "ms") && !mentions(line, "us") ? "ms" : "us";
      in_table_ = true;
      return;
    }
    const auto cells = cells_of(line);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string word = lower_case(cells[i]);
      const auto known = nodes_.find(cells[i]);
      if (known == nodes_.end() && word != "total" && word != "total:") continue;
      const auto time = last_time(cells, i + 1);
      if (!time) return;
      if (known != nodes_.end()) {
        sums_[known->second] += milliseconds(*time);
        ++counts_[known->second];
      } else if (in_table_ || any_row()) {
        total_ += milliseconds(*time);
        ++totals_;
        in_table_ = false;
      }
      return;
    }
    // NAME TYPE NUMBER, of a node that the model has not.
    if (in_table_ && cells.size() >= 3 && last_time(cells, 2) && is_identifier(cells[1]) &&
        !time_of(cells[0]))
      foreign_.push_back(cells[0]);
  }

  Profile profile() const {
    if (!any_row() && foreign_.empty())
      throw Error(ErrorCode::BadData, "no row with a node's name and its time")
          .remedy("Give what model->profile() or model->profile_module() prints, one row per node");
    if (!foreign_.empty())
      throw Error(ErrorCode::BadData,
                  fmt::format("{} rows are of nodes that the model has not, the first '{}'",
                              foreign_.size(), foreign_.front()))
          .remedy("Profile the same .espdl that is given here");
    Profile profile;
    std::vector<std::string> missing;
    for (std::size_t n = 0; n < sums_.size(); ++n) {
      profile.milliseconds.emplace_back();
      if (counts_[n] > 0)
        profile.milliseconds.back() = sums_[n] / counts_[n];
      else if (in_place_kind(model_.nodes[n].op) != InPlace::Alias)
        missing.push_back(model_.nodes[n].name);
    }
    if (!missing.empty())
      throw Error(ErrorCode::BadData,
                  fmt::format("{} of the model's {} nodes have no row, the first '{}'",
                              missing.size(), model_.nodes.size(), missing.front()))
          .remedy("Profile the same .espdl that is given here, and give the whole print");
    if (totals_ > 0) profile.total_milliseconds = total_ / totals_;
    const double sum = profile.sum();
    if (!(sum > 0)) throw Error(ErrorCode::BadData, "all times of the profile are 0");
    constexpr double kRoundingOfRows = 0.1;
    if (profile.total_milliseconds &&
        std::abs(*profile.total_milliseconds - sum) > kRoundingOfRows * sum)
      throw Error(ErrorCode::BadData,
                  fmt::format("the rows add up to {:.3f} ms, the total says {:.3f} ms", sum,
                              *profile.total_milliseconds))
          .remedy("Give the whole print, with times in microseconds");
    return profile;
  }

 private:
  double milliseconds(const Time& time) const {
    return (time.unit.empty() ? default_unit_ : time.unit) == "ms" ? time.value : time.value / 1000;
  }
  bool any_row() const {
    return std::any_of(counts_.begin(), counts_.end(), [](int n) { return n > 0; });
  }

  const espdl::Model& model_;
  std::unordered_map<std::string, std::size_t> nodes_;
  std::vector<double> sums_;
  std::vector<int> counts_;
  std::vector<std::string> foreign_;
  double total_ = 0;
  int totals_ = 0;
  bool in_table_ = false;
  std::string default_unit_ = "us";
};

/// So that long nodes count most, but short ones still do.
constexpr double kProfileStiffness = 0.01;

struct ProfiledNode {
  NodeWork work;
  double milliseconds = 0;
};

Board fit_nodes(const Board& before, const std::vector<ProfiledNode>& nodes) {
  double total = 0;
  for (const auto& node : nodes) total += node.milliseconds;
  std::vector<Measurement> measurements;
  for (const auto& [work, milliseconds] : nodes)
    if (milliseconds > 0)
      measurements.push_back({work, milliseconds, std::sqrt(milliseconds * total)});
  return fitted(before, measurements, {kProfileStiffness});
}

double sum_on(const Board& board, const std::vector<ProfiledNode>& nodes) {
  double sum = 0;
  for (const auto& node : nodes) sum += milliseconds_of(node.work, board);
  return sum;
}

double measured_sum(const std::vector<ProfiledNode>& nodes) {
  double sum = 0;
  for (const auto& node : nodes) sum += node.milliseconds;
  return sum;
}

double node_difference(const Board& board, const std::vector<ProfiledNode>& nodes) {
  double off = 0;
  for (const auto& node : nodes)
    off += std::abs(milliseconds_of(node.work, board) - node.milliseconds);
  return off / measured_sum(nodes);
}

/// What the nodes of one half teach about the sum of the other.
double half_difference(const Board& before, const std::vector<ProfiledNode>& known,
                       const std::vector<ProfiledNode>& asked) {
  const double measured = measured_sum(asked);
  if (measured <= 0 || measured_sum(known) <= 0) return 0;
  return std::abs(sum_on(fit_nodes(before, known), asked) / measured - 1);
}

}  // namespace

double Profile::sum() const {
  double sum = 0;
  for (const auto& time : milliseconds) sum += time.value_or(0);
  return sum;
}

Profile parse_profile(std::string_view log, const espdl::Model& model) {
  ProfileReader reader(model);
  while (!log.empty()) {
    const std::size_t end = std::min(log.find('\n'), log.size());
    reader.read(log.substr(0, end));
    log.remove_prefix(std::min(end + 1, log.size()));
  }
  return reader.profile();
}

ProfileFit fit_to_profile(const espdl::Model& model, const Target& target, const Board& before,
                          const Profile& profile, const LatencyOptions& options) {
  const espdl::ModelIndex index(model);
  WorkOptions work_options;
  work_options.parameters_in_flash = options.parameters_in_flash;
  work_options.internal_tensors = &options.internal_tensors;
  std::vector<ProfiledNode> nodes, even, odd;
  for (std::size_t n = 0; n < model.nodes.size(); ++n) {
    if (!profile.milliseconds[n]) continue;
    nodes.push_back(
        {work_of(model.nodes[n], index, target, before, work_options), *profile.milliseconds[n]});
    (n % 2 == 0 ? even : odd).push_back(nodes.back());
  }
  ProfileFit fit;
  fit.total_before = sum_on(before, nodes) / measured_sum(nodes) - 1;
  fit.nodes_before = node_difference(before, nodes);
  fit.board = fit_nodes(before, nodes);
  const double estimated = sum_on(fit.board, nodes);
  if (!(estimated > 0))
    throw Error(ErrorCode::BadData, "no node of the profile does work that a board has a price for")
        .remedy("Profile a model with convolutions");
  const double factor = measured_sum(nodes) / estimated;
  for (const auto& kind : kWorkKinds) fit.board.cycles.*kind.amount *= factor;
  fit.nodes_after = node_difference(fit.board, nodes);
  constexpr double kLeast = 0.1, kMost = 0.9;
  fit.board.within =
      std::clamp(std::max(half_difference(before, even, odd), half_difference(before, odd, even)),
                 kLeast, kMost);
  return fit;
}

}  // namespace espquant::cost
