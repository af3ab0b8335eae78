#include "search/replay/replay_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "base/csv.h"
#include "base/error.h"
#include "base/json_reader.h"
#include "base/table/column_choice.h"
#include "base/table/column_names.h"
#include "base/table/table.h"
#include "base/table/table_text.h"

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

// -1: no such column.
int find_name(const Table& table, std::string_view wanted) {
  int found = -1;
  for (size_t c = 0; c < table.columns(); ++c)
    if (plain(table.name(c)) == plain(wanted) && (found < 0 || table.is_chosen(c))) found = static_cast<int>(c);
  return found;
}

size_t require(const Table& table, std::string_view wanted, const char* what) {
  const int at = find_name(table, wanted);
  if (at >= 0) return static_cast<size_t>(at);
  const std::string near = nearest_name(wanted, table.names());
  throw_bad_input("{}: no column \"{}\" ({}){}; columns are {}", table.where(), wanted, what,
                  near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near), listed_columns(table));
}

int first_of(const Table& table, std::initializer_list<const char*> wanted) {
  for (const char* name : wanted)
    if (const int at = find_name(table, name); at >= 0) return at;
  return -1;
}

Table read_table(std::string_view bytes, const ReplayQuestion& question, const std::string& where) {
  Table table = Table::read(bytes, where);
  if (table.columns() == 1)
    throw_bad_input("{}: line {}: expected columns with commas, semicolons or tabs between", where,
                    table.header_line());
  std::set<std::string> named;
  for (const std::string& name : table.names())
    if (!named.insert(name).second)
      throw_bad_input("{}: line {}: expected a name for each column, found \"{}\" twice", where, table.header_line(),
                      shown_cell(name));
  table.check_rows();
  if (table.rows() == 0) throw_bad_input("{}: expected a line of column names and rows below it", where);
  choose_columns(table, question.columns, {"N", "D", "C", "L"});
  return table;
}

// A number without a suffix: "7B" in a column that is searched is a name.
std::optional<double> plain_number(const Table& cells, size_t row, size_t column) {
  const auto number = cells.number(row, column);
  return number && !number->has_suffix ? std::optional(number->value) : std::nullopt;
}

struct Roles {
  size_t target = 0;
  int success = -1;
  FoundColumn cost, parameters, tokens;
  std::vector<size_t> groups;
};

// N, D or C by the names that it has in tables of runs; the usual ones, in their order.
FoundColumn quantity(const Table& table, std::string_view symbol, std::vector<std::string_view> names) {
  return find_column(table, {symbol, "", std::move(names), {}, true});
}

Roles find_roles(const Table& cells, const ReplayQuestion& question) {
  Roles roles;
  roles.target = require(cells, question.target, "--target");
  roles.success = question.success.empty() ? first_of(cells, {"success", "succeeded", "ok"})
                                           : static_cast<int>(require(cells, question.success, "--success"));
  roles.parameters = quantity(cells, "N", {"n", "params", "parameters"});
  roles.tokens = quantity(cells, "D", {"d", "tokens"});
  roles.cost = quantity(cells, "C", {"c", "flops", "trainingflops"});
  if (!question.cost.empty()) roles.cost = {static_cast<int>(require(cells, question.cost, "--cost")), 1, -1};
  for (const std::string& name : question.group_by) roles.groups.push_back(require(cells, name, "--group-by"));
  if (question.group_by.empty() && roles.parameters.column >= 0 && roles.tokens.column >= 0)
    roles.groups = {static_cast<size_t>(roles.parameters.column), static_cast<size_t>(roles.tokens.column)};
  return roles;
}

std::vector<std::string> key_of(const Table& cells, size_t row, const std::vector<size_t>& columns) {
  std::vector<std::string> key;
  for (const size_t c : columns) key.emplace_back(cells.cell(row, c));
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
bool follows(const Table& cells, size_t b, std::vector<size_t> given) {
  std::map<std::vector<std::string>, std::string_view> seen;
  for (size_t r = 0; r < cells.rows(); ++r) {
    const auto [entry, fresh] = seen.emplace(key_of(cells, r, given), cells.cell(r, b));
    if (!fresh && entry->second != cells.cell(r, b)) return false;
  }
  return true;
}

// Whether what follows() finds is more than chance: half of the rows share their values of `given` with another row.
// Of numbers that were drawn at random no two are equal, and everything follows from them.
bool can_tell(const Table& cells, const std::vector<size_t>& given) {
  std::map<std::vector<std::string>, size_t> count;
  for (size_t r = 0; r < cells.rows(); ++r) ++count[key_of(cells, r, given)];
  size_t shared = 0;
  for (const auto& [key, n] : count) shared += n > 1 ? n : 0;
  return 2 * shared >= cells.rows();
}

// Whether column `b` rises (or falls) with column `a` in every row, over more values than a list of levels has: one is
// the other in another unit.
bool is_monotone(const Table& cells, size_t a, size_t b) {
  std::map<double, double> b_at;
  for (size_t r = 0; r < cells.rows(); ++r) {
    const auto x = plain_number(cells, r, a), y = plain_number(cells, r, b);
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

std::vector<size_t> choose_fields(const Table& cells, const Roles& roles, const ReplayQuestion& question,
                                  std::vector<std::string>& left_out) {
  std::vector<size_t> fields;
  for (const std::string& name : question.fields) fields.push_back(require(cells, name, "--fields"));
  if (!question.fields.empty()) return fields;
  for (size_t c = 0; c < cells.columns(); ++c) {
    const auto at = static_cast<int>(c);
    const auto out = [&](const std::string& why) { left_out.push_back(cells.name(c) + ": " + why); };
    if (cells.is_chosen(c) || cells.name(c).empty()) continue;
    if (c == roles.target || std::find(roles.groups.begin(), roles.groups.end(), c) != roles.groups.end()) continue;
    if (at == roles.success || at == roles.cost.column || at == roles.parameters.column || at == roles.tokens.column)
      continue;
    if (is_outcome(plain(cells.name(c)))) {
      out("bookkeeping or an outcome");
      continue;
    }
    if (follows(cells, c, roles.groups)) {
      out(roles.groups.empty() ? "has one value" : "has one value in each grid");
      continue;
    }
    if (is_monotone(cells, roles.target, c)) {
      out("follows from " + cells.name(roles.target));
      continue;
    }
    const auto cause = std::find_if(fields.begin(), fields.end(), [&](size_t f) {
      std::vector<size_t> given = roles.groups;
      given.push_back(f);
      return (can_tell(cells, given) && follows(cells, c, given)) || is_monotone(cells, f, c);
    });
    if (cause != fields.end())
      out("follows from " + cells.name(*cause));
    else
      fields.push_back(c);
  }
  if (fields.empty()) throw_bad_input("{}: no column left to search; name them with --fields", cells.where());
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
workload::SearchField make_field(const Table& cells, size_t column) {
  workload::SearchField field;
  field.name = cells.name(column);
  std::set<std::string> texts;
  std::set<double> numbers;
  bool numeric = true, whole = true;
  for (size_t r = 0; r < cells.rows(); ++r) {
    if (cells.cell(r, column).empty()) continue;
    texts.emplace(cells.cell(r, column));
    const auto value = plain_number(cells, r, column);
    numeric = numeric && value.has_value();
    if (value) numbers.insert(*value), whole = whole && *value == std::floor(*value);
  }
  for (size_t r = 0; !numeric && !numbers.empty() && r < cells.rows(); ++r)
    if (is_no_number(std::string(cells.cell(r, column))))
      throw_bad_input("{}: line {}: {}: expected a number, as in other rows, or nothing; found \"{}\"", cells.where(),
                      cells.line(r), field.name, cells.cell(r, column));
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

double value_of(const workload::SearchField& field, const Table& cells, size_t row, size_t column) {
  const std::string text(cells.cell(row, column));
  if (text.empty()) return kNone;
  const std::optional<double> number = plain_number(cells, row, column);
  if (!field.is_list()) return *number;
  for (size_t i = 0; i < field.choices.size(); ++i)
    if (field.axis == workload::Axis::kCategorical ? field.choices[i] == text
                                                   : is_level(field.choices[i].get<double>(), *number))
      return static_cast<double>(i);
  return kNone;
}

bool says_failed(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text == "false" || text == "0" || text == "no" || text == "failed";
}

}  // namespace

ReplayTable read_replay_table(std::string_view bytes, const std::string& where, const ReplayQuestion& question) {
  const Table cells = read_table(bytes, question, where);
  const Roles roles = find_roles(cells, question);
  ReplayTable table;
  table.target = cells.name(roles.target);
  const std::vector<size_t> columns = choose_fields(cells, roles, question, table.left_out);
  std::vector<workload::SearchField> fields;
  for (const size_t column : columns) fields.push_back(make_field(cells, column));
  table.space = std::make_shared<workload::SearchSpace>(std::move(fields));

  std::map<std::vector<double>, size_t> by_number;
  std::map<std::vector<std::string>, size_t> index;
  std::vector<std::pair<std::vector<double>, ReplayGrid>> grids;
  for (size_t r = 0; r < cells.rows(); ++r) {
    ReplayRow row;
    row.line = cells.line(r);
    for (size_t f = 0; f < columns.size(); ++f)
      row.values.push_back(value_of(table.space->fields()[f], cells, r, columns[f]));
    const bool failed = roles.success >= 0 && says_failed(std::string(cells.cell_or_empty(r, roles.success)));
    if (!failed) row.loss = plain_number(cells, r, roles.target);
    const auto amount = [&](const FoundColumn& column, const char* what) -> std::optional<double> {
      if (column.column < 0) return std::nullopt;
      const auto value = value_in_ones(cells, r, column);
      if (!value || *value <= 0)
        throw_bad_input("{}: line {}: {}: expected a number above 0, found \"{}\"", where, row.line, what,
                        shown_cell(cells.cell_or_empty(r, column.column)));
      return value;
    };
    const auto n = amount(roles.parameters, "parameters"), d = amount(roles.tokens, "tokens");
    const auto cost = amount(roles.cost, "cost");
    row.flops = cost ? *cost : n && d ? 6 * *n * *d : 0;
    const auto key = key_of(cells, r, roles.groups);
    const auto [entry, fresh] = index.emplace(key, grids.size());
    if (fresh) {
      ReplayGrid grid;
      std::vector<double> order;
      for (size_t g = 0; g < roles.groups.size(); ++g) {
        grid.name += (g > 0 ? " " : "") + cells.name(roles.groups[g]) + "=" + key[g];
        const auto number = cells.number(r, roles.groups[g]);
        order.push_back(number ? number->value : 0);
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
