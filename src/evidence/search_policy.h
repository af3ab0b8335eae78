// The decisions of a search for better recipes: which proposal to run next, on which stage, and what became of each. It
// knows proposals by number, runs by what they measured, and nothing of recipes, ledgers or clocks, so the campaign,
// `flywheel compare` and `flywheel simulate search` make the same decisions. Deterministic: replaying the same calls
// gives the same answers. Not thread safe.
//
// Selection (screening, then more replicates) and confirmation never share runs. Selection may use any means, and uses
// a posterior of each proposal's effect (effect_prior.h). Confirmation is a sequential test of fresh pairs against the
// base of that moment (paired_evidence.h), at the level that discovery_level() gives, one proposal at a time. What is
// claimed: of all findings of the campaign, the expected share that is false is at most alpha, and when nothing is
// real, any finding at all has probability at most alpha. False: the change is no better than the base it was tested
// against. An adoption changes the base; the next proposal is tested against the new one, so the claim holds through
// it.
//
// What is screened on a small scale need not hold on the larger ones: by how much screened effects shrink until they
// are confirmed is learnt from the confirmations so far (a regression through 0, of slope 1 beforehand), and proposals
// are chosen by what is then left.
//
// Where the next FLOP goes is a question of what it brings: a gain has a worth in FLOPs, and each action (screen a new
// proposal, replicate, confirm) an expected net worth, found by looking one measurement ahead (knowledge gradient,
// Frazier, Powell and Dayanik 2009). The action with the highest net worth per FLOP is taken; when none is above 0 the
// search is over.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "evidence/effect_prior.h"
#include "evidence/paired_evidence.h"

namespace flywheel::evidence {

enum class SearchStage { kScreen, kConfirm, kAblate };
const char* name(SearchStage stage);  // "screen", ..

// A measured difference. Screening: one run of the candidate against the mean of the base's screening runs, which all
// proposals share. Confirmation and ablation: two runs, candidate and base, of the same seed and data order, neither of
// which is ever used again.
struct SearchPair {
  int proposal = 0;
  SearchStage stage = SearchStage::kScreen;
  int number = 0;  // from 0, of this proposal and stage
};

enum class Outcome {
  kOpen,
  kAdopted,
  kRejected,
  kUndecided,
  kFailed,
  kDropped
};  // dropped: adopted, then ablated away
const char* name(Outcome outcome);

struct SearchOptions {
  double alpha = 0.05;
  double noise_sd = 1;      // of one run, a guess; effects are counted in it
  int base_runs = 8;        // of the base where candidates are screened
  double screen_cost = 1;   // FLOPs of a candidate's run where it is screened
  double confirm_cost = 2;  // of a pair where it is confirmed
  double worth = 200;       // FLOPs that a gain of one noise_sd is worth
  int parallel = 1;         // pairs of a confirmation in flight at most
  int most_screens = 10, most_confirmations = 60, most_ablations = 8;  // pairs of one proposal
  int fewest_confirmations = 0;  // pairs before a verdict, for more than one rung to be seen
  int rungs = 1;                 // pairs are of rungs in turn; adopted is only what helps, in the mean, on every one
  // The caller's last word on what the evidence suffices for: why it is not adopted all the same; empty: it is.
  std::function<std::string(int proposal)> objection = [](int) { return std::string(); };
};

struct Candidate {
  // Differences to one base, by number from screened_from, and its noise: to the base of now, or to an earlier one
  // where they looked no better than nothing.
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

class Search {
 public:
  explicit Search(const SearchOptions& options);

  struct Action {
    enum class Kind { kPropose, kRun, kWait, kDone } kind = Kind::kDone;
    SearchPair pair;  // kRun: in flight from now on
  };
  // kPropose: a fresh proposal is worth most; answer with propose() or no_more_proposals(). kWait: give results first.
  Action next();
  int propose();
  void no_more_proposals();
  // Of a pair that next() gave. A difference that is not finite counts as a failure.
  void result(const SearchPair& pair, double difference);
  // A better number for a screening that result() was told of: its run was predicted, and then went on to its end.
  void revise(const SearchPair& pair, double difference);
  void failed(const SearchPair& pair, const std::string& reason);
  // Ends an open proposal for a reason that is not in its numbers: it cannot run, or another one is the same.
  void end(int proposal, Outcome outcome, const std::string& reason);
  // Begins the leave-one-out pass over what was adopted (two changes or more), then next() goes on with it.
  void ablate();
  // No more runs: what is open becomes undecided.
  void close(const std::string& reason);
  void set_noise_sd(double noise_sd);  // a better guess, as replicates come in; tests that began keep theirs
  void set_costs(double screen_cost, double confirm_cost, double worth);

  const std::vector<Candidate>& candidates() const { return candidates_; }
  int tests() const { return tests_; }
  int adoptions() const { return adoptions_; }
  // From selection and confirmation; in bits per byte.
  double expected_gain(int proposal) const;
  // Pairs that a confirmation would still need if the effect is what it seems; infinite if it does not seem better.
  double pairs_to_go(int proposal) const;
  // That the next test takes for a gain of so many noise floors, on average; infinite where no number would do.
  double pairs_for(double gain) const;
  // The gain, in noise floors, that so many pairs confirm on average; infinite for too few.
  double gain_for(double pairs) const;

 private:
  const EffectPosterior& posterior(int proposal) const;
  // An adoption moves the base: what looked promising beside the old one is looked at anew.
  void screen_anew();
  // Of `screens` and `pairs` differences' mean, in noise_sd squared. Pairing may only help.
  double mean_variance(double screens, double pairs) const;
  // `transfer`: of the posterior's effect, what is expected where it is confirmed.
  double confirmation_pairs(const EffectPosterior& posterior, double log_e, double level, double transfer) const;
  double worth_of_confirming(const EffectPosterior& posterior, double level) const;
  double worth_of_looking(const EffectPosterior& posterior) const;
  // What next() asks of every proposal each time, kept until something that it hangs on changes.
  struct Prospect {
    int evidence = -1, prior = -1;
    double level = 0;
    EffectPosterior posterior;
    double confirm = 0, pairs = 0, look = 0;  // net worths
  };
  const Prospect& prospect(int proposal);
  double level_of_next_test() const;
  std::optional<Action> continue_confirmation();
  std::optional<Action> continue_ablation();
  void learn();
  void judge_confirmation(int proposal);
  void judge_ablation(int proposal);

  SearchOptions options_;
  EffectPrior prior_;
  double transfer_ = 1;
  int prior_version_ = 0, results_ = 0, learnt_at_ = 0;
  mutable std::vector<Prospect> prospects_;
  Prospect fresh_;
  std::vector<Candidate> candidates_;
  std::vector<std::vector<std::optional<double>>> arrived_;  // of confirmation or ablation, in the order of numbers
  std::vector<int> screens_in_flight_, screens_given_, pairs_given_;
  int confirming_ = -1, tests_ = 0, adoptions_ = 0;
  bool exhausted_ = false, closed_ = false, ablating_ = false;
};

}  // namespace flywheel::evidence
