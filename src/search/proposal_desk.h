// The bookkeeping of one search's proposers: trials so far, configurations already tried, the incumbent, and each
// proposer's cost and gain. It starts no runs and takes no decisions. Deterministic for its seed and the results that
// it is given. Not thread safe.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "search/proposers/team.h"
#include "search/subject.h"

namespace flywheel::search {

struct DeskOptions {
  uint64_t seed = 1;
  std::vector<std::string> proposers = {"bayes"};
  ProposerOptions proposer_options;
  std::vector<double> rung_flops;  // allowed FLOPs of a run, ascending; {0}: FLOPs are not known
  double target_flops = 0;         // the scale where the gain counts; 0: the highest rung
  double noise_sd = 0;             // of a loss; 0: unknown
  std::vector<std::string> known;  // identities that must not be proposed
  std::function<void(const Trial&)> on_end = [](const Trial&) {};  // after proposers have heard of a trial
};

class ProposalDesk {
 public:
  // Throws kBadInput for an unknown proposer or a list that is no TOML. The subject must outlive the desk.
  ProposalDesk(Subject& subject, DeskOptions options);

  // The index of a new trial; empty when no proposer has anything more. A trial that cannot be run is returned as
  // failed. It is on the rung that its proposer asked for if that costs at most `most_flops`, else on the lowest.
  std::optional<size_t> ask(double most_flops = 0);

  // The patches that lead from the configuration `now` to the trial. A change from a list is applied on top of whatever
  // was adopted; other proposers name a point of the space.
  std::vector<std::string> changes(size_t trial, const workload::Configuration& now) const;

  // Where in the space a change of a list lies, once it is applied to a base: what proposers learn from it.
  void place(size_t trial, const workload::Configuration& configuration);

  // The outcome of a trial. Proposers learn of it once; later calls are ignored. `cost_flops`: total of its runs so
  // far, of which the increase is charged to the proposer. `gain`: the estimated gain credited to it.
  void done(size_t trial, double loss, double gain, double cost_flops);
  // The same where a single loss is taken at face value: the incumbent is the lowest loss on the highest rung, and the
  // gain is how much it lowered the best loss of its rung.
  void done_and_believed(size_t trial, double loss, double cost_flops);
  // Its run gave up: the final loss predicted from its curve, and the standard deviation of that prediction.
  void stopped(size_t trial, double predicted, double sd, std::vector<evidence::CurveSample> curve, double cost_flops);
  void failed(size_t trial, const std::string& reason, double cost_flops);

  // A stopped run is resumed: the trial is pending again.
  void reopen(size_t trial) { trials_.at(trial).state = TrialState::kPending; }

  // The incumbent, around which proposers search: the base until something is adopted.
  void set_first_incumbent(double base_loss);
  void set_incumbent(const workload::Configuration& configuration, double loss);
  void take(const std::string& identity) { taken_.insert(identity); }
  void set_noise_sd(double noise_sd) { options_.noise_sd = noise_sd; }

  const std::vector<Trial>& trials() const { return trials_; }
  const Trial* incumbent() const { return incumbent_ ? &*incumbent_ : nullptr; }
  const std::vector<double>& rung_flops() const { return options_.rung_flops; }
  // The lowest accepted loss of a rung; infinite when there is none.
  double best_of_rung(double rung_flops) const;
  // Whether a list may name further changes.
  bool listed_left() const;
  const std::vector<ProposerAccount>& accounts() const { return team_.accounts(); }

 private:
  SearchView view() const;
  Trial* pending(size_t trial);  // null where it has ended
  void end(Trial& trial, TrialState state, double cost_flops);

  Subject& subject_;
  DeskOptions options_;
  ProposerTeam team_;
  std::vector<Trial> trials_;
  std::vector<size_t> whose_;  // the proposer of each trial
  std::set<std::string, std::less<>> taken_;
  std::optional<Trial> incumbent_;
  std::vector<Trial> bases_;
  std::map<double, double> best_of_rung_;
};

}  // namespace flywheel::search
