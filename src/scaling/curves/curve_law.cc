// Values and derivatives of the curve laws. With x = C eta^-gamma S a node gains 1 - (1 + x)^-beta; its derivatives by
// ln C, ln beta and ln gamma are beta x (1 + x)^(-beta-1) times 1, and -gamma ln eta, and beta ln(1 + x) (1 + x)^-beta.
// The annealing area is the same sum with 1 - lambda^(t-k+1), over steps instead of rates, up to the factor 1 - lambda.
#include "scaling/curves/curve_law.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace flywheel::scaling {
namespace {

constexpr double kSmallestRate = 1e-9;  // of the peak; stands for 0 in eta^-gamma

double gained_multi_power(const double* theta, const CurvePoint& point, double* gradient) {
  const double beta = std::exp(theta[1]), gamma = std::exp(theta[2]);
  double sum = 0, by_c = 0, by_beta = 0, by_gamma = 0;
  for (const CurvePoint::Node& node : point.nodes) {
    const double x = std::exp(std::min(theta[0] - gamma * node.ln_rate + node.ln_sum, 300.0));
    const double ln = std::log1p(x), left = std::exp(-beta * ln);
    sum += node.drop * (1 - left);
    if (gradient == nullptr) continue;
    const double by_ln_x = node.drop * beta * left * x / (1 + x);
    by_c += by_ln_x;
    by_gamma -= by_ln_x * gamma * node.ln_rate;
    by_beta += node.drop * beta * ln * left;
  }
  if (gradient != nullptr) gradient[0] = by_c, gradient[1] = by_beta, gradient[2] = by_gamma;
  return sum;
}

double gained_annealing(const double* theta, const CurvePoint& point, double* gradient) {
  const double forget = std::exp(theta[0]);  // -ln lambda
  double sum = 0, slope = 0;
  for (const CurvePoint::Node& node : point.nodes) {
    const double left = std::exp(-forget * node.count);
    sum += node.drop * (1 - left);
    slope += node.drop * forget * node.count * left;
  }
  if (gradient != nullptr) gradient[0] = slope;
  return sum;
}

}  // namespace

const char* name_of(CurveForm form) {
  switch (form) {
    case CurveForm::kMultiPower:
      return "multi_power";
    case CurveForm::kSublinear:
      return "sublinear";
    case CurveForm::kAnnealing:
      return "annealing";
    case CurveForm::kTokens:
      return "tokens";
  }
  return "";
}

size_t CurveLayout::drop_parameters() const {
  return form == CurveForm::kTokens ? 0 : form == CurveForm::kAnnealing ? 2 : 4;
}

CurvePoint curve_point(CurveForm form, const Schedule& schedule, double step, double reference_rate, double ln_n) {
  CurvePoint point;
  point.step = step;
  point.ln_n = ln_n;
  point.ln_s = std::log(form == CurveForm::kTokens ? step : std::max(schedule.sum_to(step) / reference_rate, 1e-12));
  if (form == CurveForm::kTokens) return point;
  for (const Drop& drop : schedule.drops_to(step))
    point.nodes.push_back({drop.drop / reference_rate, std::log(std::max(drop.rate / reference_rate, kSmallestRate)),
                           std::log(std::max(drop.sum / reference_rate, 1e-30)), drop.count});
  if (form == CurveForm::kSublinear)
    for (const Stretch& stretch : schedule.path_to(step))
      point.path.push_back({std::log(stretch.rate / reference_rate), stretch.steps});
  return point;
}

double gained(const CurveLayout& layout, const double* drop_theta, const CurvePoint& point, double* gradient) {
  switch (layout.form) {
    case CurveForm::kMultiPower:
    case CurveForm::kSublinear:
      return gained_multi_power(drop_theta, point, gradient);
    case CurveForm::kAnnealing:
      return gained_annealing(drop_theta, point, gradient);
    case CurveForm::kTokens:
      return 0;
  }
  return 0;
}

double ln_progress(const CurvePoint& point, double ln_p, double* slope) {
  const double p = std::exp(ln_p);
  double sum = 1e-12, by_p = 0;
  for (const CurvePoint::Stretch& stretch : point.path) {
    const double progress = stretch.steps * std::exp(p * stretch.ln_rate);
    sum += progress;
    by_p += progress * stretch.ln_rate;
  }
  if (slope != nullptr) *slope = p * by_p / sum;
  return std::log(sum);
}

double curve_loss(const CurveLayout& layout, const std::vector<double>& theta, const CurvePoint& point,
                  double* gradient) {
  const size_t drop = CurveLayout::kFirstDrop, n = layout.size_part();
  const double floor = std::exp(theta[CurveLayout::kE]), alpha = std::exp(theta[CurveLayout::kAlpha]);
  const double size = layout.sized ? std::exp(theta[n + 2] * point.ln_n) : 1;
  double by_p = 0;
  const double ln_s = layout.has_power() ? ln_progress(point, theta[layout.power()], &by_p) : point.ln_s;
  const double power = size * std::exp(theta[CurveLayout::kA] - alpha * ln_s);
  double decay = 0, share[3] = {};
  if (layout.drop_parameters() > 0) {
    const double scale = size * std::exp(theta[drop]);
    decay = scale * gained(layout, theta.data() + drop + 1, point, gradient == nullptr ? nullptr : share);
    if (gradient != nullptr) {
      gradient[drop] = -decay;
      for (size_t i = 1; i < layout.drop_parameters(); ++i) gradient[drop + i] = -scale * share[i - 1];
    }
  }
  double loss = floor + power - decay;
  if (gradient != nullptr) {
    gradient[CurveLayout::kE] = floor;
    gradient[CurveLayout::kA] = power;
    gradient[CurveLayout::kAlpha] = -power * alpha * ln_s;
    if (layout.has_power()) gradient[layout.power()] = -power * alpha * by_p;
  }
  if (layout.sized) {
    const double kappa = std::exp(theta[n + 1]), by_size = std::exp(theta[n] - kappa * point.ln_n);
    loss += by_size;
    if (gradient != nullptr) {
      gradient[n] = by_size;
      gradient[n + 1] = -by_size * kappa * point.ln_n;
      gradient[n + 2] = (power - decay) * point.ln_n;
    }
  }
  return loss;
}

std::map<std::string, double> CurveLaw::parameters() const {
  std::map<std::string, double> named = {{layout.sized ? "E" : "L0", std::exp(theta[CurveLayout::kE])},
                                         {"A", std::exp(theta[CurveLayout::kA])},
                                         {"alpha", std::exp(theta[CurveLayout::kAlpha])}};
  const double* drop = theta.data() + CurveLayout::kFirstDrop;
  if (layout.has_power()) named["p"] = std::exp(theta[layout.power()]);
  if (layout.drop_parameters() == 4) {
    named["B"] = std::exp(drop[0]);
    named["C"] = std::exp(drop[1]);
    named["beta"] = std::exp(drop[2]);
    named["gamma"] = std::exp(drop[3]);
  } else if (layout.form == CurveForm::kAnnealing) {
    const double lambda = std::exp(-std::exp(drop[1]));
    named["lambda"] = lambda;
    named["C"] = std::exp(drop[0]) * (1 - lambda);
  }
  if (layout.sized) {
    const double* size = theta.data() + layout.size_part();
    named["K"] = std::exp(size[0]);
    named["kappa"] = std::exp(size[1]);
    named["nu"] = size[2];
  }
  return named;
}

std::vector<double> CurveLaw::predict(const Curve& curve, std::span<const double> steps) const {
  if (layout.sized && !(curve.N > 0))
    throw_bad_input("curve \"{}\": N (parameters) is missing, and the law was fitted on several sizes", curve.name);
  if (!layout.sized && reference_n > 0 && curve.N > 0 && std::abs(std::log(curve.N / reference_n)) > 0.01)
    throw_bad_input("curve \"{}\": N is {}, but the law was fitted on curves of N = {} only; add curves of other sizes",
                    curve.name, curve.N, reference_n);
  const Schedule schedule(curve.rates);
  const auto known = reference_rates.find(layout.sized ? curve.N : reference_rates.begin()->first);
  const double reference = known == reference_rates.end() ? schedule.peak() : known->second;
  std::vector<double> losses;
  for (const double step : steps)
    losses.push_back(curve_loss(
        layout, theta,
        curve_point(layout.form, schedule, step, reference, layout.sized ? std::log(curve.N / reference_n) : 0),
        nullptr));
  return losses;
}

}  // namespace flywheel::scaling
