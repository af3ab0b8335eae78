// FLOPs per token as a function of size, from runs that carry their own FLOPs.
#include <algorithm>
#include <cmath>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

double FlopsRule::per_token(double N) const {
  switch (kind) {
    case Kind::kExcess:
      return N * (6 + std::exp(intercept + slope * std::log(N)));
    case Kind::kPower:
      return N * std::clamp(std::exp(intercept + slope * std::log(N)), lowest, highest);
    case Kind::kSixND:
      break;
  }
  return 6 * N;
}

FlopsRule flops_rule(std::span<const Point> points) {
  FlopsRule rule;
  std::vector<double> x, ratio;
  for (const Point& p : points)
    if (p.C > 0) {
      x.push_back(std::log(p.N));
      ratio.push_back(p.C / (p.N * p.D));
    }
  if (x.empty()) return rule;
  rule.lowest = *std::min_element(ratio.begin(), ratio.end());
  rule.highest = *std::max_element(ratio.begin(), ratio.end());
  if (rule.lowest > 6 * 0.999 && rule.highest < 6 * 1.001) return rule;
  rule.kind = rule.lowest > 6 * 1.001 ? FlopsRule::Kind::kExcess : FlopsRule::Kind::kPower;
  const double n = static_cast<double>(x.size());
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
  std::vector<double> y;
  for (const double r : ratio) y.push_back(std::log(rule.kind == FlopsRule::Kind::kExcess ? r - 6 : r));
  for (size_t i = 0; i < x.size(); ++i) mean_x += x[i] / n, mean_y += y[i] / n;
  for (size_t i = 0; i < x.size(); ++i)
    xx += (x[i] - mean_x) * (x[i] - mean_x), xy += (x[i] - mean_x) * (y[i] - mean_y);
  rule.slope = xx > 1e-6 ? xy / xx : 0;
  // An excess that grows with size would soon dwarf 6N: noise, or another convention. Hold it instead.
  if (rule.kind == FlopsRule::Kind::kExcess) rule.slope = std::min(rule.slope, 0.0);
  rule.intercept = mean_y - rule.slope * mean_x;
  return rule;
}

}  // namespace flywheel::scaling
