#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "calib/calibrate.h"

namespace espquant::quant {

/// For which tensors one number of halvings of the range is decided (the chip has no scales
/// between); those that share an exponent count as one. Mse, Sqnr and Auto take the number with the
/// least sum of relative errors; the others the least that one of the tensors asks for.
enum class Scope : std::uint8_t {
  Tensor,  ///< every tensor by itself
  Layer,   ///< what a layer and the activation function behind it write
  Global,  ///< all tensors of the network
};

/// How the magnitude is chosen beyond which a tensor is clipped. docs/calibration.md says which to
/// use when.
enum class Method : std::uint8_t {
  MinMax,      ///< nothing is clipped
  Percentile,  ///< a given share of the values is not clipped
  Entropy,     ///< least Kullback-Leibler divergence from the float distribution (Migacz 2017)
  Mse,         ///< least squared error
  Sqnr,        ///< least squared error, each times the square of the value
  Auto,        ///< least noise at the network's outputs where that is known, else as Mse
};

inline constexpr double kDefaultPercentile = 99.99;

/// All of them, in the order above.
std::span<const Method> all_methods();
/// "minmax", "percentile", "entropy", "mse", "sqnr", "auto".
std::string_view name_of(Method method);
/// Throws Error(Usage) that lists the names; "kl" is entropy, too.
Method method_of(std::string_view name);

/// Throws Error(Usage) unless 50 <= percentile <= 100.
void check_percentile(double percentile);

/// Asks calib::gather for what `threshold` needs; steps are left as they are.
void add_needs(Method method, calib::Request& request);

/// The |x| at which to clip a tensor for integers in [-max_q - 1, max_q], where its scale will be
/// 2^e / factor. 0 for a tensor of zeros.
///
/// MinMax: the largest magnitude. Percentile: `percentile` % of the values other than 0 are not
/// larger. The others choose among max_q * 2^e / factor, for the chip has no scales between; of two
/// that are equally good, the larger. Mse, Sqnr and Auto choose among s.steps; where those were
/// gathered for another max_q, nothing is clipped. Of one tensor by itself, Auto is Mse. Throws
/// Error(Usage) as check_percentile.
double threshold(Method method, const calib::ValueStatistics& s, int max_q,
                 double percentile = kDefaultPercentile, float factor = 1.0F);

/// The exponent that this threshold asks for: the least that covers it. -60 for a tensor of zeros.
int clipping_exponent(Method method, const calib::ValueStatistics& s, int max_q,
                      double percentile = kDefaultPercentile, float factor = 1.0F);

/// For each of s.steps, the error over the signal as Mse (and Auto) or Sqnr count it, in
/// proportions that may be added over tensors that share an exponent; empty for the other methods,
/// and where the tensor has no signal.
std::vector<double> relative_errors(Method method, const calib::ValueStatistics& s);

/// Kullback-Leibler divergence, in nats, of what integers up to max_q at `step` can show of the
/// distribution of magnitudes from that distribution.
///
/// As Migacz 2017 has it ("8-bit Inference with TensorRT", GTC): the reference is the distribution
/// with all that is clipped added to its last occupied place; the candidate has the values of one
/// integer spread evenly over the places that are occupied, and lacks what is clipped. Different
/// are:
/// * Integers are where the chip rounds to, not truncated intervals, and zeros, which every scale
///   shows exactly, are left out.
/// * Places are 2^-12 of the range at least, so that few samples do not make noise, and an integer
///   finer than a place counts as exact: 16 bits leave only the cost of clipping.
/// * A distribution drawn from n values differs from its own average by (places - integers) / 2n
///   (Miller 1955), which is taken off; otherwise finer steps would win by having fewer places
///   each.
double entropy_loss(const calib::Histogram& magnitudes, double step, int max_q);

}  // namespace espquant::quant
