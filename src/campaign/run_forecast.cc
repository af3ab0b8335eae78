#include "campaign/run_forecast.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/rng.h"
#include "base/statistics.h"
#include "scaling/forecast/forecaster.h"

namespace flywheel::campaign {
namespace {

constexpr size_t kFewestPoints = 6;     // a backtest with fewer says more of its priors than of the ladder
constexpr double kNearFrontier = 0.05;  // of log loss above a level's best: what counts for the best of a rung
constexpr double kNoiseDegrees = 4;     // that the forecaster's noise counts as, beside replicates
constexpr double kSpreadPrior = 1;      // median of the spread's scale before backtests
constexpr double kSpreadLogSd = 0.5;
constexpr double kBranchedSd = 0.0005;  // of kBranchedBelowFull
constexpr int kDraws = 16384;

// Lower triangular factor of a positive definite matrix, row-major.
std::vector<double> cholesky(std::span<const double> matrix, size_t n) {
  std::vector<double> factor(n * n, 0.0);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double sum = matrix[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= factor[i * n + k] * factor[j * n + k];
      factor[i * n + j] = i == j ? std::sqrt(std::max(sum, 1e-14)) : sum / factor[j * n + j];
    }
  return factor;
}

// Log density of a normal vector, up to a constant.
double ln_density(const std::vector<double>& error, std::span<const double> covariance) {
  const size_t n = error.size();
  const std::vector<double> factor = cholesky(covariance, n);
  std::vector<double> white(n);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    double value = error[i];
    for (size_t k = 0; k < i; ++k) value -= factor[i * n + k] * white[k];
    white[i] = value / factor[i * n + i];
    sum -= 0.5 * white[i] * white[i] + std::log(factor[i * n + i]);
  }
  return sum;
}

std::vector<scaling::Point> means(std::span<const LadderPoint> points) {
  std::vector<scaling::Point> result;
  for (const LadderPoint& point : points) result.push_back(point.mean);
  return result;
}

// Of the best run of the highest rung.
double tokens_of_best(std::span<const LadderPoint> points) {
  const LadderPoint* best = &points.back();
  for (const LadderPoint& point : points)
    if (point.rung_flops == points.back().rung_flops && point.mean.L < best->mean.L) best = &point;
  return best->mean.D;
}

double noise_scale(const scaling::Forecaster& forecaster, std::span<const LadderPoint> points) {
  double squares = kNoiseDegrees, degrees = kNoiseDegrees;
  for (const LadderPoint& point : points) {
    if (point.losses.size() < 2) continue;
    const double expected = forecaster.noise_sd(point.mean.N, point.mean.D);
    for (const double loss : point.losses) squares += std::pow(std::log(loss / point.mean.L) / expected, 2);
    degrees += static_cast<double>(point.losses.size()) - 1;
  }
  return std::sqrt(squares / degrees);
}

// What a backtest holds out: errors of runs near the frontier of one level, and how the forecaster from below sees
// them.
struct HeldOut {
  std::vector<double> error, spread, noise;  // spread: covariance without noise; noise: variances
};

std::vector<HeldOut> backtests(std::span<const LadderPoint> points) {
  std::vector<HeldOut> all;
  for (size_t cut = 0; cut < points.size();) {
    size_t end = cut;
    double best = INFINITY;
    for (; end < points.size() && points[end].rung_flops == points[cut].rung_flops; ++end)
      best = std::min(best, points[end].mean.L);
    if (cut >= kFewestPoints && points[cut].rung_flops > points.front().rung_flops) {
      const auto below = points.first(cut);
      const scaling::Forecaster forecaster(means(below));
      const double scale = noise_scale(forecaster, below);
      HeldOut held;
      std::vector<std::pair<double, double>> sites;
      for (const LadderPoint& point : points.subspan(cut, end - cut)) {
        if (std::log(point.mean.L / best) > kNearFrontier) continue;
        sites.emplace_back(point.mean.N, point.mean.D);
        held.error.push_back(std::log(point.mean.L / forecaster.predict(point.mean.N, point.mean.D).loss));
        held.noise.push_back(std::pow(scale * forecaster.noise_sd(point.mean.N, point.mean.D), 2) /
                             static_cast<double>(point.losses.size()));
      }
      held.spread = forecaster.covariance(sites);
      all.push_back(std::move(held));
    }
    cut = end;
  }
  return all;
}

// Maximum a posteriori of the factor on the spread, with a log-normal prior.
double spread_scale(const std::vector<HeldOut>& held) {
  double best = -INFINITY, scale = kSpreadPrior;
  for (double ln_scale = std::log(0.2); ln_scale <= std::log(5.0); ln_scale += 0.05) {
    double value = -0.5 * std::pow((ln_scale - std::log(kSpreadPrior)) / kSpreadLogSd, 2);
    for (const HeldOut& level : held) {
      std::vector<double> covariance = level.spread;
      for (double& entry : covariance) entry *= std::exp(2 * ln_scale);
      for (size_t i = 0; i < level.noise.size(); ++i) covariance[i * level.noise.size() + i] += level.noise[i];
      value += ln_density(level.error, covariance);
    }
    if (value > best) best = value, scale = std::exp(ln_scale);
  }
  return scale;
}

}  // namespace

RunForecasts forecast_runs(std::span<const LadderPoint> below, std::span<const RunSite> sites) {
  const scaling::Forecaster forecaster(means(below));
  RunForecasts result;
  result.noise_scale = noise_scale(forecaster, below);
  result.spread_scale = spread_scale(backtests(below));
  std::vector<std::pair<double, double>> places;
  std::vector<double> repeats;  // half of what repeated text would be worth, were it new
  const double seen = tokens_of_best(below);
  for (const RunSite& site : sites) {
    places.emplace_back(site.N, site.D);
    const double as_new = std::log(forecaster.predict(site.N, site.D).loss), known = std::max(site.unique, seen);
    const bool repeated = site.unique > 0 && known < site.D;
    repeats.push_back(repeated ? 0.5 * (std::log(forecaster.predict(site.N, known).loss) - as_new) : 0);
    result.ln_loss.push_back(as_new + repeats.back() - (site.branched ? kBranchedBelowFull : 0));
  }
  result.covariance = forecaster.covariance(places);
  for (double& entry : result.covariance) entry *= result.spread_scale * result.spread_scale;
  const size_t n = sites.size();
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      if (sites[i].branched && sites[j].branched) result.covariance[i * n + j] += kBranchedSd * kBranchedSd;
      result.covariance[i * n + j] += repeats[i] * repeats[j];
    }
    result.covariance[i * n + i] += std::pow(result.noise_scale * forecaster.noise_sd(sites[i].N, sites[i].D), 2);
  }
  return result;
}

LeastLoss::LeastLoss(std::span<const double> ln_loss, std::span<const double> covariance) {
  const size_t n = ln_loss.size();
  CHECK(n > 0 && covariance.size() == n * n, "{} runs with {} covariances", n, covariance.size());
  const std::vector<double> factor = cholesky(covariance, n);
  Rng rng(1, 0x6c65617374);
  std::vector<double> normal(n);
  for (int draw = 0; draw < kDraws; ++draw) {
    for (double& z : normal) z = rng.normal();
    double least = INFINITY;
    for (size_t i = 0; i < n; ++i) {
      double value = ln_loss[i];
      for (size_t k = 0; k <= i; ++k) value += factor[i * n + k] * normal[k];
      least = std::min(least, value);
    }
    draws_.push_back(least);
  }
  std::sort(draws_.begin(), draws_.end());
}

double LeastLoss::quantile(double p) const {
  const double at = p * static_cast<double>(draws_.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, draws_.size() - 1);
  return std::exp(draws_[low] + (at - static_cast<double>(low)) * (draws_[high] - draws_[low]));
}

double LeastLoss::probability_below(double loss) const {
  const auto below = std::lower_bound(draws_.begin(), draws_.end(), std::log(loss)) - draws_.begin();
  return (static_cast<double>(below) + 0.5) / (static_cast<double>(draws_.size()) + 1);
}

double interval_score(double low, double high, double measured) {
  const double miss = std::max({0.0, std::log(low / measured), std::log(measured / high)});
  return 100 * (std::log(high / low) + 20 * miss);
}

}  // namespace flywheel::campaign
