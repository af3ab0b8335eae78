// What the analysis takes from the ledger's runs: points for the law, isoFLOP minima, noise floors, the best run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "campaign/ladder_points.h"
#include "evidence/noise.h"
#include "ledger/ledger.h"
#include "scaling/laws/law.h"
#include "workload/workload.h"

namespace flywheel::campaign {

// True for runs of the tuned recipe on a rung: stages ladder, top, noise, replicate.
bool on_the_ladder(const ledger::RunRow& row);

// The finished ones. Throws kFailed where they were not all scored on the same text.
std::vector<ledger::RunRow> finished_rows(const ledger::Ledger& ledger);

// By rung and size, smallest first, below `below_flops`.
std::vector<LadderPoint> ladder_runs(const ledger::Ledger& ledger, double below_flops);
// Their means.
std::vector<scaling::Point> ladder_points(const ledger::Ledger& ledger, double below_flops);

std::vector<RungMinimum> rung_minima(const ledger::Ledger& ledger);

std::vector<evidence::NoiseFloor> noise_floors(const ledger::Ledger& ledger);

// The lowest loss on the search split among the runs of the highest rung that has any.
std::optional<ledger::RunRow> best_run(const ledger::Ledger& ledger);

// The best model's evaluation on a split, once made. Evaluations of adopted changes (stages/gain.cc) are left out.
// The finished runs of the ladder, the best one first: of the highest rung, and there of the least loss.
std::vector<ledger::RunRow> runs_by_merit(const ledger::Ledger& ledger);
std::optional<ledger::EvaluationRecord> final_evaluation(const ledger::Ledger& ledger, protocol::Split split);

ledger::FitRecord fit_record(const std::string& name, const scaling::Fit& fit,
                             const std::vector<scaling::Point>& points);
// The record of a configuration that the campaign continues with.
ledger::RecipeRecord recipe_record(const workload::Workload& workload, const workload::Configuration& configuration);

}  // namespace flywheel::campaign
