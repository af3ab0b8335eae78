#include "campaign/points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/statistics.h"
#include "evidence/same_text.h"
#include "scaling/allocation/isoflop_akima.h"

namespace flywheel::campaign {
namespace {

constexpr double kUsualNoise = 0.005;  // of log loss, where a ladder has no replicates

// rung -> parameters -> finished runs. A branched run's tokens may differ from a full one's by half a batch.
using Groups = std::map<double, std::map<double, LadderPoint>>;

Groups group_runs(const ledger::Ledger& ledger) {
  Groups groups;
  for (const ledger::RunRow& row : finished_rows(ledger)) {
    const auto planned = ledger.at<ledger::RunPlanned>(row.record);
    const bool branched = planned && planned->value.branch.has_value();
    LadderPoint& group = groups[row.rung_flops][row.parameters];
    group.rung_flops = row.rung_flops;
    group.losses.push_back(*row.bits_per_byte * (branched ? std::exp(kBranchedBelowFull) : 1));
    const auto n = static_cast<double>(group.losses.size());
    scaling::Point& point = group.mean;
    point.N = row.parameters;
    point.D += (row.tokens - point.D) / n;
    point.C += (row.flops - point.C) / n;
    point.L += (group.losses.back() - point.L) / n;
  }
  return groups;
}

// Of log loss between seeds, at each rung: pooled over its replicates, or those of the nearest rung that has some.
std::map<double, double> noise_by_rung(const Groups& groups) {
  std::map<double, double> measured, noise;
  for (const auto& [rung, sizes] : groups) {
    std::vector<std::vector<double>> logs;
    for (const auto& [size, group] : sizes) {
      logs.emplace_back();
      for (const double loss : group.losses) logs.back().push_back(std::log(loss));
    }
    const evidence::NoiseFloor floor = evidence::noise_floor(rung, logs);
    if (floor.replicates > 0) measured[rung] = floor.bits_per_byte_sd;
  }
  for (const auto& [rung, sizes] : groups) {
    noise[rung] = kUsualNoise;
    double nearest = INFINITY;
    for (const auto& [other, sd] : measured)
      if (const double distance = std::abs(std::log(other / rung)); distance < nearest)
        nearest = distance, noise[rung] = sd;
  }
  return noise;
}

}  // namespace

bool on_the_ladder(const ledger::RunRow& row) {
  using protocol::Stage;
  return row.stage == Stage::kLadder || row.stage == Stage::kTop || row.stage == Stage::kNoise ||
         row.stage == Stage::kReplicate;
}

std::vector<ledger::RunRow> finished_rows(const ledger::Ledger& ledger) {
  std::vector<ledger::RunRow> runs;
  for (const ledger::RunRow& row : ledger.runs()) {
    if (row.state != protocol::RunState::kDone || !row.bits_per_byte || !on_the_ladder(row)) continue;
    runs.push_back(row);
    evidence::check_same_text(runs.front(), row);
  }
  return runs;
}

std::vector<LadderPoint> ladder_runs(const ledger::Ledger& ledger, double below_flops) {
  std::vector<LadderPoint> points;
  for (auto& [rung, sizes] : group_runs(ledger)) {
    if (rung >= below_flops) continue;
    for (auto& [size, group] : sizes) points.push_back(group);
  }
  return points;
}

std::vector<scaling::Point> ladder_points(const ledger::Ledger& ledger, double below_flops) {
  std::vector<scaling::Point> points;
  for (const LadderPoint& point : ladder_runs(ledger, below_flops)) points.push_back(point.mean);
  return points;
}

double RungMinimum::loss_at(double parameters) const {
  return scaling::akima_loss(points, parameters);
}

std::vector<RungMinimum> rung_minima(const ledger::Ledger& ledger) {
  std::vector<RungMinimum> minima;
  const Groups groups = group_runs(ledger);
  std::map<double, double> noise = noise_by_rung(groups);
  for (const auto& [rung, sizes] : groups) {
    RungMinimum entry;
    entry.rung_flops = rung;
    for (const auto& [key, group] : sizes) {
      entry.points.push_back(group.mean);
      if (entry.N == 0 || group.mean.L < entry.L) entry.N = group.mean.N, entry.L = group.mean.L;
    }
    const bool at_edge = entry.N == entry.points.front().N || entry.N == entry.points.back().N;
    const scaling::AkimaMinimum minimum =
        at_edge ? scaling::AkimaMinimum{} : scaling::akima_minimum(entry.points, {.noise_sd = noise[rung] * entry.L});
    if (minimum.N > 0) {
      entry.is_inner = true;
      entry.N = minimum.N;
      entry.L = entry.loss_at(minimum.N);
      entry.N_low = minimum.N * std::exp(-kNormal90 * minimum.ln_sd);
      entry.N_high = minimum.N * std::exp(kNormal90 * minimum.ln_sd);
    }
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
  for (const ledger::RunRow& row : finished_rows(ledger)) {
    if (!best || row.rung_flops > best->rung_flops ||
        (row.rung_flops == best->rung_flops && *row.bits_per_byte < *best->bits_per_byte))
      best = row;
  }
  return best;
}

std::vector<ledger::RunRow> runs_by_merit(const ledger::Ledger& ledger) {
  std::vector<ledger::RunRow> rows = finished_rows(ledger);
  std::stable_sort(rows.begin(), rows.end(), [](const ledger::RunRow& a, const ledger::RunRow& b) {
    return a.rung_flops != b.rung_flops ? a.rung_flops > b.rung_flops : *a.bits_per_byte < *b.bits_per_byte;
  });
  return rows;
}

std::optional<ledger::EvaluationRecord> final_evaluation(const ledger::Ledger& ledger, protocol::Split split) {
  std::optional<ledger::EvaluationRecord> last;
  for (const auto& [sequence, time, evaluation] : ledger.all<ledger::EvaluationRecord>()) {
    const auto run = ledger.run(evaluation.run);
    if (evaluation.split == split && (!run || run->stage != protocol::Stage::kGain)) last = evaluation;
  }
  return last;
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
                           .data = {},
                           .backtest = {},
                           .frontier = {}};
  for (const auto& [parameter, why] : fit.not_identified) {
    record.parameters.erase(parameter);
    record.warnings.push_back(fmt::format("{} of the form {} is not identified: {}", parameter, fit.law.form, why));
  }
  for (const scaling::Point& p : points) record.data.push_back({p.N, p.D, p.L, p.C});
  return record;
}

ledger::RecipeRecord recipe_record(const workload::Workload& workload, const workload::Configuration& configuration) {
  return {.hash = configuration.identity(), .configuration = canonical_json(workload.to_json(configuration))};
}

}  // namespace flywheel::campaign
