// The search loop, shared by campaigns, replays of tables and simulations, so that measured search costs are those of
// campaigns. An ask-and-tell interface: next() returns the runs to make, tell() takes their results. It starts nothing
// and knows no ledger, clock or scheduler. Deterministic: a search that was killed is restored by asking and telling
// again. Not thread safe.
//
// Proposals come from the proposal desk (proposal_desk.h). Under the rules of campaigns a statistical policy decides
// what is screened, confirmed and adopted (evidence/search_policy.h). Under the plain rules every proposal runs once
// and its loss is taken at face value. Runs whose curve predicts that they cannot win give up half way
// (evidence/curve_stopping.h); they are resumed when later curves no longer predict so, or on resume().
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "evidence/curve_stopping.h"
#include "evidence/paired_runs.h"
#include "evidence/search_policy.h"
#include "protocol/stages.h"
#include "search/proposal_desk.h"
#include "search/search_rules.h"

namespace flywheel::search {

using protocol::Stage;
// Of its run, or the candidate's of two; of the base with what was adopted before it.
std::string id_of(const evidence::SearchRun& run, int adoptions);

// Replicate numbers from here on belong to confirmations, 1,000 per proposal; the base's, after each adoption, come
// after those of all proposals.
inline constexpr char kHasIt[] = "the base of now has it already";
inline constexpr int kConfirmSeeds = 10000, kPoolSeeds = 100000000;

// A run that the search asks for.
struct WantedRun {
  std::string id;  // "screen-p3-0"; unique in the search
  Stage stage = Stage::kScreen;
  workload::ConfigurationPtr configuration;
  int proposal = -1;  // none: the base
  double flops = 0;
  int replicate = 0;                                 // runs of one number share seed and order of data
  protocol::Split split = protocol::Split::kSearch;  // that it is evaluated on
  double look_at = 0;                // fraction of its steps at which its curve is judged; 0: at its end only
  std::optional<double> stop_above;  // it gives up when its loss there is above this
  bool resume = false;               // continues to its end although it gave up before
};

// The result of a run that was asked for.
struct RunResult {
  std::string id;
  enum class State { kDone, kFailed, kGaveUp, kMissing } state = State::kDone;  // kMissing: the budget ended before it
  double loss = 0;                                                              // at its end, or where it gave up
  std::string reason;                                                           // of kFailed
  bool machine = false;                                                         // of kFailed: not the recipe's fault
  double flops = 0;                                                             // as planned, optimizer included
  double done_flops = 0;                                                        // of kGaveUp: trained with until then
  double spent_flops = 0;                                                       // of all its attempts so far
  double seconds = 0;
  evidence::Curve curve;  // of kDone, from look_at to its end, where it was looked at
};

struct LoopOptions {
  SearchRules rules = plain_rules();
  DeskOptions desk;
  int slots = 1;                      // runs of a batch; under the plain rules, runs in flight
  std::vector<double> confirm_flops;  // FLOPs of confirmation runs, ascending, one per rung of the rules
  int max_trials = 0;                 // plain rules; 0: no limit
  double max_flops = 0;               // plain rules: limit on the FLOPs of all runs asked for; 0: none
  // For a time budget: the ratio of a proposal's run time to the base's that the adoption rule uses, given the measured
  // one (a campaign returns the recorded ratio). Empty where the budget is FLOPs.
  std::function<std::optional<evidence::Interval>(int proposal, const evidence::Interval& measured)> time_ratio;
  // The sampling error over documents of the mean of the candidate's runs less that of the base's; empty: not known.
  // The same for the same finished runs, however often it is asked.
  std::function<std::optional<ClusterError>(const std::vector<std::string>& base,
                                            const std::vector<std::string>& candidate)>
      sampling_error = [](const auto&, const auto&) { return std::nullopt; };
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

// A proposal and its state in the search.
struct Proposed {
  std::string proposer, label;
  std::vector<std::string> patches;  // relative to the base at the time it was proposed, or adopted
  std::string identity;              // of the base that contains it, once adopted
  double cost_flops = 0;
  std::vector<std::string> runs;
  std::vector<evidence::RungPairs> confirm;                          // of each rung, once it is judged
  std::vector<std::vector<std::string>> confirm_runs, confirm_base;  // finished ones of each rung, and the pool's
  workload::ConfigurationPtr own;                                    // the base of its test with it, once adopted
  struct Finished {
    std::string id;
    double loss = 0, flops = 0, seconds = 0;
  };
  std::vector<std::vector<Finished>> finished;  // runs of its confirmation, by rung, beside one base:
  int finished_beside = 0;                      // the one after so many adoptions
  std::optional<evidence::Interval> time;       // the recorded ratio of run times by which it was judged
};

// What a proposal's confirmation says, by which it is adopted and which is reported.
struct ConfirmedEffect {
  evidence::PairedEffect effect;
  // At kWorthLevel, over seeds, and over documents where that error is known; shrunken as ReportedEffect says.
  evidence::Interval difference;
  std::optional<ClusterError> sampling;
};

class SearchLoop {
 public:
  // Throws kBadInput for an unknown proposer or a list that is no TOML. The subject must outlive the loop.
  SearchLoop(Subject& subject, LoopOptions options);
  SearchLoop(const SearchLoop&) = delete;  // the policy refers to it
  SearchLoop& operator=(const SearchLoop&) = delete;

  // The next runs to make. Empty while results are outstanding, and when the search is over. The base's own runs come
  // before the first proposals and after each adoption.
  std::vector<WantedRun> next();
  // Results of runs that next() returned. Under the rules of campaigns the whole batch must be given, in any order,
  // before next() is called again.
  void tell(const std::vector<RunResult>& results);

  bool wants_base() const { return phase_ == Phase::kBase; }
  bool base_measured() const { return base_loss_.has_value(); }
  // Ends the search; open proposals become undecided with this reason.
  void close(const std::string& reason);
  // After the search: starts the leave-one-out ablation of the adopted changes. False when there are fewer than two.
  bool leave_one_out();
  // After that: starts the runs that show whether the recipe found is ruined now and then. False when nothing was
  // adopted, or its base was not measured.
  bool endure();
  // Has next() return the proposal's run that gave up, to be resumed. False when there is none or the budget is too
  // small for the rest of it.
  bool resume(int proposal);
  // The FLOPs left, of which the search may spend `for_search`, and from which the opportunity cost of a search FLOP
  // follows: what it would gain on the ladder's top rung, where the usual slope of the loss holds.
  void set_flops_left(double flops, double for_search);

  const workload::ConfigurationPtr& base() const { return base_; }
  const workload::ConfigurationPtr& start() const { return start_; }
  const std::vector<Proposed>& proposals() const { return proposals_; }
  const evidence::SearchPolicy& policy() const { return policy_; }
  const std::vector<Trial>& trials() const { return desk_.trials(); }
  const Trial* incumbent() const { return desk_.incumbent(); }
  const std::vector<ProposerAccount>& accounts() const { return desk_.accounts(); }
  double spent_flops() const { return spent_flops_; }
  double noise_sd() const { return noise_sd_; }
  std::optional<double> base_loss() const { return base_loss_; }      // of the base of now; empty: not measured
  ConfirmedEffect confirmed(int proposal) const;                      // REQUIRES that it was confirmed
  const std::vector<int>& adopted() const { return adopted_order_; }  // proposals, those dropped again too
  int stopped() const { return stopped_; }
  double saved_flops() const { return saved_flops_; }

 private:
  enum class Phase { kBase, kSearch, kAblation, kEndurance, kOver };
  struct Asked {
    WantedRun run;
    evidence::SearchRun run_of;
    double mark = 0;  // the loss to beat; differences are relative to it
  };
  // A screening run that gave up, until it is resumed.
  struct GivenUp {
    Asked asked;
    int adoptions = 0;  // before it
    double loss = 0, flops = 0, done_flops = 0;
  };

  std::vector<WantedRun> base_runs();
  std::vector<WantedRun> batch();
  evidence::SearchPolicy::Action decide();
  bool propose();
  void want(const evidence::SearchRun& run, std::vector<WantedRun>& runs);
  std::vector<Asked> runs_of(const evidence::SearchRun& run);
  workload::ConfigurationPtr configuration_of(const evidence::SearchRun& run) const;
  WantedRun wanted(const std::string& id, Stage stage, workload::ConfigurationPtr configuration, double flops,
                   int replicate) const;
  std::vector<int> to_resume() const;
  bool may_go_on(const GivenUp& given_up) const;
  void want_resumed(int proposal, std::vector<WantedRun>& runs);

  void digest();
  void take_base();
  void take(const evidence::SearchRun& run);
  void take_confirmed(const Asked& asked, const RunResult& result);
  void take_ablated(const Asked& asked, const RunResult& result);
  void adopt_found();
  void take_screening(const Asked& asked, const RunResult& result);
  void take_plain(const Asked& asked, const RunResult& result);
  void take_given_up(const Asked& asked, const RunResult& result);
  void take_resumed(int proposal);
  void forget_stop(int proposal);
  void learn_curve(const RunResult& result, double flops);
  void adopt(int proposal);
  void end_what_the_base_has();
  void drop_ablated();
  void compare_with_pool(int proposal);
  bool fits(int proposal, const std::vector<int>& with) const;
  std::optional<evidence::PolicyOptions::Objection> objection(int proposal);
  workload::ConfigurationPtr without(int proposal) const;
  std::vector<std::string> own_patches(const std::vector<std::string>& patches,
                                       const workload::Configuration& result) const;
  double flops_of(const evidence::SearchRun& run) const;
  double mark(double flops) const;
  bool affordable(double flops) const;
  double most_affordable() const;
  double charge(const RunResult& result);  // returns the FLOPs spent since the last call for this run

  Subject& subject_;
  LoopOptions options_;
  const SearchRules& rules_;
  workload::ConfigurationPtr start_, base_;
  ProposalDesk desk_;
  evidence::SearchPolicy policy_;
  Phase phase_ = Phase::kBase;
  std::vector<Proposed> proposals_;
  std::map<std::string, Asked> asked_;        // in flight
  std::map<std::string, RunResult> results_;  // results of the batch, until it is complete
  std::deque<evidence::SearchRun> batch_;     // in the order in which it is taken
  std::vector<int> resumed_;                  // of the batch
  int adoptions_before_ = 0;                  // this batch
  int fresh_ = -1;                            // plain rules: proposed, and not yet wanted
  std::vector<std::string> base_ids_;
  using PoolRun = Proposed::Finished;
  std::vector<std::vector<PoolRun>> pool_;  // finished runs of this base, by rung
  workload::ConfigurationPtr tested_base_;  // that of the batch that is adopted
  std::map<int, GivenUp> given_up_;
  std::set<int> must_resume_;
  std::set<int> dropped_;
  std::vector<int> adopted_order_;
  std::map<std::string, int> proposed_;                    // identity, proposal
  std::map<std::tuple<int, int, double>, int> trained_;    // adoptions, number and loss of a screening, proposal
  std::map<double, std::vector<evidence::Curve>> curves_;  // of finished screening runs of this base, by FLOPs
  std::map<std::string, double> spent_;                    // of each run
  std::optional<double> base_loss_;
  double noise_sd_ = 0, spent_flops_ = 0, saved_flops_ = 0;
  int stopped_ = 0;
};

}  // namespace flywheel::search
