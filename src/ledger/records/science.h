// Records of results: fits, forecasts, their scores, walls, evaluations. Numbers that are not finite are null in
// JSON, and NaN when read back.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cluster_error.h"
#include "base/sampled_text.h"
#include "protocol/splits.h"
#include "protocol/verdicts.h"

namespace flywheel::ledger {

inline constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();

// A forecast of points that were held out, beside what was measured there.
struct BacktestEntry {
  double train_below_flops = 0, held_out_flops = 0, predicted = 0, low = 0, high = 0, measured = 0, error_percent = 0;
  bool inside = false;
};

struct FrontierEntry {
  double flops = 0, bits_per_byte = 0, low = 0, high = 0;
};

// "fit": "below the top rung", or "all", which also has backtests and the frontier.
struct FitRecord {
  std::string name{}, form{};
  std::map<std::string, double> parameters{};
  std::map<std::string, std::pair<double, double>> interval95{};
  double objective = 0, residual_sd = 0;
  bool identified = false;
  std::vector<std::string> warnings{};
  std::vector<std::array<double, 4>> data{};  // N, D, L, C
  std::optional<std::vector<BacktestEntry>> backtest{};
  std::optional<std::vector<FrontierEntry>> frontier{};
};

// "forecast" with name = "top rung": written before its first run. predicted, low and high (median, 90%) are of the
// least loss among the runs where their covariance is given, else of the run with the lowest forecast.
struct TopForecast {
  double flops = 0, train_below_flops = 0, predicted = 0, low = 0, high = 0;
  struct Run {
    std::string run{};
    double parameters = 0, tokens = 0, predicted = 0, low = 0, high = 0;
  };
  std::vector<Run> runs{};
  std::optional<std::vector<double>> covariance{};  // of the log losses of the runs, noise included; row-major
};

// "optimum": the compute-optimal size as a function of compute, N ~ C^a, or that the runs do not identify it.
struct OptimumRecord {
  bool identified = false;
  std::string why{}, model{};
  double a = kNotKnown, low = kNotKnown, high = kNotKnown;  // 95%; not known where it is not identified
  struct Wanted {
    double params = 0, tokens = 0, flops = 0;
  };
  std::vector<Wanted> runs_to_identify{};
  std::vector<std::string> warnings{};
};

// "forecast" with name = "future": multiples of the top rung.
struct FutureForecast {
  struct Entry {
    double multiply = 0;
    // "optimum", or "ladder" where none is identified: along the ladder's own sizes, and params are not known.
    std::optional<std::string> along{};
    double flops = kNotKnown, params = kNotKnown, tokens = kNotKnown;
    double bits_per_byte = kNotKnown, low = kNotKnown, high = kNotKnown;
  };
  std::vector<Entry> forecast{};
};

// "score" with name = "top rung"
struct ScoreRecord {
  double predicted = 0, measured = 0, error_percent = 0;
  bool inside = false;
  std::optional<double> pit{};             // forecast probability of a lower loss
  std::optional<double> interval_score{};  // of log loss at 90%, times 100 (Gneiting and Raftery 2007)
};

// "wall"
struct WallRecord {
  protocol::WallVerdict verdict = protocol::WallVerdict::kCannotTell;
  double slope = kNotKnown, slope_low = kNotKnown, slope_high = kNotKnown, smallest_detectable = kNotKnown;
  std::string why{};
};

// "evaluation": of a finished run on a split.
struct EvaluationRecord {
  std::string run{};
  protocol::Split split = protocol::Split::kSearch;
  int64_t tokens = 0;
  double loss = 0, bits_per_byte = 0;
  std::string segments{};                       // hash of the list of segments; empty: left out, of older versions
  std::optional<int64_t> bytes{}, documents{};  // scored
  std::optional<ClusterError> sampling{};       // of bits_per_byte, as an estimate for other text
  std::optional<SampledUnits> units{};          // that it is over; not there: documents, as far as is known
  std::optional<double> evaluation_flops{};     // that it took; not there: not counted
};

}  // namespace flywheel::ledger
