// Synthetic loss curves for tests: schedules, and the multi-power law summed step by step as the paper writes it.
#pragma once

#include <cmath>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include "base/rng.h"
#include "scaling/curves/curve_schedule.h"

namespace flywheel::scaling {

struct MadeLaw {
  double E = 1.5, K = 0, kappa = 0.35, nu = 0;  // sizes are relative to N0
  double A = 8, alpha = 0.5, B = 0.25, C = 0.15, beta = 0.6, gamma = 0.7;
};

// The rate over its peak, by step of `steps`: a warm-up over `warmup` steps, then `shape` of the share of the rest.
using Shape = std::function<double(double share)>;
inline const Shape kLevel = [](double) { return 1.0; };
inline const Shape kCosine = [](double x) { return 0.05 + 0.95 * 0.5 * (1 + std::cos(std::numbers::pi * x)); };
inline const Shape kStableDecay = [](double x) { return x < 0.7 ? 1.0 : 1.0 - (x - 0.7) / 0.3 * 0.95; };

inline std::vector<RatePoint> made_rates(const Shape& shape, int steps, int warmup, double peak) {
  std::vector<RatePoint> rates;
  for (int t = 1; t <= steps; ++t) {
    const double level = t <= warmup ? static_cast<double>(t) / (warmup + 1)
                                     : shape(static_cast<double>(t - warmup) / static_cast<double>(steps - warmup));
    rates.push_back({static_cast<double>(t), peak * level});
  }
  return rates;
}

// The law by its definition, O(t): rates of steps 1 .. t relative to `peak`, warm-up of `warmup` steps, n = N/N0.
inline double made_loss(const MadeLaw& law, const std::vector<RatePoint>& rates, int t, int warmup, double peak,
                        double n) {
  double sum = 0, drop = 0;
  for (int k = t; k >= 1; --k) {
    const double rate = rates[static_cast<size_t>(k - 1)].rate / peak;
    sum += rate;
    if (k <= warmup + 1) continue;
    const double before = rates[static_cast<size_t>(k - 2)].rate / peak;
    drop += (before - rate) * (1 - std::pow(1 + law.C * std::pow(rate, -law.gamma) * sum, -law.beta));
  }
  return law.E + law.K * std::pow(n, -law.kappa) +
         std::pow(n, law.nu) * (law.A * std::pow(sum, -law.alpha) - law.B * drop);
}

// `points` evenly spaced losses with noise of that standard deviation in log loss.
inline Curve made_curve(std::string name, const MadeLaw& law, const Shape& shape, int steps, double noise, Rng& rng,
                        double N = 0, double reference_n = 1, int points = 40) {
  const int warmup = 50;
  const double peak = 0.01;
  Curve curve;
  curve.name = std::move(name);
  curve.N = N;
  curve.rates = made_rates(shape, steps, warmup, peak);
  for (int i = 1; i <= points; ++i) {
    const int t = i * steps / points;
    const double n = N > 0 ? N / reference_n : 1;
    curve.losses.push_back(
        {static_cast<double>(t), made_loss(law, curve.rates, t, warmup, peak, n) * std::exp(noise * rng.normal())});
  }
  return curve;
}

}  // namespace flywheel::scaling
