#include "scaling/tables/runs_clean.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>

#include "base/check.h"
#include "base/error.h"
#include "base/statistics.h"
#include "scaling/tables/other_units.h"

namespace flywheel::scaling {
namespace {

constexpr std::pair<std::string_view, Reduce> kReduceNames[] = {{"none", Reduce::kNone},
                                                                {"mean", Reduce::kMean},
                                                                {"median", Reduce::kMedian},
                                                                {"min", Reduce::kMin},
                                                                {"last", Reduce::kLast}};

using Key = std::tuple<double, double, double, double, std::string>;

Key key_of(const RunsTable& table, size_t i) {
  const Point& p = table.points[i];
  return {p.N, p.D, p.U, p.aspect, table.groups.empty() ? std::string() : table.groups[i]};
}

double median_of(const std::vector<Point>& points, double (*of)(const Point&)) {
  std::vector<double> values;
  for (const Point& p : points) values.push_back(of(p));
  return upper_median(std::move(values));
}

double reduced(std::vector<double> losses, Reduce reduce) {
  double sum = 0;
  switch (reduce) {
    case Reduce::kMin:
      return *std::min_element(losses.begin(), losses.end());
    case Reduce::kMedian:
      return median(std::move(losses));
    case Reduce::kMean:
      for (const double loss : losses) sum += loss;
      return sum / static_cast<double>(losses.size());
    case Reduce::kLast:
    case Reduce::kNone:
      break;
  }
  return losses.back();
}

using Cell = std::array<int64_t, 4>;

Cell cell_of(const Point& p, double width) {
  const auto place = [&](double x) { return x > 0 ? std::llround(std::log(x) / width) : 0; };
  return {place(p.N), place(p.D), place(p.C), place(p.U)};
}

Point merged(const std::vector<Point>& points, const std::vector<size_t>& members) {
  Point sum{0, 0, 0, 0, 0, 0, 0};
  std::vector<double> losses;
  const double n = static_cast<double>(members.size());
  const auto part = [&](double x) { return std::log(x) / n; };
  bool has_c = true, has_u = true, has_aspect = true;
  for (const size_t i : members) {
    const Point& p = points[i];
    has_c = has_c && p.C > 0, has_u = has_u && p.U > 0;
    has_aspect = has_aspect && p.aspect > 0;
    sum.N += part(p.N), sum.D += part(p.D);
    sum.C += has_c ? part(p.C) : 0, sum.U += has_u ? part(p.U) : 0;
    sum.aspect += has_aspect ? part(p.aspect) : 0;
    sum.count += p.count;
    losses.push_back(p.L);
  }
  return {std::exp(sum.N),
          std::exp(sum.D),
          median(std::move(losses)),
          has_c ? std::exp(sum.C) : 0,
          has_u ? std::exp(sum.U) : 0,
          sum.count,
          has_aspect ? std::exp(sum.aspect) : 0};
}

}  // namespace

std::string_view name_of(Reduce reduce) {
  for (const auto& [name, known] : kReduceNames)
    if (reduce == known) return name;
  CHECK(false);
}

Reduce reduce_by_name(std::string_view name) {
  for (const auto& [known, reduce] : kReduceNames)
    if (name == known) return reduce;
  throw_bad_input("--reduce {}: expected mean, median, min, last or none", name);
}

void reduce_runs(RunsTable& table, Reduce reduce) {
  if (reduce == Reduce::kNone) return;
  std::map<Key, size_t> place;
  std::vector<std::vector<double>> losses;
  RunsTable kept = table;
  kept.points.clear(), kept.rows.clear(), kept.origins.clear(), kept.groups.clear();
  for (size_t i = 0; i < table.points.size(); ++i) {
    const auto [found, is_new] = place.emplace(key_of(table, i), losses.size());
    if (is_new) {
      losses.emplace_back();
      kept.points.push_back(table.points[i]);
      kept.rows.push_back(table.rows[i]);
      if (!table.origins.empty()) kept.origins.push_back(table.origins[i]);
      if (!table.groups.empty()) kept.groups.push_back(table.groups[i]);
    }
    losses[found->second].push_back(table.points[i].L);
  }
  for (size_t i = 0; i < losses.size(); ++i) kept.points[i].L = reduced(std::move(losses[i]), reduce);
  table = std::move(kept);
}

std::vector<std::string> suspicions(const RunsTable& table, const std::string& where) {
  const std::vector<Point>& points = table.points;
  const double loss = median_of(points, [](const Point& p) { return p.L; });
  const double tokens = median_of(points, [](const Point& p) { return p.D; });
  const double size = median_of(points, [](const Point& p) { return p.N; });
  constexpr double kHighestLoss = 30;  // nats or bits; what is above is no loss
  if ((loss > tokens || loss > size) && loss > kHighestLoss)
    throw_bad_input(
        "{}: the losses (median {:.4g}) exceed the {} (median {:.4g}): columns are swapped; check the header", where,
        loss, loss > tokens ? "tokens" : "parameters", std::min(tokens, size));
  std::vector<std::string> notes = columns_in_other_units(table);
  if (notes.empty() && tokens < 0.05 * size)
    notes.push_back(fmt::format("the median run has {:.3g} tokens per parameter: are N and D swapped?", tokens / size));
  const double ratio = median_of(points, [](const Point& p) { return flops_of(p) / (6 * p.N * p.D); });
  if (notes.empty() && (ratio < 0.1 || ratio > 10))
    notes.push_back(fmt::format("FLOPs are {:.3g} times 6 N D: check the units of C, N and D", ratio));

  std::map<Key, std::vector<size_t>> same;
  for (size_t i = 0; i < points.size(); ++i) same[key_of(table, i)].push_back(i);
  size_t several = 0, copies = 0;
  std::string first_several, first_copy;
  for (const auto& [key, members] : same) {
    if (members.size() < 2) continue;
    std::map<double, size_t> seen;
    for (const size_t i : members) {
      if (table.repeated.contains(table.rows[i])) continue;  // a warning says so
      const auto [found, is_new] = seen.emplace(points[i].L, i);
      if (!is_new && ++copies == 1)
        first_copy = fmt::format("line {} repeats line {}", table.rows[i], table.rows[found->second]);
    }
    if (seen.size() > 1 && ++several == 1)
      first_several = fmt::format("lines {} and {}", table.rows[members[0]], table.rows[members[1]]);
  }
  if (copies > 0)
    notes.push_back(fmt::format(
        "{} row(s) have the N, D and loss of another one ({}), and differ elsewhere: each counts", copies, first_copy));
  if (several > 0)
    notes.push_back(
        fmt::format("{} (N, D) have several losses ({} first): each row is a run. Better forecasts: for seeds --reduce "
                    "mean, for a sweep of "
                    "hyperparameters --reduce min, for a log --reduce last",
                    several, first_several));
  return notes;
}

std::vector<Outlier> outliers(const std::vector<Point>& points, const Law& law) {
  std::vector<Outlier> found;
  const double sd = std::max(law.residual_sd, 1e-6);
  for (size_t i = 0; i < points.size(); ++i) {
    const Point& p = points[i];
    const double expected = law.loss(p.N, p.D, p.C, p.U), deviation = std::log(p.L / expected) / sd;
    // A law whose amplitude exceeds all numbers says nothing of a run.
    if (std::isfinite(deviation) && std::abs(deviation) > kOutlierDeviations) found.push_back({i, expected, deviation});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Outlier& a, const Outlier& b) { return std::abs(a.deviation) > std::abs(b.deviation); });
  return found;
}

std::vector<Point> merge_alike(const std::vector<Point>& points, size_t limit) {
  if (points.size() <= limit) return points;
  for (double width = 0.005;; width *= 2) {
    std::map<Cell, std::vector<size_t>> cells;
    for (size_t i = 0; i < points.size() && cells.size() <= limit; ++i) cells[cell_of(points[i], width)].push_back(i);
    if (cells.size() > limit) continue;
    std::vector<Point> few;
    for (const auto& [cell, members] : cells) few.push_back(merged(points, members));
    return few;
  }
}

}  // namespace flywheel::scaling
