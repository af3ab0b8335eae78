// The decision policy of a search: which proposal to run next, in which stage, and the outcome of each. Proposals are
// numbers and runs are measured differences; configurations, ledgers and clocks are unknown to it, so that campaigns,
// `flywheel replay --as-campaign` and `flywheel simulate search` decide by the same code. Deterministic: the same calls
// give the same answers. Not thread safe.
//
// Selection (screening, then more replicates) and confirmation never share runs. Selection may use any means, and uses
// a posterior of each proposal's effect (effect_prior.h). Confirmation is a sequential test of fresh pairs against the
// base of that moment (paired_evidence.h), at the level that discovery_level() gives, one proposal at a time.
// Guarantee: the false discovery rate over all findings of the campaign is at most alpha, and when no change has an
// effect, the probability of any finding is at most alpha. A finding is false when the change is no better than the
// base it was tested against. An adoption changes the base; later proposals are tested against the new one, so the
// guarantee holds across adoptions.
//
// Effects screened at a small scale need not hold at larger ones. By how much they shrink is estimated from the
// confirmations so far (a regression through 0 with prior slope 1), and proposals are ranked by the shrunken effect.
//
// The next FLOP goes where the expected net gain per FLOP is highest. Gains are counted in the FLOPs that would buy
// them elsewhere, and the expected net gain of each action (screen a new proposal, replicate, confirm) is found by
// looking one measurement ahead (knowledge gradient, Frazier, Powell and Dayanik 2009). When none is above 0 the search
// is over.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "evidence/effect_prior.h"
#include "evidence/paired_evidence.h"
#include "protocol/stages.h"
#include "protocol/verdicts.h"

namespace flywheel::evidence {

using protocol::Outcome;
using protocol::Stage;

// A measured difference. Screening: one run of the candidate against the mean of the base's screening runs, which all
// proposals share. Confirmation and ablation: two runs, candidate and base, of the same seed and data order, neither of
// which is ever used again.
struct SearchPair {
  int proposal = 0;
  Stage stage = Stage::kScreen;  // kScreen, kConfirm or kAblate
  int number = 0;                // from 0, of this proposal and stage
};

struct PolicyOptions {
  double alpha = 0.05;
  double noise_sd = 1;      // of one run, a guess; effects are counted in it
  int base_runs = 8;        // of the base where candidates are screened
  double screen_cost = 1;   // FLOPs of a candidate's run where it is screened
  double confirm_cost = 2;  // of a pair where it is confirmed
  double gain_flops = 200;  // that would buy a gain of one noise_sd elsewhere
  int parallel = 1;         // pairs of a confirmation in flight at most
  int most_screens = 10, most_confirmations = 60, most_ablations = 8;  // pairs of one proposal
  int fewest_confirmations = 0;  // pairs before a verdict, for more than one rung to be seen
  int rungs = 1;                 // pairs are of rungs in turn; adopted is only what helps, in the mean, on every one
  // The caller's last word on what the evidence suffices for: how it ends all the same, and why; empty: it is adopted.
  struct Objection {
    Outcome outcome = Outcome::kRejected;
    std::string reason;
  };
  std::function<std::optional<Objection>(int proposal)> objection = [](int) { return std::nullopt; };
};

// The options of campaigns, from which replays and simulations start.
PolicyOptions campaign_policy();

// The evidence about one proposal, and its outcome.
struct Standing {
  // Differences to one base, by number from screened_from, and that base's noise. The base is the present one, or an
  // earlier one when the proposal looked no better than no change.
  std::vector<double> screened;
  int screened_from = 0;
  double screen_noise_sd = 1;
  std::optional<SequentialTest> confirmed;  // once its confirmation began
  std::optional<SequentialTest> ablated;    // base less this change, minus base
  bool ablation_over = false;
  double level = 0;  // alpha of its test
  int test = 0;      // which one of the campaign, from 1
  int base = 0;      // adoptions before its confirmation
  Outcome outcome = Outcome::kOpen;
  std::string reason;
};

class SearchPolicy {
 public:
  explicit SearchPolicy(const PolicyOptions& options);

  struct Action {
    enum class Kind { kPropose, kRun, kWait, kDone } kind = Kind::kDone;
    SearchPair pair;  // kRun: in flight from now on
  };
  // kPropose: a fresh proposal has the highest expected net gain; answer with propose() or no_more_proposals(). kWait:
  // give results first.
  Action next();
  int propose();
  void no_more_proposals();
  // Of a pair that next() gave. A difference that is not finite counts as a failure.
  void result(const SearchPair& pair, double difference);
  // Replaces a predicted screening result by the measured one, after its run was resumed to its end.
  void revise(const SearchPair& pair, double difference);
  void failed(const SearchPair& pair, const std::string& reason);
  // Ends an open proposal for a reason outside its measurements: it cannot run, or it duplicates another.
  void end(int proposal, Outcome outcome, const std::string& reason);
  // Starts the leave-one-out ablation of the adopted changes (two or more), which next() then continues.
  void ablate();
  // Ends the search; open proposals become undecided.
  void close(const std::string& reason);
  void set_noise_sd(double noise_sd);  // a better estimate, as replicates arrive; tests that have begun keep theirs
  void set_costs(double screen_cost, double confirm_cost, double gain_flops);

  const std::vector<Standing>& standings() const { return standings_; }
  int tests() const { return tests_; }
  int adoptions() const { return adoptions_; }
  // From screening and confirmation, in bits per byte.
  double expected_gain(int proposal) const;
  // Expected number of further pairs until confirmation, at the estimated effect; infinite if that is not an
  // improvement.
  double pairs_to_go(int proposal) const;
  // Expected pairs of the next test for a gain given in noise floors; infinite when no number suffices.
  double pairs_for(double gain) const;
  // The gain, in noise floors, that this many pairs confirm on average; infinite for too few.
  double gain_for(double pairs) const;

 private:
  const EffectPosterior& posterior(int proposal) const;
  // After an adoption: proposals that looked promising against the old base are screened again.
  void screen_anew();
  // Variance of the mean of `screens` and `pairs` differences, in units of noise_sd squared. Pairing never counts as
  // increasing it.
  double mean_variance(double screens, double pairs) const;
  // `transfer`: the share of the posterior's effect that is expected at the confirmation's scale.
  double confirmation_pairs(const EffectPosterior& posterior, double log_e, double level, double transfer) const;
  double net_gain_of_confirming(const EffectPosterior& posterior, double level) const;
  double net_gain_of_screening(const EffectPosterior& posterior) const;
  // Cache of what next() needs of each proposal, valid until one of its inputs changes.
  struct Prospect {
    int evidence = -1, prior = -1;
    double level = 0;
    EffectPosterior posterior;
    double confirm = 0, pairs = 0, look = 0;  // expected net gains of confirming and screening; pairs of the former
  };
  const Prospect& prospect(int proposal);
  double level_of_next_test() const;
  std::optional<Action> continue_confirmation();
  std::optional<Action> continue_ablation();
  void learn();
  void judge_confirmation(int proposal);
  void judge_ablation(int proposal);

  PolicyOptions options_;
  EffectPrior prior_;
  double transfer_ = 1;
  int prior_version_ = 0, results_ = 0, learnt_at_ = 0;
  mutable std::vector<Prospect> prospects_;
  Prospect fresh_;
  std::vector<Standing> standings_;
  std::vector<std::vector<std::optional<double>>> arrived_;  // of confirmation or ablation, in the order of numbers
  std::vector<int> screens_in_flight_, screens_given_, pairs_given_;
  int confirming_ = -1, tests_ = 0, adoptions_ = 0;
  bool exhausted_ = false, closed_ = false, ablating_ = false;
};

}  // namespace flywheel::evidence
