// What the lab concludes, as the ledger, the commands' JSON and the pages name it.
#pragma once

#include <span>

#include "protocol/names.h"

namespace flywheel::protocol {

// Of a proposal. kRejected and kUndecided: by confirmation pairs. kNotTested: screened at most. kDropped: adopted, and
// left out again by the ablation.
enum class Outcome { kOpen, kAdopted, kRejected, kUndecided, kNotTested, kFailed, kDropped };
inline constexpr Named<Outcome> kOutcomeNames[] = {
    {Outcome::kOpen, "open"},           {Outcome::kAdopted, "adopted"},      {Outcome::kRejected, "rejected"},
    {Outcome::kUndecided, "undecided"}, {Outcome::kNotTested, "not tested"}, {Outcome::kFailed, "failed"},
    {Outcome::kDropped, "dropped"}};
constexpr std::span<const Named<Outcome>> names(Outcome) {
  return kOutcomeNames;
}

// Of `flywheel compare`, about the second recipe. kNoDifference: none that is as large as the smallest effect of
// interest.
enum class ComparisonVerdict { kUndecided, kBetter, kWorse, kNoDifference };
inline constexpr Named<ComparisonVerdict> kComparisonVerdictNames[] = {
    {ComparisonVerdict::kUndecided, "undecided"},
    {ComparisonVerdict::kBetter, "better"},
    {ComparisonVerdict::kWorse, "worse"},
    {ComparisonVerdict::kNoDifference, "no difference"}};
constexpr std::span<const Named<ComparisonVerdict>> names(ComparisonVerdict) {
  return kComparisonVerdictNames;
}

// Whether returns of compute diminish beyond what the law says.
enum class WallVerdict { kNoneSeen, kWall, kCannotTell };
inline constexpr Named<WallVerdict> kWallVerdictNames[] = {
    {WallVerdict::kNoneSeen, "none seen"}, {WallVerdict::kWall, "wall"}, {WallVerdict::kCannotTell, "cannot tell"}};
constexpr std::span<const Named<WallVerdict>> names(WallVerdict) {
  return kWallVerdictNames;
}

}  // namespace flywheel::protocol
