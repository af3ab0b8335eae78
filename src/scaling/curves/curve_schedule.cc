// Piecewise linear schedules. Within a piece the sum of rates is a quadratic in the step, so the inner sum S_k(t) of
// the multi-power law is closed form, and the outer sum over steps k is a Gauss-Legendre rule: sum_{k=a+1}^{b} f(k) is
// the integral from a + 1/2 to b + 1/2 up to the curvature of f over one step. Nodes are uniform in v with k = end -
// span v^2, since the gain of a drop changes fastest right after it.
#include "scaling/curves/curve_schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace flywheel::scaling {
namespace {

constexpr int kMostNodes = 8;

struct Rule {
  std::array<double, kMostNodes> at{}, weight{};
};

// Gauss-Legendre on [0, 1] by Newton's method on the Legendre polynomial.
Rule gauss_legendre(int n) {
  Rule rule;
  for (int i = 0; i < n; ++i) {
    double x = std::cos(M_PI * (i + 0.75) / (n + 0.5)), slope = 1;
    for (int iteration = 0; iteration < 50; ++iteration) {
      double p = 1, below = 0;
      for (int k = 1; k <= n; ++k) {
        const double next = ((2 * k - 1) * x * p - (k - 1) * below) / k;
        below = p;
        p = next;
      }
      slope = n * (x * p - below) / (x * x - 1);
      x -= p / slope;
    }
    rule.at[static_cast<size_t>(i)] = 0.5 * (1 + x);
    rule.weight[static_cast<size_t>(i)] = 1 / ((1 - x * x) * slope * slope);
  }
  return rule;
}

const Rule& rule_of(int n) {
  static const std::array<Rule, kMostNodes + 1> rules = [] {
    std::array<Rule, kMostNodes + 1> made{};
    for (int k = 1; k <= kMostNodes; ++k) made[static_cast<size_t>(k)] = gauss_legendre(k);
    return made;
  }();
  return rules[static_cast<size_t>(n)];
}

double line(const RatePoint& a, const RatePoint& b, double step) {
  return a.rate + (b.rate - a.rate) * (step - a.step) / (b.step - a.step);
}

}  // namespace

double Curve::last_step() const {
  const double last_rate = rates.empty() ? 0 : rates.back().step;
  return losses.empty() ? last_rate : std::max(last_rate, losses.back().step);
}

std::vector<std::string> leave_one_text(std::vector<Curve>& curves) {
  std::map<std::string, int> count;
  for (const Curve& curve : curves) ++count[curve.text];
  const auto most =
      std::max_element(count.begin(), count.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<std::string> others;
  std::erase_if(curves, [&](const Curve& curve) {
    if (curve.text == most->first) return false;
    others.push_back(curve.name);
    return true;
  });
  return others;
}

std::vector<LossPoint> averaged(const std::vector<LossPoint>& losses, size_t most) {
  if (losses.size() <= most) return losses;
  std::vector<LossPoint> means;
  for (size_t bin = 0; bin < most; ++bin) {
    const size_t first = bin * losses.size() / most, end = (bin + 1) * losses.size() / most;
    LossPoint mean;
    for (size_t i = first; i < end; ++i) mean.step += losses[i].step, mean.loss += losses[i].loss;
    mean.step /= static_cast<double>(end - first);
    mean.loss /= static_cast<double>(end - first);
    means.push_back(mean);
  }
  return means;
}

std::vector<RatePoint> compress_rates(const std::vector<RatePoint>& rates, double tolerance) {
  if (rates.size() < 3) return rates;
  double peak = 0;
  for (const RatePoint& r : rates) peak = std::max(peak, r.rate);
  std::vector<bool> keep(rates.size(), false);
  keep.front() = keep.back() = true;
  std::vector<std::pair<size_t, size_t>> open = {{0, rates.size() - 1}};
  while (!open.empty()) {
    const auto [first, last] = open.back();
    open.pop_back();
    double worst = 0;
    size_t at = first;
    for (size_t i = first + 1; i < last; ++i) {
      const double off = std::abs(rates[i].rate - line(rates[first], rates[last], rates[i].step));
      if (off > worst) worst = off, at = i;
    }
    if (worst <= tolerance * peak) continue;
    keep[at] = true;
    open.emplace_back(first, at);
    open.emplace_back(at, last);
  }
  std::vector<RatePoint> kept;
  for (size_t i = 0; i < rates.size(); ++i)
    if (keep[i]) kept.push_back(rates[i]);
  return kept;
}

Schedule::Schedule(const std::vector<RatePoint>& rates) : knots_(compress_rates(rates)) {
  const bool before = knots_.front().step > 0;
  if (before) knots_.insert(knots_.begin(), {0, knots_.front().rate});
  for (const RatePoint& knot : knots_) peak_ = std::max(peak_, knot.rate);
  sums_.assign(1, 0.0);
  for (size_t i = 0; i + 1 < knots_.size(); ++i) sums_.push_back(sum_in(i, knots_[i + 1].step));
  const auto rises = [&](size_t i) { return knots_[i + 1].rate > knots_[i].rate + 1e-3 * peak_; };
  size_t i = before ? 1 : 0;  // the level piece before the first point belongs to the rise that follows
  while (i + 1 < knots_.size() && rises(i)) warmup_ = ++i;
  nodes_ = std::clamp(64 / static_cast<int>(knots_.size() - warmup_), 3, kMostNodes);
}

double Schedule::sum_in(size_t piece, double step) const {
  const RatePoint& a = knots_[piece];
  const double steps = step - a.step;
  if (piece + 1 == knots_.size()) return sums_[piece] + a.rate * steps;
  const double slope = (knots_[piece + 1].rate - a.rate) / (knots_[piece + 1].step - a.step);
  return sums_[piece] + a.rate * steps + 0.5 * slope * steps * (steps + 1);
}

double Schedule::rate_at(double step) const {
  if (step >= knots_.back().step) return knots_.back().rate;
  size_t i = 0;
  while (knots_[i + 1].step < step) ++i;
  return line(knots_[i], knots_[i + 1], step);
}

double Schedule::sum_to(double step) const {
  size_t i = 0;
  while (i + 1 < knots_.size() && knots_[i + 1].step < step) ++i;
  return sum_in(i, step);
}

std::vector<Drop> Schedule::drops_to(double step) const {
  std::vector<Drop> drops;
  const double total = sum_to(step);
  for (size_t i = warmup_; i + 1 < knots_.size() && knots_[i].step < step; ++i) {
    const RatePoint &a = knots_[i], &b = knots_[i + 1];
    if (a.rate == b.rate) continue;
    const double end = std::min(b.step, step), span = end - a.step, slope = (b.rate - a.rate) / (b.step - a.step);
    const auto add = [&](double k, double share) {
      const double rate = std::max(0.0, a.rate + slope * (k - a.step));
      drops.push_back({-slope * share, rate, std::max(0.0, total - sum_in(i, k - 1)), step - k + 1});
    };
    if (span <= nodes_) {
      for (double k = a.step + 1; k <= end; ++k) add(k, 1);
      continue;
    }
    const Rule& rule = rule_of(nodes_);
    for (int n = 0; n < nodes_; ++n) {
      const double v = rule.at[static_cast<size_t>(n)];
      add(end + 0.5 - span * v * v, 2 * span * v * rule.weight[static_cast<size_t>(n)]);
    }
  }
  return drops;
}

std::vector<Stretch> Schedule::path_to(double step) const {
  std::vector<Stretch> path;
  const auto add = [&](double rate, double steps) {
    if (rate > 0 && steps > 0) path.push_back({rate, steps});
  };
  for (size_t i = 0; i < knots_.size() && knots_[i].step < step; ++i) {
    const RatePoint& a = knots_[i];
    const bool last = i + 1 == knots_.size();
    const double end = last ? step : std::min(knots_[i + 1].step, step), span = end - a.step;
    const double slope = last ? 0 : (knots_[i + 1].rate - a.rate) / (knots_[i + 1].step - a.step);
    if (slope == 0) {
      add(a.rate, span);
    } else if (span <= nodes_) {
      for (double k = a.step + 1; k <= end; ++k) add(a.rate + slope * (k - a.step), 1);
    } else {
      const Rule& rule = rule_of(nodes_);
      for (size_t n = 0; n < static_cast<size_t>(nodes_); ++n)
        add(a.rate + slope * (0.5 + span * rule.at[n]), span * rule.weight[n]);
    }
  }
  return path;
}

}  // namespace flywheel::scaling
