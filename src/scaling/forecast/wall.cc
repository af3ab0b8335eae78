// The break is not identified under the null, so the statistic is the largest over break levels (after Andrews 1993 and
// Hansen 1996), and its distribution is simulated on the ladder at hand: the runs below the lowest break as they are,
// those above drawn from the forecaster's law, misfit and noise (bend.h). The same simulated ladders, bent by a growing
// change of slope, say which change the whole decision would call a wall.
#include "scaling/forecast/wall.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/rng.h"
#include "base/statistics.h"
#include "scaling/forecast/bend.h"
#include "scaling/forecast/forecaster.h"

namespace flywheel::scaling {
namespace {

constexpr double kFalseAlarm = 0.02;
constexpr double kHint = 0.1;  // below it a bend that is no wall yet is not called "none seen" either
constexpr double kPower = 0.8;
constexpr double kLeastShare = 0.2;  // of the slope, that a change must have to be a wall
constexpr double kTopDecades = 1.6;  // a wall is looked for in the last decades only
constexpr double kLeastPower = 0.1;  // for a flat end, without which a call says nothing
constexpr double kBendDecades = 1;   // before the end, where the bend starts whose power is stated
constexpr double kLeastDecadesBelow = 1;
constexpr double kWidestGapDecades = 1.1;  // runs below a wider gap do not count as decades below
constexpr size_t kFewestRunsBelow = 6, kFewestRunsAbove = 2, kFewestRuns = 8, kFewestLevels = 4;
constexpr size_t kMostRuns = 80;
constexpr int kNullLadders = 1999, kBentLadders = 400;

// The runs that speak about the frontier, by level: near the best of their level, because far-off sizes show the law's
// misfit and not a wall; the best ones of each level where there are many.
std::vector<std::vector<Point>> near_frontier(std::span<const Point> points) {
  constexpr double kExcess = 0.05;  // of log loss
  std::vector<std::vector<Point>> levels;
  const auto indices = compute_levels(points);
  const size_t most = std::max<size_t>(1, kMostRuns / std::max<size_t>(1, indices.size()));
  for (const std::vector<size_t>& level : indices) {
    std::vector<Point> runs;
    for (const size_t i : level) runs.push_back(points[i]);
    std::stable_sort(runs.begin(), runs.end(), [](const Point& a, const Point& b) { return a.L < b.L; });
    while (runs.size() > most || std::log(runs.back().L / runs.front().L) > kExcess) runs.pop_back();
    levels.push_back(std::move(runs));
  }
  return levels;
}

double ln_flops(const std::vector<Point>& level) {
  double sum = 0;
  for (const Point& p : level) sum += std::log(flops_of(p));
  return sum / static_cast<double>(level.size());
}

double epochs(const Point& p) {
  return p.U > 0 ? std::max(1.0, p.D / p.U) : 1.0;
}

// Why a bend above this level would not be compute's doing: runs above it repeat data more often than those below, or
// the best ones grow in size alone or in tokens alone.
std::optional<std::string> other_cause(const std::vector<std::vector<Point>>& levels, size_t break_level) {
  struct Side {
    double most_epochs = 1;
    std::vector<double> ln_n, ln_d;  // of the best runs within a decade
  } below, above;
  for (size_t i = 0; i < levels.size(); ++i) {
    Side& side = i <= break_level ? below : above;
    for (const Point& p : levels[i]) side.most_epochs = std::max(side.most_epochs, epochs(p));
    if (ln_flops(levels[i]) < ln_flops(levels[break_level]) - std::log(10.0)) continue;
    side.ln_n.push_back(std::log(levels[i].front().N));
    side.ln_d.push_back(std::log(levels[i].front().D));
  }
  if (above.most_epochs > 1.01 * below.most_epochs)
    return fmt::format(
        "the runs at the top pass over their data up to {:.3g} times, those below up to {:.3g} times, and repeated "
        "data "
        "bends a frontier by itself",
        above.most_epochs, below.most_epochs);
  const bool larger = mean(above.ln_n) > mean(below.ln_n) + 0.01, longer = mean(above.ln_d) > mean(below.ln_d) + 0.01;
  if (larger && longer) return std::nullopt;
  return fmt::format(
      "the best runs at the top have no more {} than those a decade below, so that a bend would be that of the way "
      "which "
      "the ladder takes",
      larger ? "tokens" : "parameters");
}

struct Candidates {
  std::vector<Break> breaks;
  std::string why;  // why there are none
};
Candidates breaks_of(const std::vector<std::vector<Point>>& levels) {
  const double lowest = ln_flops(levels.front()), top = ln_flops(levels.back());
  double bottom = lowest, previous = lowest;
  size_t runs = 0, all = 0;
  for (const auto& level : levels) all += level.size();
  Candidates found;
  found.why = fmt::format(
      "{} runs near the frontier over {:.1f} decades of compute: a wall test needs {} runs over {:.0f} decade below a "
      "bend, and {} above it",
      all, (top - lowest) / std::log(10.0), kFewestRunsBelow, kLeastDecadesBelow, kFewestRunsAbove);
  for (size_t b = 0; b + 1 < levels.size(); ++b) {
    runs += levels[b].size();
    const double ln_c = ln_flops(levels[b]);
    if (ln_c - previous > kWidestGapDecades * std::log(10.0)) bottom = ln_c;
    previous = ln_c;
    const Break one{.ln_c = ln_c,
                    .first_above = runs,
                    .decades_below = (ln_c - bottom) / std::log(10.0),
                    .decades_above = (top - ln_c) / std::log(10.0)};
    if (one.decades_above > kTopDecades || one.decades_below < kLeastDecadesBelow || runs < kFewestRunsBelow ||
        all - runs < kFewestRunsAbove)
      continue;
    if (std::optional<std::string> cause = other_cause(levels, b))
      found.why = *cause;
    else
      found.breaks.push_back(one);
  }
  return found;
}

// Of the frontier along the sizes that the ladder itself trained, whether or not they are optimal.
void measure_slope(const std::vector<std::vector<Point>>& levels, std::span<const Point> runs, Wall& wall) {
  std::vector<double> ln_c, ln_n;
  for (const auto& level : levels) {
    ln_c.push_back(std::log(flops_of(level.front())));
    ln_n.push_back(std::log(level.front().N));
  }
  const double mean_c = mean(ln_c), mean_n = mean(ln_n);
  double cc = 0, cn = 0;
  for (size_t i = 0; i < ln_c.size(); ++i)
    cc += (ln_c[i] - mean_c) * (ln_c[i] - mean_c), cn += (ln_c[i] - mean_c) * (ln_n[i] - mean_n);
  if (!(cc > 0)) return;
  const Forecaster forecaster(runs);
  const double span = std::log(2.0), top = ln_c.back();
  std::vector<std::pair<double, double>> sites;
  for (const double at : {top - span, top}) {
    const double N = std::exp(mean_n + cn / cc * (at - mean_c));
    sites.emplace_back(N, std::exp(at) / forecaster.flops_rule().per_token(N));
  }
  const auto loss = [&](size_t s) { return forecaster.predict(sites[s].first, sites[s].second).loss; };
  const std::vector<double> covariance = forecaster.covariance(sites);
  const double variance = covariance[0] + covariance[3] - 2 * covariance[1];
  const double half = kNormal90 * std::sqrt(std::max(0.0, variance)) / span;
  wall.slope = std::log(loss(1) / loss(0)) / span;
  wall.slope_low = wall.slope - half;
  wall.slope_high = wall.slope + half;
}

struct Decision {
  double tail_limit;    // the null's quantile
  double least_change;  // of slope
  bool bent(const BendTest::Score& score) const { return score.tail <= tail_limit && score.change > least_change; }
};

// The least change of slope, up to the whole slope twice, at which each simulated ladder is called a wall.
std::vector<double> changes_found(const BendTest& test, const Decision& decision, double slope, uint64_t seed) {
  constexpr int kHalvings = 8;
  std::vector<double> found;
  for (int s = 0; s < kBentLadders; ++s) {
    Rng rng(seed, 0x62656e740000ULL + static_cast<uint64_t>(s));
    const BendTest::Innovations ladder = test.simulated(rng);
    double low = 0, high = 2 * slope;
    if (!decision.bent(test.score(test.bent(ladder, high)))) {
      found.push_back(INFINITY);
      continue;
    }
    for (int i = 0; i < kHalvings; ++i) {
      const double middle = 0.5 * (low + high);
      (decision.bent(test.score(test.bent(ladder, middle))) ? high : low) = middle;
    }
    found.push_back(high);
  }
  return found;
}

}  // namespace

Wall wall_test(std::span<const Point> points, uint64_t seed) {
  check_points(points);
  Wall wall;
  const std::vector<std::vector<Point>> levels = near_frontier(points);
  std::vector<Point> runs;
  for (const auto& level : levels) runs.insert(runs.end(), level.begin(), level.end());
  if (levels.size() >= 2) measure_slope(levels, runs, wall);
  if (levels.size() < kFewestLevels || runs.size() < kFewestRuns) {
    wall.why = fmt::format("{} compute levels and {} runs near the frontier: a wall test needs at least {} and {}",
                           levels.size(), runs.size(), kFewestLevels, kFewestRuns);
    return wall;
  }
  const auto [breaks, no_break] = breaks_of(levels);
  if (breaks.empty()) {
    wall.why = no_break;
    return wall;
  }
  const double bend_ln_c = ln_flops(levels.back()) - kBendDecades * std::log(10.0);
  const auto off = [](const Break& b) { return std::abs(b.decades_above - kBendDecades); };
  const size_t nearest = static_cast<size_t>(
      std::min_element(breaks.begin(), breaks.end(), [&](const Break& a, const Break& b) { return off(a) < off(b); }) -
      breaks.begin());
  const BendTest test(runs, breaks, nearest, bend_ln_c);
  const double slope = -test.forecast_slope();
  if (!(slope > 0)) {
    wall.why = fmt::format("loss is not forecast to fall over the last {:.1f} decades: there is no slope to halve",
                           kBendDecades);
    return wall;
  }

  const BendTest::Score found = test.score(test.observed());
  std::vector<double> tails;
  for (int s = 0; s < kNullLadders; ++s) {
    Rng rng(seed, 0x77616c6c0000ULL + static_cast<uint64_t>(s));
    tails.push_back(test.score(test.simulated(rng)).tail);
  }
  std::sort(tails.begin(), tails.end());
  const auto as_far = std::upper_bound(tails.begin(), tails.end(), found.tail) - tails.begin();
  wall.p_value = static_cast<double>(as_far + 1) / (kNullLadders + 1);
  const Decision decision{.tail_limit = tails[static_cast<size_t>(kFalseAlarm * (kNullLadders + 1)) - 1],
                          .least_change = kLeastShare * slope};
  const std::vector<double> changes = changes_found(test, decision, slope, seed);
  wall.power_halved = static_cast<double>(std::count_if(changes.begin(), changes.end(),
                                                        [&](double change) { return change <= 0.5 * slope; })) /
                      kBentLadders;
  std::vector<double> ordered = changes;
  std::sort(ordered.begin(), ordered.end());
  const double smallest = ordered[static_cast<size_t>(std::ceil(kPower * kBentLadders)) - 1];
  if (std::isfinite(smallest)) wall.smallest_detectable = smallest;

  const Break& at = test.breaks()[found.at];
  const std::string rise = fmt::format(
      "the slope of ln loss against ln C rises by {:.4f}, from the {:.4f} that the runs below forecast, about {:.1f} "
      "decades before the end "
      "(p = {:.3f})",
      found.change, -slope, at.decades_above, wall.p_value);
  const std::string power = fmt::format(
      "half of the slope of {:.4f} that the runs below forecast for the last {:.1f} decades would have been called a "
      "wall in {:.0f}% of ladders "
      "simulated "
      "from these runs",
      -slope, kBendDecades, 100 * wall.power_halved);
  const std::string least =
      std::isfinite(smallest)
          ? fmt::format("a change of {:.4f} or more would have been in {:.0f}%", smallest, 100 * kPower)
          : "even a rising loss would often not have been";
  const bool insensitive = wall.power_halved < kPower;
  const double power_flat = static_cast<double>(std::count_if(changes.begin(), changes.end(),
                                                              [&](double change) { return change <= slope; })) /
                            kBentLadders;
  if (decision.bent(found) && power_flat < kLeastPower) {
    wall.why = fmt::format(
        "{}, but a flat end would have been called a wall in {:.0f}% of ladders simulated from these runs, hardly more "
        "than a straight one",
        rise, 100 * power_flat);
  } else if (decision.bent(found)) {
    wall.verdict = WallVerdict::kWall;
    const bool told = std::any_of(runs.begin(), runs.end(), [](const Point& p) { return p.U > 0; });
    wall.why = rise + (told ? ""
                            : "; runs that repeat their data would bend it too, and these do not say how many of "
                              "their tokens are unique");
  } else if (wall.p_value <= kHint && found.change > 0) {
    wall.why = fmt::format("{}: too little for a wall and too much for none; {}", rise, power);
  } else if (insensitive) {
    wall.why = fmt::format("no bend is seen (p = {:.2f}), but {}, and {:.0f}% are asked; {}", wall.p_value, power,
                           100 * kPower, least);
  } else {
    wall.verdict = WallVerdict::kNoneSeen;
    wall.why = fmt::format("no bend (p = {:.2f}); {}; {}", wall.p_value, power, least);
  }
  return wall;
}

}  // namespace flywheel::scaling
