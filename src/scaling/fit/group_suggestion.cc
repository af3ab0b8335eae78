#include "scaling/fit/group_suggestion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/table/column_names.h"
#include "base/table/table_text.h"
#include "scaling/fit/fit_input.h"

namespace flywheel::scaling {
namespace {

constexpr size_t kMostValues = 12, kMostColumns = 3;
constexpr size_t kParameters = 5;            // of a law of N and D
constexpr double kLessThan = 0.5;            // of the deviation of one law
constexpr double kNothingToExplain = 0.003;  // of one law; below it there is nothing to explain

// The sum of squares that a law leaves of log losses.
double squares_left(const std::vector<Point>& points) {
  FitOptions options = published_options();
  options.bootstrap = 0;
  const Law law = fit(merge_alike(points), options).law;
  double squares = 0;
  for (const Point& p : points) squares += std::pow(std::log(p.L / law.loss(p.N, p.D, p.C, p.U)), 2);
  return squares;
}

}  // namespace

std::vector<std::string> group_suggestions(const Table& table, const RunsTable& runs) {
  std::vector<std::string> said;
  size_t looked = 0;
  double one_sd = 0;
  for (size_t c = 0; c < table.columns() && looked < kMostColumns; ++c) {
    if (table.is_chosen(c)) continue;
    std::map<std::string_view, std::vector<Point>> groups;
    bool is_text = true;
    for (size_t i = 0; i < runs.points.size() && is_text && groups.size() <= kMostValues; ++i) {
      const std::string_view cell = table.cell(runs.origins[i], c);
      is_text = !cell.empty() && !table.number(runs.origins[i], c);
      groups[cell].push_back(runs.points[i]);
    }
    if (!is_text || groups.size() < 2 || groups.size() > kMostValues) continue;
    if (std::any_of(groups.begin(), groups.end(),
                    [](const auto& group) { return different_runs(group.second) <= kParameters; }))
      continue;
    ++looked;
    const auto n = static_cast<double>(runs.points.size());
    if (one_sd == 0) one_sd = std::sqrt(squares_left(runs.points) / (n - kParameters));
    if (!(one_sd > kNothingToExplain)) return said;
    double squares = 0;
    for (const auto& [name, points] : groups) squares += squares_left(points);
    const double each_sd = std::sqrt(squares / (n - static_cast<double>(kParameters * groups.size())));
    if (!(each_sd < kLessThan * one_sd)) continue;
    std::string values;
    for (const auto& [name, points] : groups) values += (values.empty() ? "" : ", ") + shown_cell(name);
    said.push_back(fmt::format(
        "one law of all rows is off by {:.2g}%, laws of each {} ({}) by {:.2g}%: these look like runs that share no "
        "law; --group {} fits one to each, --group {} to one of them",
        100 * one_sd, shown_cell(table.name(c)), values, 100 * each_sd, for_shell(table.name(c)),
        for_shell(fmt::format("{}={}", table.name(c), groups.begin()->first))));
  }
  return said;
}

}  // namespace flywheel::scaling
