#include "campaign/points.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/json.h"
#include "evidence/same_text.h"

namespace flywheel::campaign {
namespace {

struct Group {
  double parameters = 0, tokens = 0, flops = 0;
  std::vector<double> losses;
  double mean() const {
    double sum = 0;
    for (double loss : losses) sum += loss;
    return sum / static_cast<double>(losses.size());
  }
};

// rung -> parameters -> finished runs. A branched run's tokens may differ from a full one's by half a batch.
using Groups = std::map<double, std::map<double, Group>>;

Groups group_runs(const ledger::Ledger& ledger) {
  Groups groups;
  for (const ledger::RunRow& row : ladder_runs(ledger)) {
    Group& group = groups[row.rung_flops][row.parameters];
    group.parameters = row.parameters;
    group.losses.push_back(*row.bits_per_byte);
    const auto n = static_cast<double>(group.losses.size());
    group.tokens += (row.tokens - group.tokens) / n;
    group.flops += (row.flops - group.flops) / n;
  }
  return groups;
}

}  // namespace

bool on_the_ladder(const ledger::RunRow& row) {
  using protocol::Stage;
  return row.stage == Stage::kLadder || row.stage == Stage::kTop || row.stage == Stage::kNoise ||
         row.stage == Stage::kReplicate;
}

std::vector<ledger::RunRow> ladder_runs(const ledger::Ledger& ledger) {
  std::vector<ledger::RunRow> runs;
  for (const ledger::RunRow& row : ledger.runs()) {
    if (row.state != protocol::RunState::kDone || !row.bits_per_byte || !on_the_ladder(row)) continue;
    runs.push_back(row);
    evidence::check_same_text(runs.front(), row);
  }
  return runs;
}

std::vector<scaling::Point> ladder_points(const ledger::Ledger& ledger, double below_flops) {
  std::vector<scaling::Point> points;
  for (const auto& [rung, sizes] : group_runs(ledger)) {
    if (rung >= below_flops) continue;
    for (const auto& [key, group] : sizes)
      points.push_back({.N = group.parameters, .D = group.tokens, .L = group.mean(), .C = group.flops});
  }
  return points;
}

double RungMinimum::loss_at(double parameters) const {
  const double distance = std::log(parameters / minimum.N);
  return minimum.L * std::exp(0.5 * minimum.curvature * distance * distance);
}

std::vector<RungMinimum> rung_minima(const ledger::Ledger& ledger) {
  std::vector<RungMinimum> minima;
  for (const auto& [rung, sizes] : group_runs(ledger)) {
    RungMinimum entry;
    entry.rung_flops = rung;
    for (const auto& [key, group] : sizes)
      entry.points.push_back({.N = group.parameters, .D = group.tokens, .L = group.mean(), .C = group.flops});
    if (entry.points.size() >= 3) entry.minimum = scaling::isoflop_minimum(entry.points);
    minima.push_back(std::move(entry));
  }
  return minima;
}

std::vector<evidence::NoiseFloor> noise_floors(const ledger::Ledger& ledger) {
  std::vector<evidence::NoiseFloor> floors;
  for (const auto& [rung, sizes] : group_runs(ledger)) {
    std::vector<std::vector<double>> groups;
    for (const auto& [key, group] : sizes) groups.push_back(group.losses);
    evidence::NoiseFloor floor = evidence::noise_floor(rung, groups);
    if (floor.replicates > 0) floors.push_back(floor);
  }
  return floors;
}

std::optional<ledger::RunRow> best_run(const ledger::Ledger& ledger) {
  std::optional<ledger::RunRow> best;
  for (const ledger::RunRow& row : ladder_runs(ledger)) {
    if (!best || row.rung_flops > best->rung_flops ||
        (row.rung_flops == best->rung_flops && *row.bits_per_byte < *best->bits_per_byte))
      best = row;
  }
  return best;
}

std::optional<ledger::EvaluationRecord> final_evaluation(const ledger::Ledger& ledger, protocol::Split split) {
  for (const auto& [sequence, time, evaluation] : ledger.all<ledger::EvaluationRecord>()) {
    const auto run = ledger.run(evaluation.run);
    if (evaluation.split == split && (!run || run->stage != protocol::Stage::kGain)) return evaluation;
  }
  return std::nullopt;
}

ledger::FitRecord fit_record(const std::string& name, const scaling::Fit& fit,
                             const std::vector<scaling::Point>& points) {
  ledger::FitRecord record{.name = name,
                           .form = fit.law.form,
                           .parameters = fit.law.parameters,
                           .interval95 = fit.interval95,
                           .objective = fit.law.objective,
                           .residual_sd = fit.law.residual_sd,
                           .identified = fit.identified,
                           .warnings = fit.warnings,
                           .error_inflation = fit.error_inflation,
                           .data = {},
                           .backtest = {},
                           .frontier = {}};
  for (const scaling::Point& p : points) record.data.push_back({p.N, p.D, p.L, p.C});
  return record;
}

ledger::RecipeRecord recipe_record(const workload::Workload& workload, const workload::Configuration& configuration) {
  return {.hash = configuration.identity(), .configuration = canonical_json(workload.to_json(configuration))};
}

}  // namespace flywheel::campaign
