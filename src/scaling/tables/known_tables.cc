#include "scaling/tables/known_tables.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "base/table/table_text.h"

namespace flywheel::scaling {
namespace {

int own_column(const Table& table, std::string_view name) {
  for (size_t c = 0; c < table.columns(); ++c)
    if (table.name(c) == name && !table.is_chosen(c)) return static_cast<int>(c);
  return -1;
}

bool chooses(const Table& table, std::string_view name) {
  for (size_t c = 0; c < table.columns(); ++c)
    if (table.is_chosen(c) && table.name(c) == name) return true;
  return false;
}

void sum_parameters(Table& table, std::vector<std::string>& warnings) {
  const int transformer = own_column(table, "params_transformer"), head = own_column(table, "params_lm_head");
  if (transformer < 0 || head < 0 || own_column(table, "N") >= 0 || chooses(table, "N")) return;
  std::vector<std::string> cells;
  for (size_t r = 0; r < table.rows(); ++r) {
    const auto a = table.number(r, static_cast<size_t>(transformer)), b = table.number(r, static_cast<size_t>(head));
    cells.push_back(a && b ? fmt::format("{}", a->value + b->value)
                           : std::string(table.cell_or_empty(r, a ? head : transformer)));
  }
  table.choose("N", "params_transformer + params_lm_head", cells);
  warnings.push_back(
      "N is params_transformer + params_lm_head, the weights of matrix products; for another count --columns "
      "N=params_total");
}

// The recipe that was run at the most sizes and lengths.
std::vector<bool> rows_of_one_recipe(const Table& table, std::vector<std::string>& warnings) {
  const auto recipe = static_cast<size_t>(own_column(table, "recipe"));
  const int parameters = own_column(table, "parameters"), tokens = own_column(table, "tokens");
  const int state = own_column(table, "state");
  std::map<std::string, std::set<std::string>> runs;
  std::string most;
  for (size_t r = 0; r < table.rows(); ++r) {
    if (table.cell_or_empty(r, state) != "done") continue;
    const std::string name(table.cell(r, recipe));
    std::set<std::string>& own = runs[name];
    own.insert(fmt::format("{} {}", table.cell_or_empty(r, parameters), table.cell_or_empty(r, tokens)));
    if (most.empty() || own.size() >= runs[most].size()) most = name;  // of equals the last one
  }
  std::vector<bool> taken(table.rows(), true);
  if (runs.size() < 2) return taken;
  size_t left_out = 0;
  for (size_t r = 0; r < table.rows(); ++r) {
    taken[r] = table.cell(r, recipe) == most;
    left_out += !taken[r];
  }
  warnings.push_back(
      fmt::format("a lab's results with {} recipes: {} rows of others than {}, which was run at the most sizes and "
                  "lengths, are left out; --group recipe fits a law to each that has enough runs",
                  runs.size(), left_out, shown_cell(most)));
  return taken;
}

}  // namespace

std::vector<bool> take_known_table(Table& table, bool grouped, std::vector<std::string>& warnings) {
  sum_parameters(table, warnings);
  const int bits = own_column(table, "bits_per_byte");
  bool is_lab = bits >= 0;
  for (const char* name : {"run", "stage", "state", "rung_flops", "parameters", "tokens", "recipe"})
    is_lab = is_lab && own_column(table, name) >= 0;
  if (!is_lab) return std::vector<bool>(table.rows(), true);
  if (!chooses(table, "L")) table.choose_copy("L", static_cast<size_t>(bits));
  return grouped ? std::vector<bool>(table.rows(), true) : rows_of_one_recipe(table, warnings);
}

}  // namespace flywheel::scaling
