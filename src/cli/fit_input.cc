#include "cli/fit_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "engine/data/text_reader.h"
#include "scaling/laws/evidence.h"

namespace flywheel::cli {
namespace {

using scaling::RunsTable;

// Plain or compressed (gzip, xz, zstd, bzip2).
std::string read_file(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) throw_bad_input("{}: no such file; expected a CSV of runs", path);
  std::string text;
  const data::ReadOutcome outcome = data::read_text(path, [&](std::string_view part) { text += part; });
  using Kind = data::ReadOutcome::Kind;
  if (outcome.kind == Kind::kBinary) throw_bad_input("{}: a binary file, expected a CSV of runs", path);
  if (outcome.kind != Kind::kText && outcome.kind != Kind::kEmpty)
    throw_bad_input("{}: cannot be read as text: {}; expected a CSV of runs", path, outcome.reason);
  return text;
}

RunsTable select(const RunsTable& table, const std::vector<size_t>& kept) {
  RunsTable part = table;
  part.points.clear(), part.rows.clear(), part.groups.clear();
  for (const size_t i : kept) {
    part.points.push_back(table.points[i]);
    part.rows.push_back(table.rows[i]);
    if (!table.groups.empty()) part.groups.push_back(table.groups[i]);
  }
  return part;
}

void drop_highest(RunsTable& table, const FitCommand& command) {
  const size_t count = static_cast<size_t>(std::max(0, command.drop_highest));
  if (command.drop_highest < 0 || count >= table.points.size())
    throw_bad_input("--drop-highest {}: expected 0 to {} for the {} runs in {}", command.drop_highest,
                    table.points.size() - 1, table.points.size(), command.runs);
  std::vector<size_t> order(table.points.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return table.points[a].L > table.points[b].L; });
  order.erase(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
  std::sort(order.begin(), order.end());
  table = select(table, order);
}

void merge(FitInput& input) {
  input.points = scaling::merge_alike(input.table.points);
  if (input.points.size() < input.table.points.size())
    input.notes.push_back(fmt::format("{} runs merged to {} of nearly the same N, D and C for the fit",
                                      input.table.points.size(), input.points.size()));
}

}  // namespace

std::vector<std::string> wanted_forms(const FitCommand& command) {
  if (command.forms == "all") return scaling::all_form_names();
  std::vector<std::string> names;
  for (size_t from = 0; from <= command.forms.size();) {
    const size_t comma = std::min(command.forms.find(',', from), command.forms.size());
    names.push_back(command.forms.substr(from, comma - from));
    from = comma + 1;
  }
  return names;
}

std::vector<FitInput> read_inputs(const FitCommand& command) {
  scaling::TableOptions options;
  options.skip_bad_rows = command.skip_bad_rows;
  options.group = command.group;
  RunsTable table = scaling::parse_runs(read_file(command.runs), command.runs, options);
  if (!command.unit.empty()) table.unit = command.unit;
  std::vector<std::string> notes;
  if (!table.skipped.empty())
    notes.push_back(fmt::format("{} bad row(s) left out, the first: {}", table.skipped.size(), table.skipped.front()));
  const scaling::Reduce reduce = scaling::reduce_by_name(command.reduce);
  const size_t before = table.points.size();
  scaling::reduce_runs(table, reduce);
  if (table.points.size() < before)
    notes.push_back(fmt::format("{} rows reduced to {} by --reduce {}", before, table.points.size(), command.reduce));
  for (std::string& note : scaling::suspicions(table, command.runs)) notes.push_back(std::move(note));

  std::vector<std::string> names = {""};
  if (!command.group.empty()) {
    names.clear();
    for (const std::string& group : table.groups)
      if (std::find(names.begin(), names.end(), group) == names.end()) names.push_back(group);
    constexpr size_t kMostGroups = 1000;
    if (names.size() > kMostGroups)
      throw_bad_input("--group {}: {} different values in {}, expected at most {}; is it a column of numbers?",
                      command.group, names.size(), command.runs, kMostGroups);
  }
  std::vector<FitInput> inputs;
  for (const std::string& name : names) {
    FitInput input{name, table, {}, notes};
    if (!command.group.empty()) {
      std::vector<size_t> members;
      for (size_t i = 0; i < table.groups.size(); ++i)
        if (table.groups[i] == name) members.push_back(i);
      input.table = select(table, members);
    }
    drop_highest(input.table, command);
    merge(input);
    inputs.push_back(std::move(input));
  }
  return inputs;
}

std::vector<scaling::Point> read_predictions(const FitCommand& command) {
  if (command.predict.empty()) return {};
  return scaling::parse_runs(read_file(command.predict), command.predict, false).points;
}

void drop_rows(FitInput& input, const std::vector<size_t>& rows) {
  std::vector<bool> dropped(input.table.points.size());
  for (const size_t row : rows) dropped[row] = true;
  std::vector<size_t> kept;
  for (size_t i = 0; i < dropped.size(); ++i)
    if (!dropped[i]) kept.push_back(i);
  input.table = select(input.table, kept);
  merge(input);
}

}  // namespace flywheel::cli
