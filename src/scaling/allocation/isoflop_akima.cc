#include "scaling/allocation/isoflop_akima.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/rng.h"
#include "base/statistics.h"

namespace flywheel::scaling {
namespace {

// Slopes at the nodes by Akima 1970: a mean of the two neighbouring chords, each weighted by how little the chords
// bend on the other side. Two chords are added at each end by extrapolation.
std::vector<double> node_slopes(const std::vector<double>& x, const std::vector<double>& y) {
  const size_t n = x.size();
  std::vector<double> chord(n + 3);
  for (size_t i = 0; i + 1 < n; ++i) chord[i + 2] = (y[i + 1] - y[i]) / (x[i + 1] - x[i]);
  chord[1] = 2 * chord[2] - chord[3];
  chord[0] = 2 * chord[1] - chord[2];
  chord[n + 1] = 2 * chord[n] - chord[n - 1];
  chord[n + 2] = 2 * chord[n + 1] - chord[n];
  std::vector<double> slopes(n);
  for (size_t i = 0; i < n; ++i) {
    const double after = std::abs(chord[i + 3] - chord[i + 2]), before = std::abs(chord[i + 1] - chord[i]);
    slopes[i] = after + before > 1e-12 ? (after * chord[i + 1] + before * chord[i + 2]) / (after + before)
                                       : 0.5 * (chord[i + 1] + chord[i + 2]);
  }
  return slopes;
}

double spline(const std::vector<double>& x, const std::vector<double>& y, const std::vector<double>& slopes,
              size_t piece, double at) {
  const double width = x[piece + 1] - x[piece], t = (at - x[piece]) / width, s = 1 - t;
  return y[piece] * s * s * (1 + 2 * t) + y[piece + 1] * t * t * (1 + 2 * s) +
         width * t * s * (slopes[piece] * s - slopes[piece + 1] * t);
}

// Where the spline is lowest on a grid of equal steps in x; nothing where that is an end.
std::optional<double> inner_minimum(const std::vector<double>& x, const std::vector<double>& y, int places) {
  const std::vector<double> slopes = node_slopes(x, y);
  size_t piece = 0;
  double lowest = INFINITY, where = 0;
  int best = 0;
  for (int k = 0; k < places; ++k) {
    const double at = x.front() + (x.back() - x.front()) * k / (places - 1);
    while (piece + 2 < x.size() && at > x[piece + 1]) ++piece;
    const double value = spline(x, y, slopes, piece, at);
    if (value < lowest) lowest = value, where = at, best = k;
  }
  if (best == 0 || best == places - 1) return std::nullopt;
  return where;
}

// Sizes, smallest first, with the lowest loss of each.
std::map<double, double> lowest_by_size(std::span<const Point> level) {
  std::map<double, double> lowest;
  for (const Point& p : level) {
    if (!std::isfinite(p.N) || !std::isfinite(p.L) || p.N <= 0 || p.L <= 0)
      throw_bad_input("a run of {} parameters with loss {}: expected finite numbers above 0", p.N, p.L);
    const auto [at, fresh] = lowest.try_emplace(p.N, p.L);
    if (!fresh) at->second = std::min(at->second, p.L);
  }
  return lowest;
}

}  // namespace

AkimaMinimum akima_minimum(std::span<const Point> level, const AkimaOptions& options) {
  const std::map<double, double> lowest = lowest_by_size(level);
  AkimaMinimum result;
  if (lowest.size() < 3) return result;
  std::vector<double> x, loss;
  for (const auto& [size, value] : lowest) x.push_back(std::log(size)), loss.push_back(value);
  const int places = static_cast<int>(x.size() - 1) * options.grid;
  std::vector<double> y(x.size());
  for (int r = 0; r < options.resamples; ++r) {
    Rng rng(options.seed, static_cast<uint64_t>(r));
    for (size_t i = 0; i < x.size(); ++i)
      y[i] = std::log(std::max(loss[i] + options.noise_sd * rng.normal(), 1e-3 * loss[i]));
    const std::optional<double> at = inner_minimum(x, y, places);
    if (at) result.ln_sizes.push_back(*at);
  }
  const size_t inside = result.ln_sizes.size();
  if (inside == 0 || 2 * inside < static_cast<size_t>(options.resamples)) {
    result.ln_sizes.clear();
    return result;
  }
  result.N = std::exp(quantile(result.ln_sizes, 0.5));
  double mean = 0, square = 0;
  for (const double v : result.ln_sizes) mean += v / static_cast<double>(inside);
  for (const double v : result.ln_sizes) square += (v - mean) * (v - mean) / static_cast<double>(inside);
  const double step = (x.back() - x.front()) / (places - 1);
  result.ln_sd = std::max(std::sqrt(square), options.least_spread * options.grid * step) * options.resamples /
                 static_cast<double>(inside);
  return result;
}

double akima_loss(std::span<const Point> level, double N) {
  std::vector<double> x, y;
  for (const auto& [size, loss] : lowest_by_size(level)) x.push_back(std::log(size)), y.push_back(std::log(loss));
  if (x.size() < 2) throw_bad_input("a curve needs at least two sizes, found {}", x.size());
  const double at = std::clamp(std::log(N), x.front(), x.back());
  size_t piece = 0;
  while (piece + 2 < x.size() && at > x[piece + 1]) ++piece;
  return std::exp(spline(x, y, node_slopes(x, y), piece, at));
}

}  // namespace flywheel::scaling
