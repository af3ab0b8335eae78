#include "scaling/forecast/bend.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/statistics.h"
#include "scaling/forecast/misfit.h"

namespace flywheel::scaling {
namespace {

constexpr double kNegligible = 1e-3;   // sizes of misfit of less weight are left out
constexpr size_t kFirstForecast = 6;   // runs before the first forecast that counts for how well forecasts held
constexpr double kForecastPrior = 10;  // forecasts that are taken to have held beforehand

Runs runs_of(std::span<const Point> points) {
  Runs runs;
  for (const Point& p : points) {
    runs.ln_n.push_back(std::log(p.N));
    runs.ln_d.push_back(std::log(p.D));
    runs.ln_c.push_back(std::log(flops_of(p)));
    runs.ln_l.push_back(std::log(p.L));
    runs.ln_aspect.push_back(NAN);
    runs.repeats.push_back(p.count);
  }
  runs.centre_n = mean(runs.ln_n);
  runs.centre_d = mean(runs.ln_d);
  return runs;
}

Eigen::MatrixXd correlations(const Runs& runs, const Beliefs& beliefs) {
  Eigen::MatrixXd correlation(runs.size(), runs.size());
  for (Eigen::Index i = 0; i < runs.size(); ++i)
    for (Eigen::Index j = 0; j <= i; ++j) {
      const auto a = static_cast<size_t>(i), b = static_cast<size_t>(j);
      correlation(i, j) = correlation(j, i) = misfit_correlation(beliefs, runs.site(a), runs.site(b));
    }
  return correlation;
}

// Noise variance of a run above those fitted, relative to one at the frontier's top.
double relative_noise(const Runs& all, size_t run, const Beliefs& beliefs) {
  constexpr double kNearLevel = 0.35;  // in ln C, as the forecaster has it
  double best = all.ln_l[run];
  for (size_t j = 0; j < all.ln_l.size(); ++j)
    if (std::abs(all.ln_c[j] - all.ln_c[run]) < kNearLevel) best = std::min(best, all.ln_l[j]);
  return 1 + std::pow((all.ln_l[run] - best) / beliefs.frontier_width, 2);
}

Eigen::Map<const Eigen::VectorXd> view(const std::vector<double>& values) {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}
Eigen::Map<Eigen::VectorXd> view(std::vector<double>& values) {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}

}  // namespace

struct BendTest::State {
  struct AtBreak {
    Eigen::VectorXd weighted_hinge;      // precision of the runs above, given those below, times the hinge
    Eigen::VectorXd precision_diagonal;  // of the same
    double squared_norm = 0;             // hinge' precision hinge
  };
  struct Size {
    Eigen::MatrixXd factor;  // lower Cholesky factor of the covariance of all runs, in order of compute
    Eigen::VectorXd mean;
    Eigen::MatrixXd hinges;  // factor^-1 hinge, (runs, breaks)
    Eigen::VectorXd bend;    // the same of the bend that is simulated
    Eigen::VectorXd log_diagonal;
    double log_prior = 0;
    std::vector<AtBreak> at;
  };
  std::vector<Break> breaks;
  std::vector<Size> sizes;
  std::vector<std::vector<Eigen::MatrixXd>> across;  // [to][from]: to's factor^-1 times from's factor
  std::vector<std::vector<Eigen::VectorXd>> shift;   // [to][from]: to's factor^-1 times the difference of means
  Innovations observed;
  std::vector<double> fitted_weights;
  double forecast_slope = 0;

  State(std::span<const Point> points, std::vector<Break> all_breaks, size_t fitted_break, double bend_ln_c);
  std::vector<double> weights(const Innovations& ladder, size_t runs) const;
};

BendTest::State::State(std::span<const Point> points, std::vector<Break> all_breaks, size_t fitted_break,
                       double bend_ln_c)
    : breaks(std::move(all_breaks)) {
  const auto n = static_cast<Eigen::Index>(points.size());
  const size_t below = breaks[fitted_break].first_above;
  const auto fitted = static_cast<Eigen::Index>(below);
  Runs all = runs_of(points);
  const Runs runs = runs_of(points.first(below));
  all.centre_n = runs.centre_n, all.centre_d = runs.centre_d;
  const Beliefs beliefs;
  const Eigen::MatrixXd correlation = correlations(all, beliefs);
  LawVector prior_mean, prior_sd, start, unused;
  law_prior(runs, beliefs, prior_mean, prior_sd);
  law_prior(runs, beliefs, start, unused);
  Eigen::MatrixXd hinges = Eigen::MatrixXd::Zero(n, static_cast<Eigen::Index>(breaks.size()));
  for (size_t b = 0; b < breaks.size(); ++b)
    for (size_t i = breaks[b].first_above; i < points.size(); ++i)
      hinges(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(b)) = all.ln_c[i] - breaks[b].ln_c;
  Eigen::VectorXd bend(n);
  for (Eigen::Index i = 0; i < n; ++i) bend[i] = std::max(0.0, all.ln_c[static_cast<size_t>(i)] - bend_ln_c);
  const Eigen::VectorXd log_losses = Eigen::Map<const Eigen::VectorXd>(all.ln_l.data(), n);

  std::vector<double> log_evidence;
  const Eigen::MatrixXd of_shape = Eigen::MatrixXd::Zero(fitted, fitted);
  for (const double misfit_sd : kMisfitSds) {
    const MisfitFit fit =
        fit_misfit(runs, correlation.topLeftCorner(fitted, fitted), of_shape, beliefs, misfit_sd, start);
    if (!std::isfinite(fit.log_evidence)) continue;
    Size size;
    Eigen::MatrixXd jacobian(n, kLawParameters);
    size.mean.resize(n);
    double gradient[kLawParameters];
    for (Eigen::Index i = 0; i < n; ++i) {
      const auto k = static_cast<size_t>(i);
      size.mean[i] = law_value(fit.theta, all.ln_n[k] - all.centre_n, all.ln_d[k] - all.centre_d, gradient);
      jacobian.row(i) = Eigen::Map<Eigen::RowVectorXd>(gradient, kLawParameters);
    }
    size.mean += jacobian * (prior_mean - fit.theta);
    Eigen::MatrixXd covariance = misfit_sd * misfit_sd * correlation;
    // The runs fitted have the noise that the fit gave them, bad ones more.
    covariance.diagonal().head(fitted) = fit.factor.rowwise().squaredNorm();
    for (Eigen::Index i = fitted; i < n; ++i)
      covariance(i, i) += fit.noise_sd * fit.noise_sd * relative_noise(all, static_cast<size_t>(i), beliefs);
    covariance += jacobian * prior_sd.cwiseAbs2().asDiagonal() * jacobian.transpose();
    const Eigen::LLT<Eigen::MatrixXd> factor(covariance);
    if (factor.info() != Eigen::Success) continue;
    size.factor = factor.matrixL();
    size.log_diagonal = size.factor.diagonal().array().log();
    size.log_prior = fit.log_evidence;
    log_evidence.push_back(fit.log_evidence);
    sizes.push_back(std::move(size));
  }
  if (sizes.empty()) throw_failed("no law gives a finite loss on these runs");
  const double best = *std::max_element(log_evidence.begin(), log_evidence.end());
  std::erase_if(sizes, [&](const Size& size) { return size.log_prior < best + std::log(kNegligible); });

  for (Size& size : sizes) {
    const auto lower = size.factor.triangularView<Eigen::Lower>();
    const Eigen::VectorXd innovations = lower.solve(log_losses - size.mean);
    observed.emplace_back(innovations.begin(), innovations.end());
    size.hinges = lower.solve(hinges);
    size.bend = lower.solve(bend);
    // Weights at the break fitted are the forecaster's; towards other breaks they move by the innovations in between.
    size.log_prior += 0.5 * innovations.head(fitted).squaredNorm() + size.log_diagonal.head(fitted).sum();
    for (size_t b = 0; b < breaks.size(); ++b) {
      const auto above = n - static_cast<Eigen::Index>(breaks[b].first_above);
      const Eigen::MatrixXd inverse = size.factor.bottomRightCorner(above, above)
                                          .triangularView<Eigen::Lower>()
                                          .solve(Eigen::MatrixXd::Identity(above, above));
      const Eigen::VectorXd hinge = size.hinges.col(static_cast<Eigen::Index>(b)).tail(above);
      size.at.push_back({.weighted_hinge = inverse.transpose() * hinge,
                         .precision_diagonal = inverse.colwise().squaredNorm().transpose(),
                         .squared_norm = hinge.squaredNorm()});
    }
  }
  across.resize(sizes.size());
  shift.resize(sizes.size());
  for (size_t to = 0; to < sizes.size(); ++to)
    for (size_t from = 0; from < sizes.size(); ++from) {
      const auto lower = sizes[to].factor.triangularView<Eigen::Lower>();
      across[to].push_back(lower.solve(sizes[from].factor));
      shift[to].push_back(lower.solve(sizes[from].mean - sizes[to].mean));
    }
  fitted_weights = weights(observed, below);

  // Least squares through the forecasts of the runs above, the break itself included.
  const Eigen::Index above = n - fitted;
  Eigen::VectorXd forecast = log_losses.tail(above);
  for (size_t m = 0; m < sizes.size(); ++m)
    forecast -= fitted_weights[m] * (sizes[m].factor.bottomRightCorner(above, above) * view(observed[m]).tail(above));
  std::vector<double> x, y;
  for (size_t i = below; i < points.size(); ++i) {
    x.push_back(all.ln_c[i]);
    y.push_back(forecast[static_cast<Eigen::Index>(i - below)]);
  }
  const double break_level = breaks[fitted_break].ln_c;
  for (size_t i = 0; i < below; ++i)
    if (std::abs(all.ln_c[i] - break_level) < 0.35) x.push_back(all.ln_c[i]), y.push_back(all.ln_l[i]);
  const double mean_x = mean(x), mean_y = mean(y);
  double xx = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i)
    xx += (x[i] - mean_x) * (x[i] - mean_x), xy += (x[i] - mean_x) * (y[i] - mean_y);
  forecast_slope = xy / xx;
}

std::vector<double> BendTest::State::weights(const Innovations& ladder, size_t runs) const {
  const auto below = static_cast<Eigen::Index>(runs);
  std::vector<double> weight;
  for (size_t m = 0; m < sizes.size(); ++m)
    weight.push_back(sizes[m].log_prior - 0.5 * view(ladder[m]).head(below).squaredNorm() -
                     sizes[m].log_diagonal.head(below).sum());
  const double most = *std::max_element(weight.begin(), weight.end());
  double total = 0;
  for (double& w : weight) total += w = std::exp(w - most);
  for (double& w : weight) w /= total;
  return weight;
}

BendTest::BendTest(std::span<const Point> points, std::vector<Break> breaks, size_t fitted, double bend_ln_c)
    : state_(std::make_unique<const State>(points, std::move(breaks), fitted, bend_ln_c)) {}
BendTest::~BendTest() = default;

const BendTest::Innovations& BendTest::observed() const {
  return state_->observed;
}
const std::vector<Break>& BendTest::breaks() const {
  return state_->breaks;
}
double BendTest::forecast_slope() const {
  return state_->forecast_slope;
}

BendTest::Innovations BendTest::simulated(Rng& rng) const {
  double at = rng.uniform();
  size_t truth = 0;
  while (truth + 1 < state_->sizes.size() && at >= state_->fitted_weights[truth]) at -= state_->fitted_weights[truth++];
  std::vector<double> drawn = state_->observed[truth];
  for (size_t i = state_->breaks.front().first_above; i < drawn.size(); ++i) drawn[i] = rng.normal();
  Innovations ladder;
  for (size_t to = 0; to < state_->sizes.size(); ++to) {
    ladder.push_back(drawn);
    if (to == truth) continue;
    const auto across = state_->across[to][truth].triangularView<Eigen::Lower>();
    view(ladder.back()) = across * view(drawn) + state_->shift[to][truth];
  }
  return ladder;
}

BendTest::Innovations BendTest::bent(const Innovations& ladder, double change) const {
  Innovations more = ladder;
  for (size_t m = 0; m < state_->sizes.size(); ++m) view(more[m]) += change * state_->sizes[m].bend;
  return more;
}

BendTest::Score BendTest::score(const Innovations& ladder) const {
  Score best;
  for (size_t b = 0; b < state_->breaks.size(); ++b) {
    const size_t first_above = state_->breaks[b].first_above;
    const auto below = static_cast<Eigen::Index>(first_above);
    const std::vector<double> weight = state_->weights(ladder, state_->breaks[b].first_above);
    double tail = 0, change = 0, squares = kForecastPrior, forecasts = kForecastPrior;
    for (size_t i = kFirstForecast; i < first_above; ++i) {
      forecasts += 1;
      for (size_t m = 0; m < state_->sizes.size(); ++m) squares += weight[m] * ladder[m][i] * ladder[m][i];
    }
    // Where forecasts of the runs below missed, that of the runs above says less.
    const double inflation = std::max(1.0, std::sqrt(squares / forecasts));
    for (size_t m = 0; m < state_->sizes.size(); ++m) {
      const State::AtBreak& at = state_->sizes[m].at[b];
      const auto innovations = view(ladder[m]);
      const Eigen::Index above = innovations.size() - below;
      const double product =
          state_->sizes[m].hinges.col(static_cast<Eigen::Index>(b)).tail(above).dot(innovations.tail(above));
      double least = product / std::sqrt(at.squared_norm);
      if (least > 0) {
        const Eigen::VectorXd weighted = state_->sizes[m]
                                             .factor.bottomRightCorner(above, above)
                                             .triangularView<Eigen::Lower>()
                                             .transpose()
                                             .solve(innovations.tail(above));
        for (Eigen::Index i = 0; i < above; ++i) {
          const double left = at.squared_norm - at.weighted_hinge[i] * at.weighted_hinge[i] / at.precision_diagonal[i];
          const double without = product - at.weighted_hinge[i] * weighted[i] / at.precision_diagonal[i];
          least = std::min(least, left > 1e-9 * at.squared_norm ? without / std::sqrt(left) : 0.0);
        }
      }
      tail += weight[m] * normal_below(-least / inflation);
      change += weight[m] * product / at.squared_norm;
    }
    if (tail < best.tail) best = {tail, change, b};
  }
  return best;
}

}  // namespace flywheel::scaling
