// Synthetic isoFLOP ladders for tests: a known law, noise, and what the law cannot express.
#pragma once

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct Ladder {
  double A = 40, B = 60, E = 0.8, alpha = 0.36, beta = 0.33;
  double kappa = 1;      // E + (A/N^alpha + B/D^beta)^kappa
  double lowest = 1e11;  // FLOPs of the first rung
  double factor = 2.5;   // between rungs
  int rungs = 5, sizes = 5;
  double noise = 0.003;             // of log loss
  double drift = 0;                 // of log loss per square root of a decade, shared by a rung
  double flatten_after = INFINITY;  // decades above the lowest; beyond it the slope of the frontier is halved
};

inline std::vector<Point> make_ladder(const Ladder& ladder, uint64_t seed) {
  Rng rng(seed);
  std::vector<Point> points;
  double drift = 0, previous = 0, at_break = 0;
  for (int r = 0; r < ladder.rungs; ++r) {
    const double C = ladder.lowest * std::pow(ladder.factor, r);
    const double decades = std::log10(C / ladder.lowest);
    drift += ladder.drift * std::sqrt(decades - previous) * rng.normal();
    previous = decades;
    double lift = 0;
    const double best = 0.7 * std::sqrt(C / 6);
    const auto smooth = [&](double N, double D) {
      const double reducible = ladder.A * std::pow(N, -ladder.alpha) + ladder.B * std::pow(D, -ladder.beta);
      return ladder.E + std::pow(reducible, ladder.kappa);
    };
    if (decades <= ladder.flatten_after)
      at_break = std::log(smooth(best, C / (6 * best)));
    else
      lift = 0.5 * (at_break - std::log(smooth(best, C / (6 * best))));
    for (int s = 0; s < ladder.sizes; ++s) {
      Point p;
      p.N = best * std::pow(2.0, s - 0.5 * (ladder.sizes - 1));
      p.D = C / (6 * p.N);
      p.C = C;
      p.L = smooth(p.N, p.D) * std::exp(lift + drift + ladder.noise * rng.normal());
      points.push_back(p);
    }
  }
  return points;
}

}  // namespace flywheel::scaling
