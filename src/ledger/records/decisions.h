// Decisions of a campaign ("plan" records), which a restart takes over unchanged. The key is the stage text; repeated
// decisions carry their number in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace flywheel::ledger {

// "calibrate"
struct CalibrateDecision {
  std::vector<double> parameters{};
  double flops = 0;  // of each run
};

// What a ladder is planned to be; fields of two decisions.
struct LadderFields {
  std::vector<double> rungs{};  // training FLOPs, lowest first
  int tune_runs = 0, transfer_runs = 0, noise_runs = 0;
  int lowest_sizes = 0, middle_sizes = 0, top_sizes = 0;
  double expected_wall_seconds = 0, expected_flops = 0;
  std::vector<std::string> limits{};  // what the budget or the corpus did not allow, in words
};
// "ladder"
struct LadderDecision {
  LadderFields plan{};
  // Kept for the last evaluations and the report; and the tokens that each of these scores.
  double final_seconds = 0;
  std::optional<double> final_flops{};
  std::optional<int64_t> final_tokens{};
};
// "ladder after the search"
struct SecondLadderDecision {
  LadderFields plan{};
};

// "sweep on rung N": whether the rates are swept on the rung above, since no run on this one learnt anything of context
struct SweepRungDecision {
  int number = 0;
  bool go_up = false;
};

// "learning_rate"
struct LearningRateDecision {
  double multiplier = 1, lowest_rung_multiplier = 1;
  bool transfers = false;
  std::string words{};
  double noise_sd = 0, learning_rate = 0;
  // The loss on the search split of a model without context, where it is known, and the lowest rung on which a run was
  // below it; none: the rates are those of the configuration, since no run was.
  std::optional<double> context_free{}, learns_from_flops{};
};

// "search"
struct SearchDecision {
  double screen_flops = 0;
  std::vector<double> confirm_flops{};
  bool enough = false;
  std::vector<std::string> limits{};
  // What the searches of earlier labs screened, as it was when this search began: shares of the loss, their variances.
  std::optional<std::vector<double>> earlier{}, earlier_variances{};
  std::optional<int64_t> endurance{};  // runs of the recipe found; none: by a version that always made 60
};

// "search round N" and "ablation round N"
// `before_ladder`: of what is left, that can be spent before no ladder that supports a forecast is affordable.
struct SearchRoundDecision {
  int number = 0;
  bool go_on = false;
  double flops_left = 0;
  std::optional<double> before_ladder{};
};
struct AblationRoundDecision {
  int number = 0;
  bool go_on = false;
  double flops_left = 0;
  std::optional<double> before_ladder{};
};

// "time of pN": seconds of its runs over those of the base, with the ends of its 90% interval
struct TimeDecision {
  int number = 0;
  double ratio = 1;
  std::optional<double> low{}, high{};  // not there: not recorded, as if it were exact
};

// "adopted pN": a proposal that passed its test and is part of the base from then on. It becomes a finding when the
// search ends, unless leaving it out or an endurance run speaks against it.
struct AdoptionDecision {
  int number = 0;
  std::string label{};
  std::vector<std::string> patches{};
  double difference = 0, low = 0, high = 0;  // bits per byte, 90%
  int64_t runs = 0;                          // of its confirmation
};

// "rung N"
struct RungDecision {
  int number = 0;
  double centre = 0;
  bool climb = false;
  std::optional<std::vector<double>> sizes{};  // parameters; where it climbs
  bool bracket = false;                        // sizes are added until its minimum lies between them
  std::optional<std::vector<std::string>> limits{};
};

// "bracket N": whether the minimum of a rung lies between its sizes, and the sizes to add where it does not.
struct BracketDecision {
  int number = 0;
  bool inner = false;
  std::optional<std::vector<double>> sizes{};  // parameters; none: nothing to add
  std::string why{};                           // it stays without a minimum, in words
};

// "ladder after rung N": rungs that are left out so that the next one has its minimum between its sizes
struct MoveDecision {
  int number = 0;
  std::vector<double> rungs{};
  std::string why{};
};

// "top"
struct TopDecision {
  double flops = 0, centre = 0;
};

// "top after extension N": whether a longer budget reaches a further rung, and which
struct FurtherTopDecision {
  int number = 0;
  bool climb = false;
  double flops = 0, centre = 0;
};

// "compare"
struct CompareDecision {
  std::vector<double> rungs{};
};

}  // namespace flywheel::ledger
