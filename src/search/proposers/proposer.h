// Proposers suggest what to try next: their interface and the table of them (proposers.cc). A proposer sees a space and
// the trials so far, returns a point of the space, and is charged the FLOPs of the runs it asked for (team.h).
// docs/how-to-add-a-proposer.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evidence/curve_stopping.h"
#include "workload/space.h"

namespace flywheel::search {

// kStopped: ended early because its curve could not win; it may be continued (curve_stopping.h).
enum class TrialState { kPending, kDone, kFailed, kStopped };

struct Trial {
  uint64_t id = 0;
  std::string proposer;
  std::string label;                 // the user's name for it (list); may be empty
  bool whole = false;                // as in Proposal
  workload::Values values;           // canonical; the point that was run, where the proposed one was not available
  std::vector<std::string> patches;  // "field=value"
  std::string identity;              // SearchSpace::identity
  TrialState state = TrialState::kPending;
  double rung_flops = 0;  // of the run; 0: FLOPs are not known
  double loss = 0;        // lower is better, one unit everywhere; of kDone, and of kStopped the predicted end
  double loss_sd = 0;     // of a predicted end; 0: measured
  std::vector<evidence::CurveSample> curve;
  std::string failure;    // of kFailed
  double cost_flops = 0;  // charged so far
  std::optional<double> predicted_gain;
  double gain = 0;  // by how much it lowered the best loss of its rung when it ended
};

// Everything a proposer may know when it is asked. Views: valid during the call.
struct SearchView {
  const workload::SearchSpace& space;
  std::span<const Trial> trials;       // in the order of their start; pending ones are the other slots
  const Trial* incumbent = nullptr;    // lowest loss at the highest rung measured so far; null: none yet
  std::span<const double> rung_flops;  // what a run may cost, ascending; one entry: no choice
  double target_flops = 0;             // the scale where the gain counts
  double noise_sd = 0;                 // of a loss between seeds; 0: unknown
  // Identities that must not be tried (again): everything started, known findings and known failures.
  const std::set<std::string, std::less<>>* taken = nullptr;
  std::span<const Trial> bases = {};  // measured, but proposed by nobody: the bases of the search so far
  // Of each trial that has a loss, that loss as a surrogate of all of them sees it, in any unit; NaN: it has none;
  // empty: nobody was asked.
  std::span<const double> believed = {};

  bool is_taken(std::string_view identity) const { return taken != nullptr && taken->find(identity) != taken->end(); }
};

struct Proposal {
  workload::Values values;  // canonical
  double rung_flops = 0;
  std::optional<double> predicted_gain;  // at target_flops, in the unit of losses
  std::string id;                        // the user's name for it (list); may be empty
  std::string failure;                   // not empty: it cannot be run, for this reason; the loop records it as failed
  bool whole = false;                    // a configuration that was made as one, and no change of the base
};

// Keeps what it has learnt between calls; one proposer serves one search. Not thread safe; deterministic for its seed.
class Proposer {
 public:
  virtual ~Proposer() = default;
  virtual std::string_view name() const = 0;
  // Empty: nothing more to propose. Otherwise not taken where that can be had in a few draws; the loop refuses repeats.
  virtual std::optional<Proposal> propose(const SearchView& view, Rng& rng) = 0;
  // Points for a team to choose from by expected gain (team.h): at most `count` draws of propose(), if not said
  // otherwise.
  virtual std::vector<workload::Values> candidates(const SearchView& view, size_t count, Rng& rng);
  // Every trial that ended, once, whoever proposed it.
  virtual void observe(const SearchView& view, const Trial& trial) {}
};

// What was learnt before this search started: centre and shape of the loss over the numeric fields, in units
// (SearchField::unit). landscape.h learns one from finished searches at other scales.
struct LandscapePrior {
  std::vector<double> centre;     // one per field; NaN for categorical ones
  std::vector<double> centre_sd;  // how far the best point lies from it
  std::vector<double> curvature;  // ln loss above the best is about sum of curvature * (unit - centre)^2
};

struct ProposerOptions {
  std::string list;         // text of the TOML file of `list`
  std::string list_source;  // its name in messages
  // A whole configuration that `list` proposes first, as patches on the base; none: there is none to propose.
  std::vector<std::string> whole;
  std::string whole_label;
  std::optional<LandscapePrior> prior;
};

// One row per proposer: to add one, write its file and its row.
struct ProposerRow {
  std::string_view name;
  const char* help;
  std::unique_ptr<Proposer> (*make)(const workload::SearchSpace& space, const ProposerOptions& options);
  // In a team (team.h).
  double share = 1;        // how often it is drawn in large spaces
  int candidates = 1;      // draws among which its best is chosen
  bool sees_best = false;  // its candidates say what a proposal could gain, whoever was drawn
};
std::span<const ProposerRow> proposer_table();
// Throws kBadInput naming the known ones.
const ProposerRow& proposer_row(std::string_view name);
std::unique_ptr<Proposer> make_proposer(std::string_view name, const workload::SearchSpace& space,
                                        const ProposerOptions& options = {});

// Throws kBadInput where the text is no list of changes, or where `check_patch` (may be empty) throws it for a patch:
// what a reader can see to be wrong before anything runs. What only the search can know is told by the proposal.
void check_list(const std::string& text, const std::string& source,
                const std::function<void(const std::string& patch)>& check_patch);
// The patches that the text of a list mentions, so that a space can be made to express them.
std::vector<std::string> patches_in_list(const std::string& text);

// The trials that ended with the lowest losses, at most `count`, best first: by what is believed where that is known.
std::vector<const Trial*> best_trials(const SearchView& view, size_t count);

// Up to `draws` points of `draw`, the first that is valid and not taken; empty when there was none.
template <typename Draw>
std::optional<workload::Values> first_free(const SearchView& view, int draws, Draw&& draw) {
  for (int i = 0; i < draws; ++i) {
    workload::Values values = draw();
    if (view.space.refusal(values).empty() && !view.is_taken(view.space.identity(values))) return values;
  }
  return std::nullopt;
}
// Whether runs lie so far apart that a surrogate says little beyond the best of them.
bool has_many_fields(const workload::SearchSpace& space);
// Whether a search can afford to predict every point of the space at every step.
bool has_few_points(const workload::SearchSpace& space);
// The same as first_free() with uniform draws from the whole space; small finite spaces are enumerated when no draw
// succeeds.
std::optional<workload::Values> free_sample(const SearchView& view, Rng& rng);

}  // namespace flywheel::search
