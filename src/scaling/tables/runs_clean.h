// What stands between a table of runs and a fit: several losses of one (N, D), columns that look wrong, runs far off
// the law, and more rows than a fit needs. Why apart: each is a decision that the user sees and can change. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scaling/tables/runs_table.h"

namespace flywheel::scaling {

// How several losses of the same N, D, U and group become one run.
enum class Reduce { kNone, kMean, kMedian, kMin, kLast };
std::string_view name_of(Reduce reduce);       // as --reduce takes it
Reduce reduce_by_name(std::string_view name);  // throws kBadInput for an unknown one

// kNone keeps every row. Else the first row of each (N, D, U, shape, group) stays, with the reduced loss.
void reduce_runs(RunsTable& table, Reduce reduce);

// Notes on what is suspicious but may be meant, with line numbers: rows that repeat one another, several losses of one
// (N, D), far more parameters than tokens (swapped?), FLOPs far from 6 N D (another unit?). Throws kBadInput where it
// cannot be meant: losses that exceed the tokens or the parameters.
std::vector<std::string> suspicions(const RunsTable& table, const std::string& where);

struct Outlier {
  size_t index;                // of the point
  double expected, deviation;  // the law's loss; distance in robust standard deviations of log loss
};
// Points more than kOutlierDeviations off the law, the worst first.
inline constexpr double kOutlierDeviations = 6;
std::vector<Outlier> outliers(const std::vector<Point>& points, const Law& law);

// Above `limit` runs, near-identical ones (the same ln N, ln D, ln C, ln U within a cell that widens from 0.5% until it
// suffices) become one: the median loss, the mean of the logs, the count. Deterministic.
inline constexpr size_t kMergeAbove = 2000;
std::vector<Point> merge_alike(const std::vector<Point>& points, size_t limit = kMergeAbove);

}  // namespace flywheel::scaling
