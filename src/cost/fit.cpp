#include "cost/fit.h"

#include <array>
#include <bit>
#include <cmath>
#include <optional>

namespace espquant::cost {
namespace {

constexpr std::size_t kKinds = kWorkKinds.size();
using Vector = std::array<double, kKinds>;
using Matrix = std::array<Vector, kKinds>;

/// Least squares as a quadratic form x'Ax - 2b'x + c.
struct Form {
  Matrix a{};
  Vector b{};
  double c = 0;

  void add(const Vector& row, double goal) {
    for (std::size_t i = 0; i < kKinds; ++i) {
      for (std::size_t j = 0; j < kKinds; ++j) a[i][j] += row[i] * row[j];
      b[i] += row[i] * goal;
    }
    c += goal * goal;
  }

  double at(const Vector& x) const {
    double value = c;
    for (std::size_t i = 0; i < kKinds; ++i) {
      value -= 2 * b[i] * x[i];
      for (std::size_t j = 0; j < kKinds; ++j) value += x[i] * a[i][j] * x[j];
    }
    return value;
  }
};

/// The minimum over the variables in `free`, the others being 0: Cholesky. Nothing where these are
/// not determined.
std::optional<Vector> minimum(const Form& form, unsigned free) {
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < kKinds; ++i)
    if ((free >> i & 1U) != 0) at.push_back(i);
  const std::size_t n = at.size();
  Matrix l{};
  Vector y{};
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = form.a[at[i]][at[j]];
      for (std::size_t k = 0; k < j; ++k) sum -= l[i][k] * l[j][k];
      if (i != j) {
        l[i][j] = sum / l[j][j];
        continue;
      }
      constexpr double kSingular = 1e-11;
      if (sum <= kSingular * form.a[at[i]][at[i]]) return std::nullopt;
      l[i][i] = std::sqrt(sum);
    }
    double sum = form.b[at[i]];
    for (std::size_t k = 0; k < i; ++k) sum -= l[i][k] * y[k];
    y[i] = sum / l[i][i];
  }
  Vector x{};
  for (std::size_t i = n; i-- > 0;) {
    double sum = y[i];
    for (std::size_t k = i + 1; k < n; ++k) sum -= l[k][i] * x[at[k]];
    x[at[i]] = sum / l[i][i];
  }
  return x;
}

bool is_nonnegative(const Vector& x) {
  for (const double value : x)
    if (value < 0) return false;
  return true;
}

}  // namespace

NodeWork operator+(const NodeWork& a, const NodeWork& b) {
  NodeWork sum;
  for (const auto& kind : kWorkKinds) sum.*kind.amount = a.*kind.amount + b.*kind.amount;
  return sum;
}

double milliseconds_of(const NodeWork& work, const Board& board) {
  double cycles = 0;
  for (const auto& kind : kWorkKinds) cycles += work.*kind.amount * board.cycles.*kind.amount;
  return cycles / (board.clock_mhz * 1000);
}

Board fitted(const Board& before, const std::vector<Measurement>& measurements,
             const FitOptions& options) {
  // Unknowns are in units in which all of a kind's work takes a millisecond.
  Vector unit{};
  for (const auto& m : measurements)
    for (std::size_t i = 0; i < kKinds; ++i) unit[i] += m.work.*kWorkKinds[i].amount;
  unsigned shown = 0;
  for (std::size_t i = 0; i < kKinds; ++i)
    if (unit[i] > 0) shown |= 1U << i;

  Form form;
  for (const auto& m : measurements) {
    if (!(m.scale_milliseconds > 0)) continue;
    Vector row{};
    for (std::size_t i = 0; i < kKinds; ++i)
      if (unit[i] > 0) row[i] = m.work.*kWorkKinds[i].amount / unit[i] / m.scale_milliseconds;
    form.add(row, m.milliseconds / m.scale_milliseconds);
  }
  const double cycles_per_millisecond = before.clock_mhz * 1000;
  if (options.stiffness > 0) {
    for (std::size_t i = 0; i < kKinds; ++i) {
      const double price = before.cycles.*kWorkKinds[i].amount * unit[i] / cycles_per_millisecond;
      if (price <= 0) {
        shown &= ~(1U << i);
        continue;
      }
      Vector row{};
      row[i] = std::sqrt(options.stiffness) / price;
      form.add(row, std::sqrt(options.stiffness));
    }
  }

  std::optional<Vector> best;
  for (unsigned free = 0; free < 1U << kKinds; ++free) {
    if ((free & ~shown) != 0) continue;
    const auto x = minimum(form, free);
    if (x && is_nonnegative(*x) && (!best || form.at(*x) < form.at(*best))) best = x;
  }
  Board board = before;
  for (std::size_t i = 0; i < kKinds; ++i)
    if ((shown >> i & 1U) != 0)
      board.cycles.*kWorkKinds[i].amount = (*best)[i] / unit[i] * cycles_per_millisecond;
  return board;
}

}  // namespace espquant::cost
