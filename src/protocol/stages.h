// Stages of a campaign, as the ledger and the reports name them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "protocol/names.h"

namespace flywheel::protocol {

enum class Stage {
  kCalibrate,  // times the machine
  kTune,       // learning rates on the lowest rung
  kTransfer,   // the tuned learning rate one rung up
  kBase,       // the search's own base
  kScreen,     // first look at a proposal
  kConfirm,    // runs of a proposal, and of the base, on two rungs
  kAblate,     // an adoption left out again
  kEndure,     // many short runs of the recipe found, to see whether some are ruined
  kGain,       // everything adopted beside the recipe of the start
  kLadder,
  kNoise,      // replicates that measure the noise floor
  kTop,        // the rung that is forecast before it is run
  kReplicate,  // further seeds of ladder runs, in time that is left
  kCompare,    // pairs of `flywheel compare`
};

inline constexpr Named<Stage> kStageNames[] = {
    {Stage::kCalibrate, "calibrate"}, {Stage::kTune, "tune"},      {Stage::kTransfer, "transfer"},
    {Stage::kBase, "base"},           {Stage::kScreen, "screen"},  {Stage::kConfirm, "confirm"},
    {Stage::kAblate, "ablate"},       {Stage::kEndure, "endure"},  {Stage::kGain, "gain"},
    {Stage::kLadder, "ladder"},       {Stage::kNoise, "noise"},    {Stage::kTop, "top"},
    {Stage::kReplicate, "replicate"}, {Stage::kCompare, "compare"}};
constexpr std::span<const Named<Stage>> names(Stage) {
  return kStageNames;
}

// The stage of a run in a ledger. Another version of the program may know other stages: their text is kept, shown and
// never equal to a stage of ours.
class StageName {
 public:
  StageName() = default;                          // no stage: empty text
  StageName(Stage stage) : text_(name(stage)) {}  // NOLINT(google-explicit-constructor): a stage is its name
  explicit StageName(std::string_view text) : text_(text) {}

  const std::string& text() const { return text_; }
  std::optional<Stage> stage() const { return find_name<Stage>(text_); }
  bool operator==(Stage stage) const { return text_ == name(stage); }
  bool operator==(const StageName& other) const = default;
  bool operator==(std::string_view text) const { return text_ == text; }

 private:
  std::string text_;
};

}  // namespace flywheel::protocol
