#include "scaling/tables/other_units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/statistics.h"
#include "base/table/column_names.h"
#include "scaling/tables/runs_clean.h"

namespace flywheel::scaling {
namespace {

constexpr size_t kFewestOthers = 5;      // rows to judge one by
constexpr double kMostOdd = 0.1;         // of a column's cells; more are a ladder with a gap
constexpr double kNearFlops = 5;         // times 6 N D, as the other rows have it
constexpr double kMuchBetter = 1.0 / 3;  // of the deviation as stated, that the cell in its likely unit leaves
constexpr double kSurelyOther = 5;       // decades
constexpr double kFewestTokens = 1e4, kFewestParameters = 1e4;  // of a table's largest run: nobody trains less
constexpr double kFewestPerParameter = 0.01;                    // tokens, in some run

struct Column {
  const char* symbol;
  const char* means;
  double Point::*value;
};
constexpr Column kColumns[] = {{"N", "parameters", &Point::N}, {"D", "tokens", &Point::D}, {"C", "FLOPs", &Point::C}};

struct Span {
  double low = 0, high = 0;
};

// From the middle value outward until a gap.
Span bulk_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t low = values.size() / 2, high = low;
  while (low > 0 && values[low] < kFarOff * values[low - 1]) --low;
  while (high + 1 < values.size() && values[high + 1] < kFarOff * values[high]) ++high;
  return {values[low], values[high]};
}

bool states_flops(const RunsTable& table) {
  return std::all_of(table.points.begin(), table.points.end(), [](const Point& p) { return p.C > 0; });
}

double flops_ratio(const Point& p) {
  return flops_of(p) / (6 * p.N * p.D);
}

struct OddCell {
  size_t row = 0;
  const Column* column = nullptr;
  Span others;
  double factor = 1;  // by which it is too large
};

bool is_few(size_t odd, size_t all) {
  return static_cast<double>(odd) <= std::max(1.0, kMostOdd * static_cast<double>(all));
}

// Rows whose FLOPs are far from 6 N D as the others have it: any of the three may be the wrong one.
std::vector<size_t> rows_of_other_flops(const RunsTable& table) {
  std::vector<size_t> rows;
  if (!states_flops(table)) return rows;
  std::vector<double> ratios;
  for (const Point& p : table.points) ratios.push_back(flops_ratio(p));
  const double usual = upper_median(ratios);
  for (size_t i = 0; i < ratios.size(); ++i)
    if (std::abs(std::log(ratios[i] / usual)) > std::log(kFarOff)) rows.push_back(i);
  return rows;
}

// Too many of them to leave out.
std::string many_warning(const RunsTable& table, const std::vector<size_t>& rows) {
  return fmt::format(
      "{} of {} rows (line {} first) have FLOPs {:g} times or more away from 6 N D as the other rows have it: N, D or "
      "FLOPs are stated in several units. They count as they are, and what is fitted to them means nothing: state "
      "each column in one unit",
      rows.size(), table.points.size(), table.rows[rows.front()], kFarOff);
}

std::vector<OddCell> odd_cells(const RunsTable& table) {
  std::vector<size_t> rows = rows_of_other_flops(table);
  if (!is_few(rows.size(), table.points.size())) rows.clear();
  std::vector<OddCell> odd;
  for (const Column& column : kColumns) {
    if (column.value == &Point::C && rows.empty()) continue;
    std::vector<double> values;
    for (const Point& p : table.points) values.push_back(p.*column.value);
    const Span bulk = bulk_of(values);
    std::vector<size_t> found;
    for (size_t i = 0; i < values.size(); ++i)
      if (values[i] < bulk.low || values[i] > bulk.high) found.push_back(i);
    if (!is_few(found.size(), values.size())) found.clear();
    for (size_t i = 0; i < values.size(); ++i)
      if (std::count(found.begin(), found.end(), i) + std::count(rows.begin(), rows.end(), i) > 0)
        odd.push_back({i, &column, bulk, 1});
  }
  return odd;
}

// What the other rows say of one.
class Others {
 public:
  Others(const RunsTable& table, const std::vector<OddCell>& odd) {
    std::vector<Point> points;
    std::vector<double> ratios;
    for (size_t i = 0; i < table.points.size(); ++i) {
      if (std::any_of(odd.begin(), odd.end(), [&](const OddCell& cell) { return cell.row == i; })) continue;
      points.push_back(table.points[i]);
      ratios.push_back(flops_ratio(table.points[i]));
    }
    if (points.size() < kFewestOthers) return;
    if (states_flops(table)) ratio_ = upper_median(std::move(ratios));
    FitOptions options = published_options();
    options.bootstrap = 0;
    law_ = fit(merge_alike(points), options).law;
  }
  bool judge() const { return law_.has_value(); }

  // Whether the row fits only with its cell so many times smaller.
  bool fits_only(const Point& stated, const OddCell& cell, double factor) const {
    Point likely = stated;
    likely.*cell.column->value /= factor;
    if (ratio_ > 0) {
      const double off = std::abs(std::log(flops_ratio(stated) / ratio_));
      if (off > std::log(kFarOff)) return std::abs(std::log(flops_ratio(likely) / ratio_)) < std::log(kNearFlops);
    }
    if (cell.column->value == &Point::C) return false;
    const double off = deviation(stated), left = deviation(likely);
    // A law that hardly depends on N or D cannot tell, and nobody trains a run so far beyond all others.
    if (std::abs(std::log10(factor)) > kSurelyOther) return left < kOutlierDeviations;
    return off > kOutlierDeviations && left < kMuchBetter * off;
  }
  // Without FLOPs, which would say: whether a likely value fits at all.
  bool may_be(const Point& likely) const { return ratio_ == 0 && deviation(likely) < kOutlierDeviations; }
  bool by_flops(const Point& stated) const {
    return ratio_ > 0 && std::abs(std::log(flops_ratio(stated) / ratio_)) > std::log(kFarOff);
  }
  double deviation(const Point& p) const {
    constexpr double kLeastSd = 1e-3;
    return std::abs(std::log(p.L / law_->loss(p.N, p.D))) / std::max(law_->residual_sd, kLeastSd);
  }

 private:
  std::optional<Law> law_;
  double ratio_ = 0;  // FLOPs over 6 N D; 0: the table does not state them
};

std::string warning_of(const RunsTable& table, const OddCell& cell, bool by_flops) {
  const double value = table.points[cell.row].*cell.column->value;
  return fmt::format(
      "line {}: {} ({}) is {:.4g}, where the other runs have {:.3g} to {:.3g}, and the run's {} {:.4g}: the cell looks "
      "{:g} times too {}; the run is left out until it is mended",
      table.rows[cell.row], cell.column->symbol, cell.column->means, value, cell.others.low, cell.others.high,
      by_flops ? "FLOPs fit" : "loss fits", value / cell.factor, std::max(cell.factor, 1 / cell.factor),
      cell.factor > 1 ? "large" : "small");
}

std::string doubt_of(const RunsTable& table, const OddCell& cell) {
  return fmt::format(
      "line {}: {} ({}) is {:.4g}, where the other runs have {:.3g} to {:.3g}: is the cell in another unit? Losses "
      "cannot tell, so the run counts as it is",
      table.rows[cell.row], cell.column->symbol, cell.column->means, table.points[cell.row].*cell.column->value,
      cell.others.low, cell.others.high);
}

// "thousands", "millions", "billions", "trillions" for powers 1 to 4 of 1000.
const char* unit_name(double power) {
  constexpr const char* kNames[] = {"thousands", "millions", "billions", "trillions"};
  return power >= 1 && power <= 4 ? kNames[static_cast<size_t>(power) - 1] : "another unit";
}

// What a column would have to be multiplied by.
struct Shortened {
  double size = 1, tokens = 1;
};

// The units under which the median run has the most usual number of tokens a parameter; of units that say the same the
// smaller ones.
Shortened likely_units(const RunsTable& table, bool short_size, bool short_tokens) {
  constexpr double kUsual = 20, kAsGood = 1e-6;
  std::vector<double> ratios;
  for (const Point& p : table.points) ratios.push_back(p.D / p.N);
  const double ratio = median(ratios);
  Shortened best;
  double least = INFINITY;
  for (const double size : {1.0, 1e6, 1e9})
    for (const double tokens : {1.0, 1e3, 1e6, 1e9, 1e12}) {
      if ((size > 1) != short_size || (short_tokens && tokens < 1e6)) continue;
      const double off = std::abs(std::log(ratio * tokens / size / kUsual));
      if (off > least - kAsGood) continue;
      least = off;
      best = {size, tokens};
    }
  return best;
}

std::string choice(const RunsTable& table, size_t which, const char* symbol, double factor) {
  const std::string& name = table.named[which];
  const int power = static_cast<int>(std::lround(std::log10(factor)));
  return choice_of(symbol, name.empty() ? symbol : name, fmt::format("*1e{}", power));
}

double largest(const RunsTable& table, double (*of)(const Point&)) {
  double most = 0;
  for (const Point& p : table.points) most = std::max(most, of(p));
  return most;
}

}  // namespace

void leave_out_other_units(RunsTable& table) {
  if (!table.has_loss) return;
  if (const std::vector<size_t> rows = rows_of_other_flops(table); !is_few(rows.size(), table.points.size()))
    table.warnings.push_back(many_warning(table, rows));
  const std::vector<OddCell> odd = odd_cells(table);
  if (odd.empty()) return;
  const Others others(table, odd);
  if (!others.judge()) return;
  std::vector<size_t> kept;
  for (size_t i = 0; i < table.points.size(); ++i) {
    const Point& stated = table.points[i];
    std::optional<OddCell> likeliest, possible;
    double least = INFINITY;
    for (OddCell cell : odd) {
      if (cell.row != i) continue;
      for (const double factor : {1e-12, 1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9, 1e12}) {
        Point likely = stated;
        const double value = likely.*cell.column->value /= factor;
        if (value < cell.others.low || value > cell.others.high) continue;
        if (!others.fits_only(stated, cell, factor)) {
          if (others.may_be(likely)) possible = cell;
          continue;
        }
        if (const double left = others.deviation(likely); left < least) {
          least = left;
          cell.factor = factor;
          likeliest = cell;
        }
      }
    }
    if (likeliest)
      table.warnings.push_back(warning_of(table, *likeliest, others.by_flops(stated)));
    else
      kept.push_back(i);
    if (possible && !likeliest) table.warnings.push_back(doubt_of(table, *possible));
  }
  if (kept.size() < table.points.size()) table = selected(table, kept);
}

std::vector<std::string> columns_in_other_units(const RunsTable& table) {
  std::vector<std::string> said;
  const double tokens = largest(table, [](const Point& p) { return p.D; });
  const double size = largest(table, [](const Point& p) { return p.N; });
  const double per_parameter = largest(table, [](const Point& p) { return p.D / p.N; });
  if (states_flops(table)) {
    std::vector<double> logs;
    for (const Point& p : table.points) logs.push_back(std::log10(flops_ratio(p)) / 3);
    const double power = std::round(median(logs));
    constexpr double kNear = 1.0 / 3;  // a factor of 10
    const bool all = std::all_of(logs.begin(), logs.end(), [&](double x) { return std::abs(x - power) < kNear; });
    if (power != 0 && all) {
      // The smaller of the two numbers is the one that someone shortened.
      const bool is_tokens = power > 0 && (tokens < kFewestTokens || (per_parameter < 1 && size >= kFewestParameters));
      const bool is_size = power > 0 && size < kFewestParameters;
      const std::string guess = is_tokens && is_size ? "; N and D look shortened"
                                : is_tokens || is_size
                                    ? fmt::format("; {} look stated in {}",
                                                  is_tokens ? "the tokens (D)" : "the parameters (N)", unit_name(power))
                                    : "";
      said.push_back(fmt::format("FLOPs are about 1e{:g} times 6 N D in every row{}: check the units of C, N and D",
                                 3 * power, guess));
      return said;
    }
  }
  const bool short_size = size < kFewestParameters, short_tokens = tokens < kFewestTokens;
  if (short_size || short_tokens || per_parameter < kFewestPerParameter) {
    const Shortened guess = likely_units(table, short_size, short_tokens);
    const bool mends_size = guess.size > 1, mends_tokens = guess.tokens > 1;
    const std::string option =
        fmt::format("--columns {}{}{}", mends_size ? choice(table, 0, "N", guess.size) : "",
                    mends_size && mends_tokens ? "," : "", mends_tokens ? choice(table, 1, "D", guess.tokens) : "");
    if (short_size)
      said.push_back(
          fmt::format("the largest run has {:.4g} parameters: N looks stated in {}; every size and forecast here "
                      "is in that unit until {}",
                      size, unit_name(std::log10(guess.size) / 3), option));
    if (short_tokens)
      said.push_back(
          fmt::format("the longest run has {:.4g} tokens: D looks stated in {}; every length and forecast here is "
                      "in that unit until {}",
                      tokens, unit_name(std::log10(guess.tokens) / 3), option));
    if (!short_size && !short_tokens)
      said.push_back(
          fmt::format("no run has more than {:.3g} tokens per parameter: are N and D swapped, or is one of "
                      "them stated in thousands, millions or billions? D in {} would be {}",
                      per_parameter, unit_name(std::log10(guess.tokens) / 3), option));
  }
  return said;
}

}  // namespace flywheel::scaling
