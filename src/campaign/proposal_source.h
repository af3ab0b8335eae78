// Where a campaign's proposals come from: the proposers behind one bandit, over the space of recipes around the base
// that the search began with. Unlike the proposal loop it runs nothing: the tests of the lab decide what is run how
// often. Deterministic for its seed and what it is told. Not thread safe.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "search/proposers/team.h"
#include "workload/flywheel/recipe_space.h"

namespace flywheel::campaign {

struct SourceOptions {
  uint64_t seed = 1;
  std::vector<std::string> proposers = {"list", "local", "bayes"};
  std::string list, list_source;  // text and name of the list
  std::vector<double> rung_flops;
  double target_flops = 0;
  std::vector<std::string> known;  // recipe hashes that are not to be tried again
};

class ProposalSource {
 public:
  // Throws kBadInput for an unknown proposer or a list that is no TOML.
  ProposalSource(const recipe::Recipe& base, SourceOptions options);

  struct Asked {
    size_t trial = 0;  // for observe()
    std::string proposer, label;
    // On top of the recipe of now. A listed change is a change, whatever was adopted; the other proposers mean a point
    // of the space, and the patches lead there.
    std::vector<std::string> patches;
    std::string failure;  // not empty: it cannot be run
  };
  // Empty: nobody has anything more.
  std::optional<Asked> ask();
  // What its first run said at the lowest rung, beside the base's loss, and what that cost. Later calls for the same
  // trial are no news to proposers. `gain`: what of it is to be believed (the posterior's expectation), 0 or more.
  void observe(size_t trial, double loss, double base_loss, double gain, double cost_flops);
  // The same of a run that gave up: the end predicted from its curve, and the error of that.
  void stopped(size_t trial, double predicted, double sd, std::vector<evidence::CurvePoint> curve, double base_loss,
               double cost_flops);
  void failed(size_t trial, const std::string& reason, double cost_flops);
  // Proposers that search around the best of today now do so around this.
  void adopt(const recipe::Recipe& recipe, double loss);
  void set_noise_sd(double noise_sd) { noise_sd_ = noise_sd; }
  const std::vector<search::ProposerAccount>& accounts() const { return team_.accounts(); }

 private:
  search::SearchView view() const;
  // Null where it has ended: proposers hear of a trial once.
  search::Trial* pending(size_t trial);
  void end(search::Trial& trial, search::TrialState state, double cost_flops);
  void set_first_incumbent(double base_loss);  // the base, where nothing was adopted yet

  SourceOptions options_;
  workload::RecipeSpace space_;
  search::ProposerTeam team_;
  std::vector<search::Trial> trials_;
  std::vector<size_t> whose_;
  std::set<std::string, std::less<>> taken_;
  std::optional<search::Trial> incumbent_;
  recipe::Recipe now_;  // the base, or what it has become
  double noise_sd_ = 0;
};

}  // namespace flywheel::campaign
