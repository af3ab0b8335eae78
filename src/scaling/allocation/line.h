// A weighted straight line: the power laws of this room are lines in logarithms.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace flywheel::scaling {

struct Line {
  double intercept = 0, slope = 0;
  double slope_sd = 0;  // of the slope, from the residuals or from the weights, whichever says more
  int freedom = 0;      // points less two; below 1 the slope_sd is what the weights say
  double at(double x) const { return intercept + slope * x; }
};

// Least squares with weights 1 / sd^2 of each y. REQUIRES two different x. Pure.
inline Line weighted_line(std::span<const double> x, std::span<const double> y, std::span<const double> weights) {
  double sum = 0, mean_x = 0, mean_y = 0, xx = 0, xy = 0, chi = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += weights[i];
  for (size_t i = 0; i < x.size(); ++i) mean_x += weights[i] * x[i] / sum, mean_y += weights[i] * y[i] / sum;
  for (size_t i = 0; i < x.size(); ++i)
    xx += weights[i] * (x[i] - mean_x) * (x[i] - mean_x), xy += weights[i] * (x[i] - mean_x) * (y[i] - mean_y);
  Line line;
  line.slope = xy / xx;
  line.intercept = mean_y - line.slope * mean_x;
  line.freedom = static_cast<int>(x.size()) - 2;
  for (size_t i = 0; i < x.size(); ++i) chi += weights[i] * std::pow(y[i] - line.at(x[i]), 2);
  line.slope_sd = std::sqrt((line.freedom > 0 ? std::max(1.0, chi / line.freedom) : 1.0) / xx);
  return line;
}

}  // namespace flywheel::scaling
