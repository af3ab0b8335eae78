#include "scaling/tables/runs_table.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "base/csv.h"
#include "base/error.h"

namespace flywheel::scaling {
namespace {

constexpr size_t kListed = 5;  // bad rows that a message names

struct RunColumn {
  const char* symbol;
  const char* means;
  std::vector<std::string_view> aliases;  // lower case, letters and digits only
};

enum { kN, kD, kL, kC, kU, kEpochs, kWidth, kDepth, kRunColumns };

constexpr bool is_shape(size_t column) {
  return column == kWidth || column == kDepth;
}

const std::array<RunColumn, kRunColumns>& run_columns() {
  static const std::array<RunColumn, kRunColumns> table = {{
      {"N",
       "parameters",
       {"n", "params", "parameters", "modelsize", "nparams", "numparams", "numparameters", "size", "paramcount",
        "parametercount", "nonembeddingparams", "nonembeddingparameters", "nonembparams", "totalparams",
        "totalparameters", "modelparams"}},
      {"D",
       "training tokens",
       {"d", "tokens", "trainingtokens", "traintokens", "ntokens", "numtokens", "tokencount", "tokensseen",
        "totaltokens", "datasize", "datasetsize"}},
      {"L",
       "loss",
       {"l", "loss", "valloss", "validationloss", "evalloss", "finalloss", "testloss", "smoothloss", "smoothedloss",
        "crossentropy", "nats", "bpb", "bitsperbyte", "valbpb", "bitspertoken", "perplexity", "ppl", "valperplexity",
        "valppl"}},
      {"C", "FLOPs", {"c", "flops", "trainingflops", "trainflops", "compute", "flop", "totalflops"}},
      {"U", "unique tokens", {"u", "uniquetokens", "nuniquetokens", "datauniquetokens"}},
      {"epochs", "passes over the data", {"epochs", "epoch", "nepochs", "numepochs"}},
      {"width",
       "width of the model",
       {"width", "dmodel", "modeldim", "modelwidth", "hiddensize", "hiddendim", "nembd", "embeddim", "embeddingdim",
        "dim"}},
      {"depth",
       "layers of the model",
       {"depth", "layers", "nlayers", "nlayer", "numlayers", "numlayer", "numhiddenlayers", "numblocks", "nblocks",
        "blocks"}},
  }};
  return table;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  while (!suffix.empty() && std::isspace(static_cast<unsigned char>(suffix.front()))) suffix.remove_prefix(1);
  if (suffix.empty()) return value;
  constexpr std::string_view kSuffixes = "kKmMbBgGtT";
  constexpr double kFactors[] = {1e3, 1e6, 1e9, 1e9, 1e12};
  const size_t at = suffix.size() == 1 ? kSuffixes.find(suffix[0]) : std::string_view::npos;
  if (at == std::string_view::npos) return std::nullopt;
  return value * kFactors[at / 2];
}

// Where the columns stand, from the header.
struct Header {
  std::array<int, kRunColumns> at;
  int group = -1;
  bool perplexity = false;
};

Header read_header(const CsvReader& reader, const std::string& where, const TableOptions& options, RunsTable& table) {
  Header header;
  header.at.fill(-1);
  const std::vector<std::string>& names = reader.names();
  const std::string_view line = reader.header_text();
  const int number = reader.header_line();
  for (size_t c = 0; c < names.size(); ++c) {
    const std::string name = plain_column_name(names[c]);
    if (!options.group.empty() && name == plain_column_name(options.group)) header.group = static_cast<int>(c);
    for (size_t k = 0; k < kRunColumns; ++k) {
      const auto& aliases = run_columns()[k].aliases;
      if (std::find(aliases.begin(), aliases.end(), name) == aliases.end()) continue;
      // A smoothed loss beside the last batch's is the better measure of the same thing.
      const bool smooth = name.starts_with("smooth");
      if (header.at[k] >= 0 && k == kL && !smooth &&
          plain_column_name(names[static_cast<size_t>(header.at[k])]).starts_with("smooth"))
        continue;
      if (header.at[k] >= 0 && is_shape(k)) continue;  // the first decides
      if (header.at[k] >= 0 && !(k == kL && smooth))
        throw_bad_input("{}: line {}: columns {} (\"{}\") and {} (\"{}\") both look like {} ({}); keep one", where,
                        number, header.at[k] + 1, names[static_cast<size_t>(header.at[k])], c + 1, names[c],
                        run_columns()[k].symbol, run_columns()[k].means);
      header.at[k] = static_cast<int>(c);
      if (k != kL) continue;
      if (name.find("bpb") != std::string::npos || name == "bitsperbyte") table.unit = "bits per byte";
      if (name == "bitspertoken") table.unit = "bits per token";
      header.perplexity = name.find("perplexity") != std::string::npos || name.find("ppl") != std::string::npos;
    }
  }
  if ((header.at[kN] < 0) + (header.at[kD] < 0) + (header.at[kC] < 0) > 1)
    throw_bad_input(
        "{}: line {}: expected a header with two of N (params), D (tokens) and C (flops), found \"{}\"; name the "
        "columns",
        where, number, line.substr(0, 200));
  table.has_loss = header.at[kL] >= 0;
  if (options.loss_required && !table.has_loss)
    throw_bad_input("{}: line {}: expected a loss column (L, loss, val_loss, bpb, perplexity), found \"{}\"", where,
                    number, line.substr(0, 200));
  if (!options.group.empty() && header.group < 0)
    throw_bad_input("{}: line {}: no column \"{}\" to group by, found \"{}\"", where, number, options.group,
                    line.substr(0, 200));
  return header;
}

// The run of a line, or what is wrong with it.
std::string read_row(const CsvReader& row, const Header& header, const TableOptions& options, Point& point) {
  if (!row.damage().empty()) return row.damage();
  if (row.cells().size() != row.names().size())
    return fmt::format("expected {} cells as in the header, found {}", row.names().size(), row.cells().size());
  std::array<double, kRunColumns> values{};
  for (size_t k = 0; k < kRunColumns; ++k) {
    if (header.at[k] < 0 || (k == kL && !options.loss_required)) continue;
    const std::string_view cell = row.cell_or_empty(header.at[k]);
    if (cell.empty() && k >= kU) continue;  // unknown: all tokens are unique
    const std::optional<double> value = parse_number(cell);
    if (is_shape(k) && !(value && *value > 0 && std::isfinite(*value))) continue;  // not known
    if (!value || !std::isfinite(*value) || *value <= 0)
      return fmt::format("column {} ({}): expected a finite number above 0, found \"{}\"", run_columns()[k].symbol,
                         run_columns()[k].means, cell.substr(0, 40));
    values[k] = *value;
  }
  if (header.perplexity && options.loss_required) {
    if (values[kL] <= 1) return fmt::format("column L (perplexity): expected more than 1, found {}", values[kL]);
    values[kL] = std::log(values[kL]);
  }
  point = {values[kN], values[kD], values[kL], values[kC], values[kU]};
  if (point.N == 0) point.N = point.C / (6 * point.D);
  if (point.D == 0) point.D = point.C / (6 * point.N);
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
  explicit Copies(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const std::string plain = plain_column_name(name);
      numbers_rows_.push_back(plain.empty() || plain == "index" || plain.starts_with("unnamed"));
      names_runs_ = names_runs_ || plain.find("seed") != std::string::npos || plain == "run" || plain == "runid" ||
                    plain == "id" || plain == "name";
    }
  }
  void add(const CsvReader& row, std::string_view loss) {
    std::string cells;
    for (size_t c = 0; c < row.cells().size(); ++c)
      if (!numbers_rows_[c]) cells += row.cell(c) + '\x1f';
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
  part.points.clear(), part.rows.clear(), part.groups.clear();
  for (const size_t i : kept) {
    part.points.push_back(table.points[i]);
    part.rows.push_back(table.rows[i]);
    if (!table.groups.empty()) part.groups.push_back(table.groups[i]);
  }
  return part;
}

RunsTable parse_runs(std::string_view text, const std::string& where, const TableOptions& options) {
  CsvReader reader(text, where, {.separators = kRunsSeparators, .tells_damage = true});
  if (!reader.has_header()) throw_bad_input("{}: the file is empty, expected a header line and one run a line", where);
  RunsTable table;
  const Header header = read_header(reader, where, options, table);
  std::vector<std::string> bad;
  Copies copies(reader.names());
  while (reader.next()) {
    Point point;
    const std::string wrong = read_row(reader, header, options, point);
    if (!wrong.empty()) {
      bad.push_back(fmt::format("line {}: {}", reader.line(), wrong));
      continue;
    }
    table.points.push_back(point);
    table.rows.push_back(reader.line());
    if (header.group >= 0) table.groups.emplace_back(reader.cell_or_empty(header.group));
    copies.add(reader, reader.cell_or_empty(header.at[kL]));
  }
  if (!bad.empty() && (!options.skip_bad_rows || table.points.empty())) refuse_bad_rows(bad, where);
  if (table.points.empty()) throw_bad_input("{}: a header but no runs, expected one run a line", where);
  table.skipped = std::move(bad);
  if (options.loss_required) copies.leave_out(table);
  if ((header.at[kWidth] < 0) != (header.at[kDepth] < 0)) {
    const bool width = header.at[kDepth] < 0;
    table.warnings.push_back(fmt::format("there is a column of {} and none of {}: shapes of models are not known",
                                         run_columns()[width ? kWidth : kDepth].means,
                                         run_columns()[width ? kDepth : kWidth].means));
  }
  return table;
}

RunsTable parse_runs(std::string_view text, const std::string& where, bool loss_required) {
  TableOptions options;
  options.loss_required = loss_required;
  return parse_runs(text, where, options);
}

}  // namespace flywheel::scaling
