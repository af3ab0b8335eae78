#include "scaling/tables/run_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "base/table/column_names.h"
#include "base/table/table_text.h"

namespace flywheel::scaling {
namespace {

std::string state_of(std::string_view cell) {
  std::string state;
  for (const char c : cell) state += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return state;
}

// The last row of each run among `runs`; a row alone is the last of its own.
struct LastRows {
  std::vector<bool> kept;
  size_t left_out = 0, several = 0;  // rows; runs that have others
  std::string example;
};

// Whether no two of the numbers are equal.
bool all_differ(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return std::adjacent_find(numbers.begin(), numbers.end()) == numbers.end();
}

// Steps of rows that follow each other rise by the same amount.
bool is_even(const std::vector<double>& steps) {
  const double step = steps[1] - steps[0];
  if (!(step > 0)) return false;
  for (size_t i = 2; i < steps.size(); ++i)
    if (std::abs(steps[i] - steps[i - 1] - step) > 0.01 * step) return false;
  return true;
}

void keep_last(const RunsTable& runs, const std::vector<size_t>& members, const std::vector<double>& progress,
               const std::string& name, LastRows& last) {
  const auto most = static_cast<size_t>(std::max_element(progress.begin(), progress.end()) - progress.begin());
  for (size_t i = 0; i < members.size(); ++i)
    if (i != most) last.kept[members[i]] = false, ++last.left_out;
  if (++last.several == 1)
    last.example = fmt::format("{} at lines {} to {}", name, runs.rows[members.front()], runs.rows[members.back()]);
}

LastRows by_name(const Table& table, const RunsTable& runs, const FoundColumn& run, const FoundColumn& step) {
  const FoundColumn seed = find_column(table, {"", "", {"seed", "randomseed"}, {}, false});
  std::map<std::tuple<std::string_view, double, std::string_view>, std::vector<size_t>> same;
  for (size_t i = 0; i < runs.points.size(); ++i) {
    const std::string_view name = table.cell_or_empty(runs.origins[i], run.column);
    if (name.empty()) continue;
    same[{name, runs.points[i].N, table.cell_or_empty(runs.origins[i], seed.column)}].push_back(i);
  }
  LastRows last{std::vector<bool>(runs.points.size(), true), 0, 0, ""};
  for (const auto& [key, members] : same) {
    if (members.size() < 2) continue;
    std::vector<double> steps, tokens;
    for (const size_t i : members) {
      tokens.push_back(runs.points[i].D);
      const auto at = step.column < 0 ? std::nullopt : value_in_ones(table, runs.origins[i], step);
      if (at) steps.push_back(*at);
    }
    const bool has_steps = steps.size() == members.size() && all_differ(steps);
    if (!has_steps && !all_differ(tokens)) continue;
    keep_last(runs, members, has_steps ? steps : tokens, fmt::format("run \"{}\"", shown_cell(std::get<0>(key))), last);
  }
  return last;
}

LastRows by_even_steps(const Table& table, const RunsTable& runs, const FoundColumn& step) {
  constexpr size_t kFewest = 4;
  LastRows last{std::vector<bool>(runs.points.size(), true), 0, 0, ""};
  for (size_t from = 0; from < runs.points.size();) {
    std::vector<size_t> members;
    std::vector<double> steps;
    size_t at = from;
    for (; at < runs.points.size() && runs.points[at].N == runs.points[from].N; ++at) {
      const auto value = value_in_ones(table, runs.origins[at], step);
      if (!value || (!steps.empty() && *value <= steps.back())) break;
      members.push_back(at), steps.push_back(*value);
    }
    if (members.size() >= kFewest && is_even(steps))
      keep_last(runs, members, steps, fmt::format("N {:g}", runs.points[from].N), last);
    from = std::max(at, from + 1);
  }
  return last;
}

}  // namespace

std::vector<bool> finished_rows(const Table& table, std::vector<std::string>& warnings) {
  std::vector<bool> finished(table.rows(), true);
  const FoundColumn state = find_column(table, {"state", "", {"state", "status", "runstate", "runstatus"}, {}, false});
  if (state.column < 0) return finished;
  static const std::set<std::string, std::less<>> kUnfinished = {
      "running", "crashed", "failed",   "failure",  "killed",    "preempted",   "preempting", "pending", "queued",
      "aborted", "stopped", "stopping", "canceled", "cancelled", "interrupted", "diverged",   "error",   "oom",
      "timeout", "lost",    "waiting",  "planned",  "started",   "starting",    "resuming",   "paused",  "dead"};
  std::map<std::string, size_t> left_out;
  for (size_t r = 0; r < table.rows(); ++r) {
    const std::string said = state_of(table.cell_or_empty(r, state.column));
    if (!kUnfinished.contains(said)) continue;
    finished[r] = false;
    ++left_out[said];
  }
  if (left_out.empty()) return finished;
  std::string counts;
  size_t all = 0;
  for (const auto& [said, count] : left_out) {
    counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", count, said);
    all += count;
  }
  warnings.push_back(fmt::format("{} row(s) are left out, runs that did not finish by column {}: {}", all,
                                 shown_cell(table.name(static_cast<size_t>(state.column))), counts));
  return finished;
}

void leave_out_checkpoints(const Table& table, RunsTable& runs) {
  const FoundColumn step = find_column(
      table, {"step", "", {"step", "globalstep", "trainerglobalstep", "iteration", "iter", "trainstep"}, {}, false});
  FoundColumn run = find_column(
      table,
      {"run", "", {"run", "runid", "runname", "id", "uid", "runuid", "expname", "experiment", "jobid"}, {}, false});
  // A name may be the model's, which several runs have; with steps beside it it is the run's.
  if (run.column < 0 && step.column >= 0) run = find_column(table, {"run", "", {"name"}, {}, false});
  if (run.column < 0 && step.column < 0) return;
  LastRows last = run.column >= 0 ? by_name(table, runs, run, step) : by_even_steps(table, runs, step);
  if (last.left_out == 0) return;
  std::vector<size_t> kept;
  for (size_t i = 0; i < last.kept.size(); ++i)
    if (last.kept[i]) kept.push_back(i);
  runs = selected(runs, kept);
  runs.warnings.push_back(
      fmt::format("{} row(s) are earlier checkpoints of {} run(s) ({}): the last of each counts; --checkpoints counts "
                  "them all",
                  last.left_out, last.several, last.example));
}

}  // namespace flywheel::scaling
