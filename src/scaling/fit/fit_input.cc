#include "scaling/fit/fit_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/table/column_choice.h"
#include "scaling/fit/group_suggestion.h"
#include "scaling/laws/form_weights.h"
#include "scaling/tables/other_units.h"

namespace flywheel::scaling {

void drop_highest(RunsTable& table, int dropped, const std::string& where) {
  const size_t count = static_cast<size_t>(std::max(0, dropped));
  if (dropped < 0 || count >= table.points.size())
    throw_bad_input("--drop-highest {}: expected 0 to {} for the {} runs in {}", dropped, table.points.size() - 1,
                    table.points.size(), where);
  std::vector<size_t> order(table.points.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return table.points[a].L > table.points[b].L; });
  order.erase(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
  std::sort(order.begin(), order.end());
  table = selected(table, order);
}

namespace {

void merge(FitInput& input) {
  input.points = merge_alike(input.table.points);
  if (input.points.size() < input.table.points.size())
    input.notes.push_back(fmt::format("{} runs merged to {} of nearly the same N, D and C for the fit",
                                      input.table.points.size(), input.points.size()));
}

}  // namespace

std::vector<std::string> form_names(std::string_view list) {
  if (list == "all") return all_form_names();
  std::vector<std::string> names;
  for (size_t from = 0; from <= list.size();) {
    const size_t comma = std::min(list.find(',', from), list.size());
    names.emplace_back(list.substr(from, comma - from));
    from = comma + 1;
  }
  return names;
}

std::vector<FitInput> fit_inputs(std::string_view bytes, const std::string& where, const FitRequest& request) {
  TableOptions options;
  options.skip_bad_rows = request.skip_bad_rows;
  options.group = request.group;
  options.checkpoints = request.checkpoints;
  Table read = Table::read(bytes, where);
  choose_columns(read, request.columns, run_quantities());
  const bool grouped = is_group_column(read, request.group);
  RunsTable table = parse_runs(read, options);
  leave_out_other_units(table);
  if (!request.unit.empty()) table.unit = request.unit;
  std::vector<std::string> notes;
  if (request.group.empty())
    for (std::string& said : group_suggestions(read, table)) notes.push_back(std::move(said));
  if (!table.skipped.empty())
    notes.push_back(fmt::format("{} bad row(s) left out, the first: {}", table.skipped.size(), table.skipped.front()));
  const size_t before = table.points.size();
  reduce_runs(table, request.reduce);
  if (table.points.size() < before)
    notes.push_back(
        fmt::format("{} rows reduced to {} by --reduce {}", before, table.points.size(), name_of(request.reduce)));
  for (std::string& note : suspicions(table, where)) notes.push_back(std::move(note));

  std::vector<std::string> names = {""};
  if (grouped) {
    names.clear();
    for (const std::string& group : table.groups)
      if (std::find(names.begin(), names.end(), group) == names.end()) names.push_back(group);
    constexpr size_t kMostGroups = 1000;
    if (names.size() > kMostGroups)
      throw_bad_input("--group {}: {} different values in {}, expected at most {}; is it a column of numbers?",
                      request.group, names.size(), where, kMostGroups);
  }
  std::vector<FitInput> inputs;
  std::vector<std::string> left_out;
  for (const std::string& name : names) {
    FitInput input{name, table, {}, notes};
    if (grouped) {
      std::vector<size_t> members;
      for (size_t i = 0; i < table.groups.size(); ++i)
        if (table.groups[i] == name) members.push_back(i);
      input.table = selected(table, members);
    }
    drop_highest(input.table, request.drop_highest, where);
    merge(input);
    const size_t runs = different_runs(input.table.points);
    if (runs >= kFewestFitted) {
      inputs.push_back(std::move(input));
      continue;
    }
    const std::string few = fmt::format("{} run{} of different size or length, expected at least {}", runs,
                                        runs == 1 ? "" : "s", kFewestFitted);
    if (names.size() == 1)
      throw_bad_input("{}: {} to fit a law and judge it; add runs of other sizes and lengths", where, few);
    left_out.push_back(fmt::format("group {} left out: {}", name, few));
  }
  if (inputs.empty()) throw_bad_input("{}: no group has enough runs: {}", where, left_out.front());
  for (std::string& note : left_out) inputs.front().notes.push_back(std::move(note));
  return inputs;
}

size_t different_runs(std::span<const Point> points) {
  std::set<std::pair<int64_t, int64_t>> cells;
  for (const Point& p : points) cells.emplace(std::llround(200 * std::log(p.N)), std::llround(200 * std::log(p.D)));
  return cells.size();
}

void drop_rows(FitInput& input, const std::vector<size_t>& rows) {
  std::vector<bool> dropped(input.table.points.size());
  for (const size_t row : rows) dropped[row] = true;
  std::vector<size_t> kept;
  for (size_t i = 0; i < dropped.size(); ++i)
    if (!dropped[i]) kept.push_back(i);
  input.table = selected(input.table, kept);
  merge(input);
}

}  // namespace flywheel::scaling
