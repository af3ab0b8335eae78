#include "scaling/forecast/forecaster.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/rng.h"
#include "base/statistics.h"
#include "scaling/forecast/misfit.h"
#include "scaling/laws/optimum.h"

namespace flywheel::scaling {
namespace {

constexpr double kNegligible = 1e-3;                   // models of less weight are left out
constexpr double kNearDecades = 0.5, kFarDecades = 2;  // of Beliefs::near_width and far_width
constexpr int kDraws = 128;  // laws drawn from the posterior, for the interval of the optimal size

// What shapes may add, weighed by evidence where they vary: nothing, a function of width over depth, one of depth, or
// the sum of both.
struct Shape {
  bool by_ratio, by_depth;
};
constexpr Shape kShapes[] = {{false, false}, {true, false}, {false, true}, {true, true}};
constexpr double kShapeSd = 0.015, kShapeVariance = kShapeSd * kShapeSd;  // of log loss, of each function
constexpr double kLeastShapes = 0.2;  // shapes that differ by less, in ln(width / depth), are one

constexpr double kFewestShapes = 0.5;  // of the runs: fewer that are known say too little
// Of log loss over the best of as much compute: what a run counts for the typical shape falls by e.
constexpr double kFrontierExcess = 0.01;

bool shapes_vary(const Runs& runs) {
  double least = INFINITY, most = -INFINITY, known = 0;
  for (const double aspect : runs.ln_aspect) {
    if (std::isnan(aspect)) continue;
    least = std::min(least, aspect), most = std::max(most, aspect), ++known;
  }
  return known >= kFewestShapes * static_cast<double>(runs.ln_aspect.size()) && most - least > kLeastShapes;
}

// The shape that models of a size have along the frontier, as ln(width / depth): a line in ln N through the shapes of
// the runs, within what they have. Those near the best loss of as much compute count, and more at the top.
struct TypicalShape {
  double level = NAN, slope = 0, centre = 0, least = 0, most = 0;

  double at(double ln_n) const { return std::clamp(level + slope * (ln_n - centre), least, most); }
};

TypicalShape typical_shape(const Runs& runs) {
  const double top = *std::max_element(runs.ln_c.begin(), runs.ln_c.end());
  const auto weight_of = [&](size_t i) {
    double best = runs.ln_l[i];
    for (size_t j = 0; j < runs.ln_l.size(); ++j)
      if (runs.ln_c[j] <= runs.ln_c[i] + 0.1) best = std::min(best, runs.ln_l[j]);
    return std::isnan(runs.ln_aspect[i])
               ? 0
               : std::exp((best - runs.ln_l[i]) / kFrontierExcess + 0.5 * (runs.ln_c[i] - top));
  };
  TypicalShape shape{.least = INFINITY, .most = -INFINITY};
  double weight = 0, n = 0, aspect = 0, square = 0, product = 0;
  for (size_t i = 0; i < runs.ln_l.size(); ++i) {
    const double w = weight_of(i);
    if (w == 0) continue;
    weight += w, n += w * runs.ln_n[i], aspect += w * runs.ln_aspect[i];
    shape.least = std::min(shape.least, runs.ln_aspect[i]), shape.most = std::max(shape.most, runs.ln_aspect[i]);
  }
  shape.centre = n / weight, shape.level = aspect / weight;
  for (size_t i = 0; i < runs.ln_l.size(); ++i) {
    const double w = weight_of(i), off = runs.ln_n[i] - shape.centre;
    if (w > 0) square += w * off * off, product += w * off * (runs.ln_aspect[i] - shape.level);
  }
  shape.slope = product / (square + weight);  // as if one more run of each weight had no slope, a factor of e away
  return shape;
}

// One run a cell of a grid in (ln N, ln D), whose step doubles until at most `most` are left. The median loss stands
// for a cell, so that one wild run does not.
Runs merge(std::span<const Point> points, size_t most) {
  std::map<std::pair<int64_t, int64_t>, std::vector<const Point*>> cells;
  double step = 0;
  do {
    cells.clear();
    for (size_t i = 0; i < points.size(); ++i) {
      const Point& p = points[i];
      const auto cell = [&](double x) { return static_cast<int64_t>(std::floor(std::log(x) / step)); };
      cells[step > 0 ? std::pair{cell(p.N), cell(p.D)} : std::pair{static_cast<int64_t>(i), int64_t{0}}].push_back(&p);
    }
    step = step > 0 ? 2 * step : 0.01;
  } while (cells.size() > most);
  Runs runs;
  for (const auto& [cell, members] : cells) {
    double n = 0, d = 0, c = 0, aspect = 0, count = 0;
    std::vector<double> losses;
    for (const Point* p : members) {
      n += p->count * std::log(p->N), d += p->count * std::log(p->D), c += p->count * std::log(flops_of(*p));
      aspect += p->count * (p->aspect > 0 ? std::log(p->aspect) : NAN);
      count += p->count;
      losses.push_back(std::log(p->L));
    }
    runs.ln_n.push_back(n / count);
    runs.ln_d.push_back(d / count);
    runs.ln_c.push_back(c / count);
    runs.ln_aspect.push_back(aspect / count);
    runs.ln_l.push_back(quantile(losses, 0.5));
    runs.repeats.push_back(count);
  }
  const auto total = static_cast<double>(runs.ln_l.size());
  for (size_t i = 0; i < runs.ln_l.size(); ++i) {
    runs.centre_n += runs.ln_n[i] / total;
    runs.centre_d += runs.ln_d[i] / total;
  }
  return runs;
}

}  // namespace

struct Forecaster::State {
  struct ShapedFit : MisfitFit {
    Shape shape;
  };
  Beliefs beliefs;
  Runs runs;
  FlopsRule rule;
  TypicalShape typical;  // its level is NAN where shapes are not known or do not vary
  double highest_flops = 0;
  std::vector<ShapedFit> fits;
  std::vector<MisfitModel> models;
  // Laws drawn from the posterior of all models, in proportion to weight, and covariance^-1 residual of each.
  struct Draw {
    size_t model;
    LawVector theta;
    Eigen::VectorXd alpha;
  };
  std::vector<Draw> draws;

  using Correlation = double(const Beliefs&, const Site&, const Site&);
  // Of each run and the site.
  Eigen::VectorXd correlations(const Site& site, Correlation* of = misfit_correlation) const {
    Eigen::VectorXd k(runs.size());
    for (Eigen::Index i = 0; i < runs.size(); ++i) k[i] = of(beliefs, runs.site(static_cast<size_t>(i)), site);
    return k;
  }
  Eigen::MatrixXd correlations(Correlation* of = misfit_correlation) const {
    Eigen::MatrixXd k(runs.size(), runs.size());
    for (Eigen::Index i = 0; i < runs.size(); ++i) k.col(i) = correlations(runs.site(static_cast<size_t>(i)), of);
    k.diagonal().setOnes();  // of a shape that is not known too
    return k;
  }
  // A model of this size, shaped as those of the frontier are.
  Site site_of(double ln_n, double ln_d) const {
    return {ln_n, ln_d, std::isnan(typical.level) ? NAN : typical.at(ln_n)};
  }
  // Correlations of each run with a site; of shapes only where they are known.
  struct Near {
    Eigen::VectorXd misfit, ratio, depth;
  };
  Near near(const Site& site) const {
    Near near{correlations(site), {}, {}};
    if (std::isnan(typical.level)) return near;
    // Of a shape that is not known: the mean over those of the runs.
    std::vector<double> shapes = {site.ln_aspect};
    if (std::isnan(site.ln_aspect)) {
      shapes = runs.ln_aspect;
      std::erase_if(shapes, [](double shape) { return std::isnan(shape); });
    }
    near.ratio = near.depth = Eigen::VectorXd::Zero(runs.size());
    for (const double shape : shapes) {
      const Site of{site.ln_n, site.ln_d, shape};
      near.ratio += correlations(of, ratio_correlation) / static_cast<double>(shapes.size());
      near.depth += correlations(of, depth_correlation) / static_cast<double>(shapes.size());
    }
    return near;
  }
  // Covariance of what is beside the law, under one model.
  static Eigen::VectorXd covariance(const ShapedFit& fit, const Near& near) {
    Eigen::VectorXd sum = fit.misfit_sd * fit.misfit_sd * near.misfit;
    if (fit.shape.by_ratio && near.ratio.size() > 0) sum += kShapeVariance * near.ratio;
    if (fit.shape.by_depth && near.depth.size() > 0) sum += kShapeVariance * near.depth;
    return sum;
  }
  double covariance(const ShapedFit& fit, const Site& a, const Site& b) const {
    double sum = fit.misfit_sd * fit.misfit_sd * misfit_correlation(beliefs, a, b);
    if (fit.shape.by_ratio) sum += kShapeVariance * ratio_correlation(beliefs, a, b);
    if (fit.shape.by_depth) sum += kShapeVariance * depth_correlation(beliefs, a, b);
    return sum;
  }
  double law(const LawVector& theta, double ln_n, double ln_d, double* gradient = nullptr) const {
    return law_value(theta, ln_n - runs.centre_n, ln_d - runs.centre_d, gradient);
  }
  // Of ln N, for the best size at `ln_flops`: no less than one parameter or one token, unless the runs have less.
  std::pair<double, double> sizes_within(double ln_flops) const {
    const double least_n = std::min(0.0, *std::min_element(runs.ln_n.begin(), runs.ln_n.end()));
    const double least_d = std::min(0.0, *std::min_element(runs.ln_d.begin(), runs.ln_d.end()));
    return {least_n, std::max(least_n + 1, ln_flops - std::log(6.0) - least_d)};
  }
  // Of a model of typical shape.
  double mean(double ln_n, double ln_d) const {
    const Near k = near(site_of(ln_n, ln_d));
    double sum = 0;
    for (size_t m = 0; m < fits.size(); ++m)
      sum += models[m].weight * (law(fits[m].theta, ln_n, ln_d) + covariance(fits[m], k).dot(fits[m].alpha));
    return sum;
  }
  // The laws' loss over the best they give for as much compute.
  double excess(double ln_n, double ln_d) const {
    const auto laws = [&](double n, double d) {
      double sum = 0;
      for (size_t m = 0; m < fits.size(); ++m) sum += models[m].weight * law(fits[m].theta, n, d);
      return sum;
    };
    const double ln_flops = std::log(rule.per_token(std::exp(ln_n))) + ln_d;
    const auto along = [&](double n) { return laws(n, ln_flops - std::log(rule.per_token(std::exp(n)))); };
    return std::max(0.0, laws(ln_n, ln_d) - along(minimum_of(along, ln_n - 6, ln_n + 6, 24)));
  }
  double decades_beyond(const Site& site) const {
    return std::log10(rule.per_token(std::exp(site.ln_n)) * std::exp(site.ln_d) / highest_flops);
  }
  double width(const Site& site) const {
    const double far = std::clamp((decades_beyond(site) - kNearDecades) / (kFarDecades - kNearDecades), 0.0, 1.0);
    return std::pow(beliefs.near_width, 1 - far) * std::pow(beliefs.far_width, far);
  }
  struct Spread {
    double mean, sd;  // sd: a normal distribution's with the same 90% interval
  };
  // Of a run's log loss, noise included: the spread within the models and between them.
  Spread spread(const Site& site) const {
    const Near k = near(site);
    const double off = excess(site.ln_n, site.ln_d) / beliefs.frontier_width;
    // The noise's tails reach farther than a normal distribution's of its scale.
    const double tail_width = std::pow(student_quantile(0.95, beliefs.tail) / kNormal90, 2);
    const double noise_share = tail_width * (1 + off * off);
    double first = 0, second = 0, of_any_shape = 0;
    for (size_t m = 0; m < fits.size(); ++m) {
      const ShapedFit& fit = fits[m];
      const double own = covariance(fit, site, site);
      const Eigen::VectorXd cross = covariance(fit, k);
      if (std::isnan(site.ln_aspect))
        of_any_shape +=
            models[m].weight * kShapeVariance * ((fit.shape.by_ratio ? 1 : 0) + (fit.shape.by_depth ? 1 : 0));
      LawVector gradient;
      const double value = law(fit.theta, site.ln_n, site.ln_d, gradient.data()) + cross.dot(fit.alpha);
      const Eigen::VectorXd white = fit.factor.triangularView<Eigen::Lower>().solve(cross);
      const LawVector open = gradient - fit.whitened.transpose() * white;
      const double variance = std::max(own - white.squaredNorm(), 0.0) + open.dot(fit.posterior * open) +
                              noise_share * fit.noise_sd * fit.noise_sd;
      first += models[m].weight * value;
      second += models[m].weight * (value * value + variance);
    }
    // The factor on the width says how much less is missed far off than the model thinks, not how much shapes differ.
    return {first,
            std::hypot(width(site) * std::sqrt(std::max(second - first * first, 1e-12)), std::sqrt(of_any_shape))};
  }
  void draw_laws() {
    Rng rng(1, 0x6c617773);
    std::vector<double> bounds;
    for (size_t m = 0; m < fits.size(); ++m) bounds.push_back((m ? bounds.back() : 0) + models[m].weight);
    for (int i = 0; i < kDraws; ++i) {
      const double at = (i + 0.5) / kDraws;
      Draw draw;
      draw.model = std::min<size_t>(
          static_cast<size_t>(std::upper_bound(bounds.begin(), bounds.end(), at) - bounds.begin()), fits.size() - 1);
      const MisfitFit& fit = fits[draw.model];
      LawVector normal;
      for (int j = 0; j < kLawParameters; ++j) normal[j] = rng.normal();
      draw.theta = fit.theta + fit.posterior.llt().matrixL() * normal;
      Eigen::VectorXd residual(runs.size());
      for (size_t j = 0; j < runs.ln_l.size(); ++j)
        residual[static_cast<Eigen::Index>(j)] = runs.ln_l[j] - law(draw.theta, runs.ln_n[j], runs.ln_d[j]);
      const auto lower = fit.factor.triangularView<Eigen::Lower>();
      draw.alpha = lower.transpose().solve(lower.solve(residual));
      draws.push_back(std::move(draw));
    }
  }
};

Forecaster::~Forecaster() = default;
Forecaster::Forecaster(Forecaster&&) noexcept = default;
Forecaster& Forecaster::operator=(Forecaster&&) noexcept = default;

Forecaster::Forecaster(std::span<const Point> points, const Beliefs& beliefs) : state_(std::make_unique<State>()) {
  check_points(points);
  State& s = *state_;
  s.beliefs = beliefs;
  s.runs = merge(points, kMostRuns);
  s.rule = scaling::flops_rule(points);
  for (const Point& point : points) s.highest_flops = std::max(s.highest_flops, flops_of(point));
  const bool shapes = shapes_vary(s.runs);
  if (shapes) s.typical = typical_shape(s.runs);
  const Eigen::MatrixXd correlation = s.correlations();
  const Eigen::MatrixXd of_ratio = shapes ? s.correlations(ratio_correlation) : Eigen::MatrixXd();
  const Eigen::MatrixXd of_depth = shapes ? s.correlations(depth_correlation) : Eigen::MatrixXd();
  LawVector start, unused;
  law_prior(s.runs, s.beliefs, start, unused);
  std::vector<State::ShapedFit> fits;
  double best = -INFINITY;
  for (const Shape& shape : std::span(kShapes).first(shapes ? std::size(kShapes) : 1)) {
    Eigen::MatrixXd of_shape = Eigen::MatrixXd::Zero(s.runs.size(), s.runs.size());
    if (shape.by_ratio) of_shape += kShapeVariance * of_ratio;
    if (shape.by_depth) of_shape += kShapeVariance * of_depth;
    for (const double misfit_sd : kMisfitSds) {
      MisfitFit fit = fit_misfit(s.runs, correlation, of_shape, s.beliefs, misfit_sd, start);
      if (!std::isfinite(fit.log_evidence)) continue;
      best = std::max(best, fit.log_evidence);
      fits.push_back({std::move(fit), shape});
    }
  }
  if (fits.empty()) throw_failed("no law gives a finite loss on these runs");
  double total = 0;
  for (State::ShapedFit& fit : fits) {
    const double weight = std::exp(fit.log_evidence - best);
    if (weight < kNegligible) continue;
    total += weight;
    const double kappa = std::exp(fit.theta[5]);
    s.models.push_back({weight, fit.misfit_sd, fit.noise_sd, std::exp(fit.theta[2]), std::exp(fit.theta[3]),
                        std::exp(fit.theta[4]), kappa});
    s.fits.push_back(std::move(fit));
  }
  for (MisfitModel& model : s.models) model.weight /= total;
  s.draw_laws();
}

double Forecaster::highest_flops() const {
  return state_->highest_flops;
}
const FlopsRule& Forecaster::flops_rule() const {
  return state_->rule;
}
const std::vector<MisfitModel>& Forecaster::models() const {
  return state_->models;
}

std::vector<double> Forecaster::covariance(std::span<const std::pair<double, double>> sites) const {
  const State& s = *state_;
  const auto n = static_cast<Eigen::Index>(sites.size());
  Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(n, n);
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(n);
  for (size_t m = 0; m < s.fits.size(); ++m) {
    const State::ShapedFit& fit = s.fits[m];
    Eigen::MatrixXd cross(s.runs.size(), n), gradients(kLawParameters, n), between(n, n);
    Eigen::VectorXd values(n);
    for (Eigen::Index i = 0; i < n; ++i) {
      const double ln_n = std::log(sites[static_cast<size_t>(i)].first);
      const double ln_d = std::log(sites[static_cast<size_t>(i)].second);
      const Site site = s.site_of(ln_n, ln_d);
      cross.col(i) = State::covariance(fit, s.near(site));
      LawVector gradient;
      values[i] = s.law(fit.theta, ln_n, ln_d, gradient.data()) + cross.col(i).dot(fit.alpha);
      gradients.col(i) = gradient;
      for (Eigen::Index j = 0; j <= i; ++j) {
        const auto& [N, D] = sites[static_cast<size_t>(j)];
        between(i, j) = between(j, i) = s.covariance(fit, site, s.site_of(std::log(N), std::log(D)));
      }
    }
    const Eigen::MatrixXd white = fit.factor.triangularView<Eigen::Lower>().solve(cross);
    const Eigen::MatrixXd open = gradients - fit.whitened.transpose() * white;
    const double weight = s.models[m].weight;
    sum += weight * (between - white.transpose() * white + open.transpose() * fit.posterior * open +
                     values * values.transpose());
    mean += weight * values;
  }
  sum -= mean * mean.transpose();
  Eigen::VectorXd widths(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const auto& [N, D] = sites[static_cast<size_t>(i)];
    widths[i] = s.width(s.site_of(std::log(N), std::log(D)));
  }
  sum = widths.asDiagonal() * sum * widths.asDiagonal();
  return {sum.data(), sum.data() + sum.size()};  // symmetric: column-major is row-major
}

double Forecaster::noise_sd(double N, double D) const {
  const State& s = *state_;
  double variance = 0;
  for (const MisfitModel& model : s.models) variance += model.weight * model.noise_sd * model.noise_sd;
  const double flops = s.rule.per_token(N) * D, ln_flops = std::log(flops);
  const auto along = [&](double ln_n) { return s.mean(ln_n, ln_flops - std::log(s.rule.per_token(std::exp(ln_n)))); };
  const double best = along(minimum_of(along, std::log(N) - 4, std::log(N) + 4, 40));
  const double excess = std::max(0.0, s.mean(std::log(N), std::log(D)) - best) / s.beliefs.frontier_width;
  const double below = std::max(0.0, std::log(s.highest_flops) - ln_flops);
  return std::sqrt(variance * std::exp(s.beliefs.focus * below) * (1 + excess * excess));
}

Optimum Forecaster::predict(double N, double D, double aspect) const {
  if (!(N > 0) || !(D > 0) || !std::isfinite(N) || !std::isfinite(D))
    throw_bad_input("a prediction needs N and D above 0, found N = {} and D = {}", N, D);
  return predict_site(std::log(N), std::log(D), aspect > 0 ? std::log(aspect) : NAN);
}

Optimum Forecaster::predict_site(double ln_n, double ln_d, double ln_aspect) const {
  const State& s = *state_;
  const Site site{ln_n, ln_d, ln_aspect};
  const auto [mean, sd] = s.spread(site);
  const double inflation = error_inflation.at_decades(s.decades_beyond(site));
  const double half = kNormal90 * inflation * sd, N = std::exp(ln_n);
  return {N, std::exp(ln_d), std::exp(mean), std::exp(mean - half), std::exp(mean + half), N, N};
}

double Forecaster::typical_aspect(double N) const {
  const TypicalShape& typical = state_->typical;
  return std::isnan(typical.level) ? 0 : std::exp(typical.at(std::log(N)));
}

Optimum Forecaster::compute_optimal(double flops) const {
  return compute_optimal(flops, [&](double N) { return state_->rule.per_token(N); });
}

Optimum Forecaster::compute_optimal(double flops, const std::function<double(double N)>& flops_per_token) const {
  if (!(flops > 0) || !std::isfinite(flops)) throw_bad_input("a compute budget is FLOPs above 0, found {}", flops);
  const State& s = *state_;
  const auto along = [&](double ln_n) { return std::log(flops) - std::log(flops_per_token(std::exp(ln_n))); };
  const auto mean = [&](double ln_n) { return s.mean(ln_n, along(ln_n)); };
  const auto [least, most] = s.sizes_within(std::log(flops));
  const double best = minimum_of(mean, least, most, 100);
  Optimum optimum = predict_site(best, along(best), s.site_of(best, 0).ln_aspect);
  const double one[] = {flops};
  const std::vector<double> sizes = optimal_sizes(one, flops_per_token).front();
  optimum.N_low = std::exp(quantile(sizes, 0.05));
  optimum.N_high = std::exp(quantile(sizes, 0.95));
  return optimum;
}

double Forecaster::loss(double N, double D) const {
  return std::exp(state_->mean(std::log(N), std::log(D)));
}

std::vector<std::vector<double>> Forecaster::surfaces(std::span<const std::pair<double, double>> sites) const {
  const State& s = *state_;
  const auto n = static_cast<Eigen::Index>(sites.size());
  std::vector<double> ln_n, ln_d;
  for (const auto& [N, D] : sites) ln_n.push_back(std::log(N)), ln_d.push_back(std::log(D));
  std::vector<Site> places;
  std::vector<State::Near> near;
  for (size_t i = 0; i < sites.size(); ++i) {
    places.push_back(s.site_of(ln_n[i], ln_d[i]));
    near.push_back(s.near(places.back()));
  }
  // Of the sites with the runs, and what the misfit may still do between and beyond the runs, given them.
  std::vector<Eigen::MatrixXd> crosses, roots;
  for (const State::ShapedFit& fit : s.fits) {
    Eigen::MatrixXd cross(s.runs.size(), n), open(n, n);
    for (Eigen::Index i = 0; i < n; ++i) {
      const auto a = static_cast<size_t>(i);
      cross.col(i) = State::covariance(fit, near[a]);
      for (Eigen::Index j = 0; j <= i; ++j)
        open(i, j) = open(j, i) = s.covariance(fit, places[a], places[static_cast<size_t>(j)]);
    }
    const Eigen::MatrixXd white = fit.factor.triangularView<Eigen::Lower>().solve(cross);
    open -= white.transpose() * white;
    open.diagonal().array() += 1e-8 * fit.misfit_sd * fit.misfit_sd;
    roots.emplace_back(open.llt().matrixL());
    crosses.push_back(std::move(cross));
  }
  std::vector<std::vector<double>> surfaces;
  Rng rng(2, 0x73697a65);
  for (const State::Draw& draw : s.draws) {
    Eigen::VectorXd normal(n);
    for (Eigen::Index i = 0; i < n; ++i) normal[i] = rng.normal();
    Eigen::VectorXd loss = crosses[draw.model].transpose() * draw.alpha + roots[draw.model] * normal;
    for (size_t i = 0; i < sites.size(); ++i) loss[static_cast<Eigen::Index>(i)] += s.law(draw.theta, ln_n[i], ln_d[i]);
    surfaces.emplace_back(loss.data(), loss.data() + loss.size());
  }
  return surfaces;
}

std::vector<std::vector<double>> Forecaster::optimal_sizes(
    std::span<const double> flops, const std::function<double(double N)>& flops_per_token) const {
  const State& s = *state_;
  constexpr double kReach = 6, kStep = 0.25;  // of the grid in ln N, either way of the best size
  std::vector<std::pair<double, double>> sites;
  std::vector<size_t> begins = {0}, centres;  // of each compute's sites; the site next to the forecast's own optimum
  for (const double C : flops) {
    const auto tokens = [&](double ln_n) { return C / flops_per_token(std::exp(ln_n)); };
    const auto [least, most] = s.sizes_within(std::log(C));
    const double best = minimum_of([&](double ln_n) { return s.mean(ln_n, std::log(tokens(ln_n))); }, least, most, 100);
    const double first = std::max(least, best - kReach), last = std::min(most, best + kReach);
    centres.push_back(sites.size() + static_cast<size_t>((best - first) / kStep));
    for (double ln_n = first; ln_n <= last + 1e-9; ln_n += kStep) sites.emplace_back(std::exp(ln_n), tokens(ln_n));
    begins.push_back(sites.size());
  }
  std::vector<std::vector<double>> sizes(flops.size());
  for (const std::vector<double>& loss : surfaces(sites))
    for (size_t f = 0; f < flops.size(); ++f) {
      // Downhill from the forecast's optimum: losses at equal compute have one valley, while a drawn misfit may fall
      // again far from all runs.
      size_t best = centres[f];
      while (best > begins[f] && loss[best - 1] < loss[best]) --best;
      while (best + 1 < begins[f + 1] && loss[best + 1] < loss[best]) ++best;
      double ln_n = std::log(sites[best].first);
      if (best > begins[f] && best + 1 < begins[f + 1])  // the vertex of the parabola through it and its neighbours
        ln_n += 0.5 * kStep * (loss[best - 1] - loss[best + 1]) /
                std::max(loss[best - 1] - 2 * loss[best] + loss[best + 1], 1e-12);
      sizes[f].push_back(ln_n);
    }
  return sizes;
}

}  // namespace flywheel::scaling
