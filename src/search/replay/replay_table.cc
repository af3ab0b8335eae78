#include "search/replay/replay_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "base/csv.h"
#include "base/json_reader.h"

namespace flywheel::search {
namespace {

constexpr size_t kMostLevels = 24;    // distinct numbers of a column that still count as a list of levels
constexpr double kGridFilled = 0.5;   // of all combinations of levels: below, the table is a cloud
constexpr double kSameLevel = 0.003;  // relative: 0.00391 and 0.003906 are one level, written twice
constexpr double kLogSpan = 10;       // positive columns over this factor are searched on a log scale
const double kNone = std::numeric_limits<double>::quiet_NaN();

std::string plain(std::string_view name) {
  return plain_column_name(name, "/");
}

struct Cells {
  std::vector<std::string> names;
  std::vector<int> lines;
  std::vector<std::vector<std::string>> rows;

  // -1: no such column.
  int find(std::string_view wanted) const {
    for (size_t c = 0; c < names.size(); ++c)
      if (plain(names[c]) == plain(wanted)) return static_cast<int>(c);
    return -1;
  }
  size_t require(std::string_view wanted, const std::string& where, const char* what) const {
    const int at = find(wanted);
    if (at >= 0) return static_cast<size_t>(at);
    const std::string near = nearest_name(wanted, names);
    throw_bad_input("{}: no column \"{}\" ({}){}; columns are {}", where, wanted, what,
                    near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near), fmt::join(names, ", "));
  }
  int first_of(std::initializer_list<const char*> wanted) const {
    for (const char* name : wanted)
      if (const int at = find(name); at >= 0) return at;
    return -1;
  }
};

Cells read_cells(std::string_view csv, const std::string& where) {
  CsvReader reader(csv, where);
  Cells cells;
  cells.names = reader.names();
  if (cells.names.size() == 1)
    throw_bad_input("{}: line {}: expected columns with commas between", where, reader.header_line());
  std::set<std::string> named;
  for (const std::string& name : cells.names)
    if (!named.insert(name).second)
      throw_bad_input("{}: line {}: expected a name for each column, found \"{}\" twice", where, reader.header_line(),
                      name);
  while (reader.next()) {
    reader.check_width();
    cells.lines.push_back(reader.line());
    cells.rows.push_back(reader.cells());
  }
  if (cells.rows.empty()) throw_bad_input("{}: expected a line of column names and rows below it", where);
  return cells;
}

struct Roles {
  size_t target = 0;
  int success = -1, cost = -1, parameters = -1, tokens = -1;
  std::vector<size_t> groups;
};

Roles find_roles(const Cells& cells, const std::string& where, const ReplayQuestion& question) {
  Roles roles;
  roles.target = cells.require(question.target, where, "--target");
  roles.success = question.success.empty() ? cells.first_of({"success", "succeeded", "ok"})
                                           : static_cast<int>(cells.require(question.success, where, "--success"));
  roles.parameters = cells.first_of({"N", "params", "parameters"});
  roles.tokens = cells.first_of({"D", "tokens"});
  roles.cost = question.cost.empty() ? cells.first_of({"C", "flops", "training_flops"})
                                     : static_cast<int>(cells.require(question.cost, where, "--cost"));
  for (const std::string& name : question.group_by) roles.groups.push_back(cells.require(name, where, "--group-by"));
  if (question.group_by.empty() && roles.parameters >= 0 && roles.tokens >= 0)
    roles.groups = {static_cast<size_t>(roles.parameters), static_cast<size_t>(roles.tokens)};
  return roles;
}

std::vector<std::string> key_of(const std::vector<std::string>& row, const std::vector<size_t>& columns) {
  std::vector<std::string> key;
  for (const size_t c : columns) key.push_back(row[c]);
  return key;
}

// Bookkeeping and outcomes: no run can be asked for them.
bool is_outcome(const std::string& name) {
  static const std::set<std::string> known = {
      "policy",  "proposer", "method",  "seed",  "tid",    "trial",     "trialid",  "id",    "name",
      "expname", "run",      "runid",   "wt",    "time",   "seconds",   "walltime", "step",  "date",
      "hash",    "runtime",  "elapsed", "index", "tokens", "timestamp", "err",      "error", "errorrate"};
  if (known.count(name) != 0) return true;
  for (const char* part : {"loss", "bpb", "perplexity", "ppl", "accuracy", "bits"})
    if (name.find(part) != std::string::npos) return true;
  return false;
}

// Whether column `b` takes one value wherever the columns `given` do.
bool follows(const Cells& cells, size_t b, std::vector<size_t> given) {
  std::map<std::vector<std::string>, std::string> seen;
  for (const auto& row : cells.rows) {
    const auto [entry, fresh] = seen.emplace(key_of(row, given), row[b]);
    if (!fresh && entry->second != row[b]) return false;
  }
  return true;
}

// Whether what follows() finds is more than chance: half of the rows share their values of `given` with another row.
// Of numbers that were drawn at random no two are equal, and everything follows from them.
bool can_tell(const Cells& cells, const std::vector<size_t>& given) {
  std::map<std::vector<std::string>, size_t> count;
  for (const auto& row : cells.rows) ++count[key_of(row, given)];
  size_t shared = 0;
  for (const auto& [key, n] : count) shared += n > 1 ? n : 0;
  return 2 * shared >= cells.rows.size();
}

// Whether column `b` rises (or falls) with column `a` in every row, over more values than a list of levels has: one is
// the other in another unit.
bool is_monotone(const Cells& cells, size_t a, size_t b) {
  std::map<double, double> b_at;
  for (const auto& row : cells.rows) {
    const auto x = number_in_cell(row[a]), y = number_in_cell(row[b]);
    if (!x || !y) continue;
    const auto [entry, fresh] = b_at.emplace(*x, *y);
    if (!fresh && entry->second != *y) return false;
  }
  if (b_at.size() <= kMostLevels) return false;
  bool rises = true, falls = true;
  for (auto at = b_at.begin(); std::next(at) != b_at.end(); ++at) {
    rises = rises && at->second < std::next(at)->second;
    falls = falls && at->second > std::next(at)->second;
  }
  return rises || falls;
}

std::vector<size_t> choose_fields(const Cells& cells, const Roles& roles, const std::string& where,
                                  const ReplayQuestion& question, std::vector<std::string>& left_out) {
  std::vector<size_t> fields;
  for (const std::string& name : question.fields) fields.push_back(cells.require(name, where, "--fields"));
  if (!question.fields.empty()) return fields;
  for (size_t c = 0; c < cells.names.size(); ++c) {
    const auto at = static_cast<int>(c);
    const auto out = [&](const std::string& why) { left_out.push_back(cells.names[c] + ": " + why); };
    if (c == roles.target || std::find(roles.groups.begin(), roles.groups.end(), c) != roles.groups.end()) continue;
    if (at == roles.success || at == roles.cost || at == roles.parameters || at == roles.tokens) continue;
    if (is_outcome(plain(cells.names[c]))) {
      out("bookkeeping or an outcome");
      continue;
    }
    if (follows(cells, c, roles.groups)) {
      out(roles.groups.empty() ? "has one value" : "has one value in each grid");
      continue;
    }
    if (is_monotone(cells, roles.target, c)) {
      out("follows from " + cells.names[roles.target]);
      continue;
    }
    const auto cause = std::find_if(fields.begin(), fields.end(), [&](size_t f) {
      std::vector<size_t> given = roles.groups;
      given.push_back(f);
      return (can_tell(cells, given) && follows(cells, c, given)) || is_monotone(cells, f, c);
    });
    if (cause != fields.end())
      out("follows from " + cells.names[*cause]);
    else
      fields.push_back(c);
  }
  if (fields.empty()) throw_bad_input("{}: no column left to search; name them with --fields", where);
  return fields;
}

std::vector<double> distinct_levels(const std::set<double>& numbers) {
  std::vector<double> levels;
  for (const double n : numbers)
    if (levels.empty() || n - levels.back() > kSameLevel * std::abs(n)) levels.push_back(n);
  return levels;
}

bool is_no_number(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text == "nan" || text == "inf" || text == "-inf" || text == "+inf" || text == "infinity";
}

// Throws kBadInput for a column of numbers with one that is none, which would make each number a name.
workload::SearchField make_field(const Cells& cells, size_t column, const std::string& where) {
  workload::SearchField field;
  field.name = cells.names[column];
  std::set<std::string> texts;
  std::set<double> numbers;
  bool numeric = true, whole = true;
  for (const auto& row : cells.rows) {
    if (row[column].empty()) continue;
    texts.insert(row[column]);
    const auto value = number_in_cell(row[column]);
    numeric = numeric && value.has_value();
    if (value) numbers.insert(*value), whole = whole && *value == std::floor(*value);
  }
  for (size_t r = 0; !numeric && !numbers.empty() && r < cells.rows.size(); ++r)
    if (is_no_number(cells.rows[r][column]))
      throw_bad_input("{}: line {}: {}: expected a number, as in other rows, or nothing; found \"{}\"", where,
                      cells.lines[r], field.name, cells.rows[r][column]);
  if (!numeric) {
    field.axis = workload::Axis::kCategorical;
    field.choices.assign(texts.begin(), texts.end());
  } else if (const std::vector<double> levels = distinct_levels(numbers); levels.size() <= kMostLevels) {
    field.axis = workload::Axis::kOrdinal;
    field.choices.assign(levels.begin(), levels.end());
  } else {
    field.low = *numbers.begin();
    field.high = *numbers.rbegin();
    const bool log = field.low > 0 && field.high >= kLogSpan * field.low;
    field.axis = whole ? (log ? workload::Axis::kLogInteger : workload::Axis::kInteger)
                       : (log ? workload::Axis::kLog : workload::Axis::kLinear);
  }
  return field;
}

bool is_level(double level, double n) {
  return n == level || (n > level && n - level <= kSameLevel * std::abs(n));
}

double value_of(const workload::SearchField& field, const std::string& text) {
  if (text.empty()) return kNone;
  if (!field.is_list()) return *number_in_cell(text);
  for (size_t i = 0; i < field.choices.size(); ++i)
    if (field.axis == workload::Axis::kCategorical ? field.choices[i] == text
                                                   : is_level(field.choices[i].get<double>(), *number_in_cell(text)))
      return static_cast<double>(i);
  return kNone;
}

bool says_failed(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text == "false" || text == "0" || text == "no" || text == "failed";
}

}  // namespace

ReplayTable read_replay_table(std::string_view csv, const std::string& where, const ReplayQuestion& question) {
  const Cells cells = read_cells(csv, where);
  const Roles roles = find_roles(cells, where, question);
  ReplayTable table;
  table.target = cells.names[roles.target];
  const std::vector<size_t> columns = choose_fields(cells, roles, where, question, table.left_out);
  std::vector<workload::SearchField> fields;
  for (const size_t column : columns) fields.push_back(make_field(cells, column, where));
  table.space = std::make_shared<workload::SearchSpace>(std::move(fields));

  std::map<std::vector<double>, size_t> by_number;
  std::map<std::vector<std::string>, size_t> index;
  std::vector<std::pair<std::vector<double>, ReplayGrid>> grids;
  for (size_t r = 0; r < cells.rows.size(); ++r) {
    const auto& cell = cells.rows[r];
    ReplayRow row;
    row.line = cells.lines[r];
    for (size_t f = 0; f < columns.size(); ++f)
      row.values.push_back(value_of(table.space->fields()[f], cell[columns[f]]));
    const bool failed = roles.success >= 0 && says_failed(cell[static_cast<size_t>(roles.success)]);
    if (!failed) row.loss = number_in_cell(cell[roles.target]);
    const auto amount = [&](int column, const char* what) -> std::optional<double> {
      if (column < 0) return std::nullopt;
      const auto value = number_in_cell(cell[static_cast<size_t>(column)]);
      if (!value || *value <= 0)
        throw_bad_input("{}: line {}: {}: expected a number above 0, found \"{}\"", where, row.line, what,
                        cell[static_cast<size_t>(column)]);
      return value;
    };
    const auto n = amount(roles.parameters, "parameters"), d = amount(roles.tokens, "tokens");
    const auto cost = amount(roles.cost, "cost");
    row.flops = cost ? *cost : n && d ? 6 * *n * *d : 0;
    const auto key = key_of(cell, roles.groups);
    const auto [entry, fresh] = index.emplace(key, grids.size());
    if (fresh) {
      ReplayGrid grid;
      std::vector<double> order;
      for (size_t g = 0; g < roles.groups.size(); ++g) {
        grid.name += (g > 0 ? " " : "") + cells.names[roles.groups[g]] + "=" + key[g];
        order.push_back(number_in_cell(key[g]).value_or(0));
      }
      grid.parameters = n;
      grid.tokens = d;
      grids.emplace_back(std::move(order), std::move(grid));
    }
    grids[entry->second].second.rows.push_back(std::move(row));
  }
  std::stable_sort(grids.begin(), grids.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  size_t rows = 0;
  for (auto& [order, grid] : grids) {
    const bool any = std::any_of(grid.rows.begin(), grid.rows.end(), [](const ReplayRow& row) { return row.loss; });
    if (!any) {
      table.left_out.push_back(fmt::format("{}: no row with a number in {}", grid.name, table.target));
      continue;
    }
    rows += grid.rows.size();
    table.grids.push_back(std::move(grid));
  }
  if (table.grids.empty()) throw_bad_input("{}: no row with a number in \"{}\"", where, table.target);
  const size_t points = table.space->size(1000000);
  table.is_cloud = points == 0 || static_cast<double>(rows) < kGridFilled * static_cast<double>(points * grids.size());
  return table;
}

}  // namespace flywheel::search
