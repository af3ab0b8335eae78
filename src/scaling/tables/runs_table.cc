#include "scaling/tables/runs_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "base/csv.h"
#include "base/error.h"
#include "base/json_reader.h"
#include "base/table/column_choice.h"
#include "base/table/column_names.h"
#include "base/table/table_text.h"
#include "scaling/tables/known_tables.h"
#include "scaling/tables/run_rows.h"

namespace flywheel::scaling {
namespace {

constexpr size_t kListed = 5;  // bad rows that a message names

enum { kN, kD, kL, kC, kU, kEpochs, kWidth, kDepth, kRunColumns };

constexpr bool is_shape(size_t column) {
  return column == kWidth || column == kDepth;
}

const std::array<WantedColumn, kRunColumns>& run_columns() {
  static const std::array<WantedColumn, kRunColumns> table = {{
      {"N",
       "parameters",
       {"n", "params", "parameters", "modelsize", "nparams", "numparams", "numparameters", "nparameters", "size",
        "paramcount", "parametercount", "nonembeddingparams", "nonembeddingparameters", "nonembparams", "modelparams",
        "modelparameters", "numnonembeddingparams", "nparamsnonembedding"},
       {"totalparams", "totalparameters", "paramstotal", "nparamstotal", "trainableparams", "trainableparameters",
        "numtrainableparameters"},
       true},
      {"D",
       "training tokens",
       {"d", "tokens", "trainingtokens", "traintokens", "ntokens", "numtokens", "tokencount", "tokensseen",
        "totaltokens", "datasize", "datasetsize", "tokenstrained", "ntraintokens", "trainedtokens",
        "numinputtokensseen", "traintokensseen", "totaltokensseen", "trainingdatasetsize", "consumedtokens"},
       {"numtokensseen", "maxtokens", "traindatatokens"},
       true},
      {"L",
       "loss",
       {"l",           "loss",       "valloss",      "validationloss", "evalloss",    "finalloss",
        "testloss",    "smoothloss", "smoothedloss", "crossentropy",   "nats",        "bpb",
        "bitsperbyte", "valbpb",     "bitspertoken", "perplexity",     "ppl",         "valperplexity",
        "valppl",      "lossnats",   "finalvalloss", "evalbpb",        "bestvalloss", "devloss"},
       {"trainloss", "trainingloss", "trainbpb", "finaltrainloss", "trainlossfinal"},
       false},
      {"C",
       "FLOPs",
       {"c", "flops", "trainingflops", "trainflops", "compute", "flop", "totalflops", "trainingcompute",
        "trainingcomputeflop", "traincompute", "totaltrainingflops"},
       {"totalflos", "flopsbudget", "flopbudget", "computebudget", "budgetflops"},
       true},
      {"U", "unique tokens", {"u", "uniquetokens", "nuniquetokens", "datauniquetokens"}, {}, true},
      {"epochs", "passes over the data", {"epochs", "epoch", "nepochs", "numepochs", "numtrainepochs"}, {}, false},
      {"width",
       "width of the model",
       {"width", "dmodel", "modeldim", "modelwidth", "hiddensize", "hiddendim", "nembd", "embeddim", "embeddingdim",
        "dim"},
       {},
       false},
      {"depth",
       "layers of the model",
       {"depth", "layers", "nlayers", "nlayer", "numlayers", "numlayer", "numhiddenlayers", "numblocks", "nblocks",
        "blocks"},
       {},
       false},
  }};
  return table;
}

// Where the columns stand, from the header.
struct Header {
  std::array<FoundColumn, kRunColumns> at;
  int group = -1;
  std::string only;  // of the group's column: the rows that count; empty: all
  bool perplexity = false;

  bool has(size_t column) const { return at[column].column >= 0; }
  size_t column(size_t column) const { return static_cast<size_t>(at[column].column); }
};

int named_column(const Table& table, std::string_view name) {
  for (size_t c = 0; c < table.columns(); ++c)
    if (table.name(c) == name) return static_cast<int>(c);
  for (size_t c = 0; c < table.columns(); ++c)
    if (!plain_column_name(name).empty() && plain_column_name(table.name(c)) == plain_column_name(name))
      return static_cast<int>(c);
  return -1;
}

std::string maybe_meant(const Table& table, size_t k) {
  static const std::array<std::vector<std::string_view>, 4> kParts = {
      {{"param", "modelsize", "size"},
       {"token", "datapoint", "dataset"},
       {"loss", "bpb", "bits", "ppl", "perplexity", "nll", "entropy", "crossent"},
       {"flop", "compute"}}};
  const std::vector<std::string> near = candidates(table, run_columns()[k], kParts[k]);
  if (near.empty()) return "";
  std::string listed;
  for (const std::string& name : near) listed += (listed.empty() ? "" : ", ") + shown_cell(name);
  return fmt::format("; {} ({}) may be {}: --columns {}", run_columns()[k].symbol, run_columns()[k].means, listed,
                     choice_of(run_columns()[k].symbol, near.front()));
}

std::string way_out(const Table& table) {
  return fmt::format("say which columns are meant, as in --columns {}", choice_of("N", table.name(0)) + ",D=..,L=..");
}

void find_columns(const Table& table, const TableOptions& options, Header& header) {
  for (size_t k = 0; k < kRunColumns; ++k) {
    FoundColumn found = find_column(table, run_columns()[k]);
    if (k == kL && found.also >= 0) {
      // A smoothed loss beside the last batch's is the better measure of the same thing.
      const WantedColumn smooth{"", "", {"smoothloss", "smoothedloss"}, {}, false};
      if (const FoundColumn better = find_column(table, smooth); better.column >= 0) found = better;
    }
    if (found.also >= 0 && !is_shape(k) && (k != kL || options.loss_required)) {
      const std::string &first = table.name(static_cast<size_t>(found.column)),
                        &second = table.name(static_cast<size_t>(found.also));
      throw_bad_input(
          "{}: line {}: columns {} (\"{}\") and {} (\"{}\") both look like {} ({}); keep one, or say which: "
          "--columns {}",
          table.where(), table.header_line(), found.column + 1, shown_cell(first), found.also + 1, shown_cell(second),
          run_columns()[k].symbol, run_columns()[k].means, choice_of(run_columns()[k].symbol, first));
    }
    header.at[k] = found;
  }
}

void find_group(const Table& table, const std::string& group, Header& header) {
  if (group.empty()) return;
  header.group = named_column(table, group);
  for (size_t at = group.find('='); header.group < 0 && at != std::string::npos; at = group.find('=', at + 1)) {
    header.group = named_column(table, group.substr(0, at));
    header.only = group.substr(at + 1);
  }
  if (header.group >= 0) return;
  const std::string near = nearest_name(group, table.names());
  throw_bad_input("{}: line {}: no column \"{}\" to group by{}; columns are {}", table.where(), table.header_line(),
                  group, near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near), listed_columns(table));
}

Header read_header(const Table& table, const TableOptions& options, RunsTable& runs) {
  Header header;
  find_columns(table, options, header);
  const int missing = !header.has(kN) + !header.has(kD) + !header.has(kC);
  if (missing > 1) {
    std::string meant;
    for (const size_t k : {kN, kD, kC})
      if (!header.has(k)) meant += maybe_meant(table, k);
    throw_bad_input(
        "{}: line {}: expected a header with two of N (params), D (tokens) and C (flops), found \"{}\"{}; name the "
        "columns, or {}",
        table.where(), table.header_line(), table.header_text(), meant, way_out(table));
  }
  runs.has_loss = header.has(kL);
  if (options.loss_required && !runs.has_loss) {
    const std::string meant = maybe_meant(table, kL);
    throw_bad_input("{}: line {}: expected a loss column (L, loss, val_loss, bpb, perplexity), found \"{}\"{}",
                    table.where(), table.header_line(), table.header_text(),
                    meant.empty() ? "; say which it is with --columns L=.." : meant);
  }
  for (const size_t k : {kN, kD, kC})
    if (header.has(k)) runs.named[k == kC ? 2 : k] = table.meaning(header.column(k));
  if (header.has(kL)) {
    const size_t column = header.column(kL);
    const std::string name = plain_column_name(table.meaning(column));
    if (table.is_chosen(column) && !table.is_copy(column))
      runs.unit = table.meaning(column);
    else if (name.find("bpb") != std::string::npos || name.find("bitsperbyte") != std::string::npos)
      runs.unit = "bits per byte";
    else if (name.find("bitspertoken") != std::string::npos)
      runs.unit = "bits per token";
    header.perplexity = (!table.is_chosen(column) || table.is_copy(column)) &&
                        (name.find("perplexity") != std::string::npos || name.find("ppl") != std::string::npos);
  }
  find_group(table, options.group, header);
  return header;
}

// The run of a row, or what is wrong with it.
std::string read_row(const Table& table, size_t row, const Header& header, const TableOptions& options, Point& point) {
  if (!table.damage(row).empty()) return table.damage(row);
  std::array<double, kRunColumns> values{};
  for (size_t k = 0; k < kRunColumns; ++k) {
    if (!header.has(k) || (k == kL && !options.loss_required)) continue;
    const std::string_view cell = table.cell(row, header.column(k));
    if (cell.empty() && k >= kU) continue;  // unknown: all tokens are unique
    const std::optional<double> value = value_in_ones(table, row, header.at[k]);
    if (is_shape(k) && !(value && *value > 0)) continue;  // not known
    if (!value || *value <= 0)
      return fmt::format("column {} ({}): expected a finite number above 0, found \"{}\"", run_columns()[k].symbol,
                         run_columns()[k].means, shown_cell(cell));
    values[k] = *value;
  }
  if (header.perplexity && options.loss_required) {
    if (values[kL] <= 1) return fmt::format("column L (perplexity): expected more than 1, found {}", values[kL]);
    values[kL] = std::log(values[kL]);
  }
  point = {values[kN], values[kD], values[kL], values[kC], values[kU]};
  if (point.N == 0) point.N = point.C / (6 * point.D);
  if (point.D == 0) point.D = point.C / (6 * point.N);
  if (!(point.N > 0) || !(point.D > 0) || !std::isfinite(6 * point.N * point.D) || 6 * point.N * point.D == 0)
    return fmt::format("columns N, D and C: 6 N D is no number that can be computed with, of N {:g} and D {:g}",
                       point.N, point.D);
  if (values[kWidth] > 0 && values[kDepth] > 0) point.aspect = values[kWidth] / values[kDepth];
  if (point.U == 0 && values[kEpochs] > 0) point.U = point.D / std::max(1.0, values[kEpochs]);
  if (options.loss_required && point.L > 1000)
    return fmt::format("column L (loss) is {}, which is no loss per token; are columns swapped?", point.L);
  return "";
}

void refuse_bad_rows(const std::vector<std::string>& bad, const std::string& where) {
  std::string listed;
  for (size_t i = 0; i < std::min(kListed, bad.size()); ++i)
    listed += bad.size() == 1 ? bad[i] : fmt::format("\n  {}", bad[i]);
  throw_bad_input("{}: {}{}\nmend the table, or leave such rows out with --skip-bad-rows", where,
                  bad.size() == 1 ? "" : fmt::format("{} bad rows, the first of them:", bad.size()), listed);
}

// Rows that repeat an earlier one in every cell.
class Copies {
 public:
  explicit Copies(const Table& table) {
    for (const std::string& name : table.names()) {
      const std::string plain = plain_column_name(name);
      numbers_rows_.push_back(plain.empty() || plain == "index" || plain.starts_with("unnamed"));
      names_runs_ = names_runs_ || plain.find("seed") != std::string::npos || plain == "run" || plain == "runid" ||
                    plain == "id" || plain == "name";
    }
  }
  void add(const Table& table, size_t row, std::string_view loss) {
    std::string cells;
    for (size_t c = 0; c < numbers_rows_.size(); ++c)
      if (!numbers_rows_[c]) cells.append(table.cell(row, c)) += '\x1f';
    first_.push_back(seen_.try_emplace(std::move(cells), first_.size()).first->second);
    const size_t point = loss.find_first_of(".,");
    digits_ = std::max(digits_, point == std::string_view::npos ? size_t{0} : loss.size() - point - 1);
  }
  void leave_out(RunsTable& table) const {
    std::vector<size_t> kept;
    std::string example;
    for (size_t i = 0; i < first_.size(); ++i) {
      if (first_[i] == i)
        kept.push_back(i);
      else if (example.empty())
        example = fmt::format("line {} repeats line {}", table.rows[i], table.rows[first_[i]]);
    }
    if (kept.size() == first_.size()) return;
    const size_t copies = first_.size() - kept.size();
    if (may_be_replicates(table)) {
      for (size_t i = 0; i < first_.size(); ++i)
        if (first_[i] != i) table.repeated.insert(table.rows[i]);
      table.warnings.push_back(fmt::format(
          "{} row(s) repeat another in every cell ({}), and losses of {} decimals may agree by chance: each "
          "counts as a run; add a column seed, or take copies out",
          copies, example, digits_));
      return;
    }
    table = selected(table, kept);
    table.warnings.push_back(
        fmt::format("{} row(s) repeat another in every cell ({}): a run that is stated several times counts once; if "
                    "they are runs of other seeds, add a column seed",
                    copies, example));
  }

 private:
  // Losses of few digits make replicates look alike; a table that has others which differ may hold such.
  bool may_be_replicates(const RunsTable& table) const {
    constexpr size_t kFewDigits = 3;
    if (names_runs_ || digits_ > kFewDigits) return false;
    std::map<std::pair<double, double>, double> losses;
    return std::any_of(table.points.begin(), table.points.end(), [&](const Point& p) {
      return losses.try_emplace({p.N, p.D}, p.L).first->second != p.L;
    });
  }

  std::vector<bool> numbers_rows_;
  bool names_runs_ = false;
  size_t digits_ = 0;  // decimals of the losses, the most of any row
  std::map<std::string, size_t> seen_;
  std::vector<size_t> first_;  // of each row: the first one like it
};

}  // namespace

RunsTable selected(const RunsTable& table, const std::vector<size_t>& kept) {
  RunsTable part = table;
  part.points.clear(), part.rows.clear(), part.origins.clear(), part.groups.clear();
  for (const size_t i : kept) {
    part.points.push_back(table.points[i]);
    part.rows.push_back(table.rows[i]);
    if (!table.origins.empty()) part.origins.push_back(table.origins[i]);
    if (!table.groups.empty()) part.groups.push_back(table.groups[i]);
  }
  return part;
}

bool is_group_column(const Table& table, const std::string& group) {
  return !group.empty() && named_column(table, group) >= 0;
}

const std::vector<std::string>& run_quantities() {
  static const std::vector<std::string> names = {"N",     "D",  "L",     "C",   "U",    "epochs", "width",
                                                 "depth", "lr", "batch", "run", "step", "state"};
  return names;
}

RunsTable parse_runs(Table& table, const TableOptions& options) {
  RunsTable runs;
  const std::vector<bool> ours = take_known_table(table, !options.group.empty(), runs.warnings);
  const Header header = read_header(table, options, runs);
  const std::vector<bool> finished = finished_rows(table, runs.warnings);
  std::vector<std::string> bad;
  Copies copies(table);
  size_t others = 0;
  for (size_t r = 0; r < table.rows(); ++r) {
    if (options.loss_required && (!finished[r] || !ours[r])) continue;
    if (!header.only.empty() && table.cell_or_empty(r, header.group) != header.only) {
      ++others;
      continue;
    }
    Point point;
    const std::string wrong = read_row(table, r, header, options, point);
    if (!wrong.empty()) {
      bad.push_back(fmt::format("line {}: {}", table.line(r), wrong));
      continue;
    }
    runs.points.push_back(point);
    runs.rows.push_back(table.line(r));
    runs.origins.push_back(r);
    if (header.group >= 0 && header.only.empty()) runs.groups.emplace_back(table.cell_or_empty(r, header.group));
    copies.add(table, r, table.cell_or_empty(r, header.at[kL].column));
  }
  if (!bad.empty() && (!options.skip_bad_rows || runs.points.empty())) refuse_bad_rows(bad, table.where());
  if (runs.points.empty() && others > 0)
    throw_bad_input("{}: --group {}: no row has this value; the first has \"{}\"", table.where(), options.group,
                    shown_cell(table.cell_or_empty(0, header.group)));
  if (runs.points.empty())
    throw_bad_input("{}: a header but no {}runs, expected one run a line", table.where(),
                    table.rows() > 0 ? "finished " : "");
  if (others > 0)
    runs.warnings.push_back(fmt::format("{} of {} rows are fitted: those of {}", runs.points.size(),
                                        runs.points.size() + others, options.group));
  runs.skipped = std::move(bad);
  if (options.loss_required) copies.leave_out(runs);
  if (options.loss_required && !options.checkpoints) leave_out_checkpoints(table, runs);
  if (header.has(kWidth) != header.has(kDepth)) {
    const bool width = header.has(kWidth);
    runs.warnings.push_back(fmt::format("there is a column of {} and none of {}: shapes of models are not known",
                                        run_columns()[width ? kWidth : kDepth].means,
                                        run_columns()[width ? kDepth : kWidth].means));
  }
  return runs;
}

RunsTable parse_runs(std::string_view bytes, const std::string& where, const TableOptions& options) {
  Table table = Table::read(bytes, where);
  choose_columns(table, options.columns, run_quantities());
  return parse_runs(table, options);
}

RunsTable parse_runs(std::string_view bytes, const std::string& where, bool loss_required) {
  TableOptions options;
  options.loss_required = loss_required;
  return parse_runs(bytes, where, options);
}

}  // namespace flywheel::scaling
