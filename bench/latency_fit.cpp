#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "bench/published_times.h"
#include "cost/board.h"
#include "cost/fit.h"
#include "cost/latency.h"
#include "espdl/reader.h"

/// Fits the prices of cost/board.cpp to the times that Espressif publishes with its models, and
/// leaves each family of networks out in turn. Needs the model files, as they lie in a checkout of
/// esp-dl, sorted into two folders: DIR/s3/*.espdl and DIR/p4/*.espdl.
///
///   latency_fit DIR esp32s3|esp32s31|esp32p4 [RELEASE [STIFFNESS [ROUNDS]]]
using namespace espquant;

namespace {

struct Network {
  bench::Published published;
  cost::Measurement measurement;
};

std::vector<Network> networks_of(const std::filesystem::path& models, const Target& target) {
  const cost::Board board = cost::board_of(target);
  std::vector<Network> networks;
  for (const auto& published : bench::published_times(target)) {
    const auto file = models / (target.family == Family::S3 ? "s3" : "p4") /
                      (std::string(published.file) + ".espdl");
    if (!std::filesystem::exists(file)) {
      fmt::print("not there: {}\n", file.string());
      continue;
    }
    const auto model = espdl::read_model_file(file, {});
    const espdl::ModelIndex index(model);
    cost::WorkOptions options;
    options.parameters_in_flash = published.parameters_in_flash;
    Network network{published, {{}, published.milliseconds, published.milliseconds}};
    for (const auto& node : model.nodes)
      network.measurement.work =
          network.measurement.work + cost::work_of(node, index, target, board, options);
    networks.push_back(std::move(network));
  }
  return networks;
}

/// Each family counts as one network.
cost::Board fit(const cost::Board& before, const std::vector<Network>& networks, double stiffness,
                int rounds, std::string_view without = "") {
  std::map<std::string_view, int> members;
  for (const auto& n : networks) ++members[n.published.family];
  std::vector<cost::Measurement> used;
  for (const auto& n : networks) {
    if (n.published.family == without) continue;
    used.push_back(n.measurement);
    used.back().scale_milliseconds *= std::sqrt(members.at(n.published.family));
  }
  // Towards the least largest error: what is far off counts for more in the next round.
  const std::vector<cost::Measurement> equal = used;
  cost::Board board = before;
  for (int round = 0; round <= rounds; ++round) {
    board = cost::fitted(before, used, {stiffness});
    for (std::size_t i = 0; i < used.size(); ++i) {
      const double off =
          std::abs(cost::milliseconds_of(equal[i].work, board) / equal[i].milliseconds - 1);
      const double goal = equal[i].scale_milliseconds * 0.04 / std::max(0.01, off);
      used[i].scale_milliseconds = (used[i].scale_milliseconds + goal) / 2;
    }
  }
  return board;
}

/// What prices are held to where the networks do not tell: those of the S3 before tiles, which
/// other networks and single kernels showed.
cost::Board prior(cost::Board board, const Target& target) {
  const auto& s3 = find_target("esp32s3").under(find_release("3.3.9"));
  if (target.release == s3.release) return board;
  board.cycles = cost::board_of(s3).cycles;
  if (target.family == Family::P4) board.cycles.second_lines = board.cycles.filter_lines;
  return board;
}

double difference(const Network& network, const cost::Board& board) {
  return cost::milliseconds_of(network.measurement.work, board) / network.published.milliseconds -
         1;
}

void print_prices(const cost::Board& board) {
  for (const auto& kind : cost::kWorkKinds)
    if (board.cycles.*kind.amount > 0)
      fmt::print(" {} {:.4g}", kind.key, board.cycles.*kind.amount);
  fmt::print("\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: latency_fit DIR TARGET [RELEASE]\n");
    return 2;
  }
  const Target& newest = find_target(argv[2]);
  const Target& target = argc > 3 ? newest.under(find_release(argv[3])) : newest;
  const bool s3 = target.family == Family::S3;
  const double stiffness = argc > 4 ? std::stod(argv[4]) : s3 ? 0.025 : 0.03;
  const int rounds = argc > 5 ? std::stoi(argv[5]) : s3 ? 10 : 0;
  const auto networks = networks_of(argv[1], target);
  const cost::Board board = cost::board_of(target);
  const cost::Board before = prior(board, target);
  const cost::Board all = fit(before, networks, stiffness, rounds);
  std::map<std::string_view, cost::Board> without;
  for (const auto& n : networks)
    without.emplace(n.published.family,
                    fit(before, networks, stiffness, rounds, n.published.family));

  fmt::print("{:<42} {:>9} {:>7} {:>7} {:>9}\n", "network", "published", "board", "fitted",
             "left out");
  double worst[3] = {}, squares[3] = {};
  for (const auto& n : networks) {
    const double d[3] = {difference(n, board), difference(n, all),
                         difference(n, without.at(n.published.family))};
    for (int i = 0; i < 3; ++i) {
      worst[i] = std::max(worst[i], std::abs(d[i]));
      squares[i] += d[i] * d[i];
    }
    fmt::print("{:<42} {:>9.1f} {:>+6.1f}% {:>+6.1f}% {:>+8.1f}%\n", n.published.file,
               n.published.milliseconds, 100 * d[0], 100 * d[1], 100 * d[2]);
  }
  const auto count = static_cast<double>(networks.size());
  fmt::print("{:<42} {:>9} {:>6.1f}% {:>6.1f}% {:>8.1f}%\n", "largest", "", 100 * worst[0],
             100 * worst[1], 100 * worst[2]);
  fmt::print("{:<42} {:>9} {:>6.1f}% {:>6.1f}% {:>8.1f}%\n", "root mean square", "",
             100 * std::sqrt(squares[0] / count), 100 * std::sqrt(squares[1] / count),
             100 * std::sqrt(squares[2] / count));
  fmt::print("board: ");
  print_prices(board);
  fmt::print("fitted:");
  print_prices(all);
  for (const auto& [family, prices] : without) {
    fmt::print("without {:<10}", family);
    print_prices(prices);
  }
}
