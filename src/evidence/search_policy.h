// The decision policy of a search: which proposal to run next, in which stage, and the outcome of each. Proposals are
// numbers and runs are measured losses; configurations, ledgers and clocks are unknown to it, so that campaigns,
// `flywheel replay --as-campaign` and `flywheel simulate search` decide by the same code. Deterministic: the same calls
// give the same answers. Not thread safe.
//
// Selection (screening, then more replicates) and confirmation never share runs. Selection may use any means, and uses
// a posterior of each proposal's effect (effect_prior.h). Confirmation is of a batch of proposals at once: fresh runs
// of each on every rung beside one pool of fresh runs of the base, which all of them share, judged by ranks
// (rank_evidence.h). A proposal's test goes on until its evidence reaches a threshold or there is no hope, by its own
// runs alone. Then e-BH within the batch and e-LOND over batches decide (discovery_level() below).
// Guarantee: the false discovery rate over all findings of the campaign is at most alpha, and when no change has an
// effect, the probability of any finding is at most alpha. A finding is false when on one rung at least the change is
// no better than the base it was tested against. An adoption changes the base; later proposals are tested against the
// new one, beside a new pool.
//
// Effects screened at a small scale need not hold at larger ones. By how much they shrink is estimated from the
// confirmations so far (a regression through 0 with prior slope 1), and proposals are ranked by the shrunken effect.
//
// Gains are counted in the FLOPs that would buy them elsewhere, and the expected net gain of each action (screen a new
// proposal, replicate, confirm) is found by looking one measurement ahead (knowledge gradient, Frazier, Powell and
// Dayanik 2009). A batch begins when no further screening is worth its FLOPs, or a wave of proposals is over. When
// nothing is worth its FLOPs the search is over.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "evidence/effect_prior.h"
#include "evidence/paired_evidence.h"
#include "evidence/rank_evidence.h"
#include "protocol/stages.h"
#include "protocol/verdicts.h"

namespace flywheel::evidence {

using protocol::Outcome;
using protocol::Stage;

// A measurement. Screening: one run of the candidate, as a difference to the mean of the base's screening runs, which
// all proposals share. Confirmation: the loss of one run on a rung, of the candidate or of the base (kTheBase).
// Ablation: the difference of two runs of the same seed and data order, without the change and with it. Endurance: the
// loss of one run of the recipe found (kTheBase), or of a change's own recipe. No run is used twice.
struct SearchRun {
  int proposal = 0;
  Stage stage = Stage::kScreen;  // kScreen, kConfirm, kAblate or kEndure
  int number = 0;                // from 0, of this proposal and stage; of the base: from 0 after each adoption
  int rung = 0;                  // of confirmations and ablations
};
inline constexpr int kTheBase = -1;

inline constexpr double kExpectedFound = 0.8;  // of a batch's tests, weighed by their probability to be better
inline constexpr double kBatchSafety = 1.3;    // times the expected cost of a batch, that is kept for it
// Screening costs this much less than the upper rung of a confirmation, and the lower rung this much.
inline constexpr double kScreenBelow = 6, kConfirmBelow = 3;
inline constexpr int kDearBaseRuns = 6;  // of the base, where a screening costs as much as a run of a confirmation

struct PolicyOptions {
  double alpha = 0.05;
  double noise_sd = 1;                  // of one run, a guess; effects are counted in it
  double relative_noise = kUsualNoise;  // the same as a share of the base's loss
  std::vector<Evidence> earlier = {};   // what other campaigns screened, each as a share of the loss
  int base_runs = 8;                    // of the base where candidates are screened
  double screen_cost = 1;               // FLOPs of a candidate's run where it is screened
  std::vector<double> run_costs = {1};  // of a run where it is confirmed, on each rung from low to high
  double gain_flops = 200;              // that would buy a gain of one noise_sd elsewhere
  int parallel = 1;                     // runs of a proposal's confirmation in flight at most, and pairs of an ablation
  int most_screens = 10, most_ablations = 8;  // of one proposal
  int most_runs = 160;                        // of a proposal's confirmation, over all rungs
  int wave = 6;        // proposals that no list names, after which what looks promising may be confirmed,
  double looking = 3;  // and times the FLOPs of confirming the best of it, which have gone into screening before
  int endurance = 60;  // runs of the recipe found, of which none may be ruined where the base's are not
  // Of the difference on these rungs between the documents that were scored and all others: the standard deviation.
  std::function<double(int proposal)> sampling_sd = [](int) { return 0.0; };
  // The caller's last word on what the evidence suffices for: how it ends all the same, and why; empty: it is adopted.
  struct Objection {
    Outcome outcome = Outcome::kRejected;
    std::string reason;
  };
  std::function<std::optional<Objection>(int proposal)> objection = [](int) { return std::nullopt; };
  // Whether a proposal can be adopted together with these: what cannot is tested again beside them.
  std::function<bool(int proposal, const std::vector<int>& with)> fits = [](int, const auto&) { return true; };
};

// The options of campaigns, from which replays and simulations start. Costs are in runs of a confirmation.
PolicyOptions campaign_policy();

// What a proposal's runs and its pool say, over the rungs; the value shrunken to what the effects of all proposals so
// far make likely, so that what was selected for its luck is not reported with it.
struct ReportedEffect {
  Interval difference;   // of the losses, mean over the rungs; at 90%
  double shrinkage = 1;  // of the measured difference, that is left
};

// The evidence about one proposal, and its outcome.
struct Standing {
  // Differences to one base, by number from screened_from, and that base's noise. The base is the present one, or an
  // earlier one when the proposal looked no better than no change.
  std::vector<double> screened;
  int screened_from = 0;
  double screen_noise_sd = 1;
  double screen_relative_noise = kUsualNoise;  // the same as a share of that base's loss
  std::optional<RungTests> confirmed;          // once its runs could be judged
  std::optional<SequentialTest> ablated;       // base less this change, minus base
  bool ablation_over = false;
  double level = 0;             // that the evidence was held against in the end: it suffices from 1 / level on
  int test = 0;                 // which one of the campaign, from 1; 0: none
  int batch = 0;                // from 1
  int endured = 0, ruined = 0;  // runs of its own recipe for endurance
  int lost = 0;                 // runs that the machine failed
  bool whole = false;           // as in propose()
  Outcome outcome = Outcome::kOpen;
  std::string reason;
};

class SearchPolicy {
 public:
  explicit SearchPolicy(const PolicyOptions& options);

  struct Action {
    enum class Kind { kPropose, kRun, kWait, kDone } kind = Kind::kDone;
    SearchRun run;  // kRun: in flight from now on
  };
  // kPropose: a fresh proposal has the highest expected net gain; answer with propose() or no_more_proposals(). kWait:
  // give results first.
  Action next();
  // `listed`: one of a list of changes that are all looked at before any is confirmed. `whole`: no change but a
  // configuration of its own: where it looks better it is confirmed at once and alone, since what others do to the base
  // of now says little about what they do to it.
  int propose(bool listed = false, bool whole = false);
  void no_more_proposals();
  // While true, the next proposal is a listed one: all of them are looked at whatever they may be worth.
  void set_listed_left(bool left) { listed_left_ = left; }
  // Of a run that next() gave: a difference or a loss, as SearchRun says. One that is not finite counts as a failure.
  void result(const SearchRun& run, double value);
  // Replaces a predicted screening result by the measured one, after its run was resumed to its end.
  void revise(const SearchRun& run, double difference);
  // The recipe's own fault (it diverged, it needs more memory than there is): the worst rank.
  void failed(const SearchRun& run, const std::string& reason);
  // A failure of the machine is nobody's: the run counts for nothing.
  void lost(const SearchRun& run);
  // Ends an open proposal for a reason outside its measurements: it cannot run, or it duplicates another.
  void end(int proposal, Outcome outcome, const std::string& reason);
  // Starts the leave-one-out ablation of the adopted changes, which next() then continues.
  void ablate();
  // Adopted changes that leaving out says something new about: none where there are fewer than two besides whole
  // configurations, on which the others were built. What was adopted alone and last was just compared so.
  std::vector<int> to_leave_out() const;
  // Starts the endurance runs of the recipe found, which next() then continues: where one of them is ruined, each
  // change's own recipe is run as often, and changes with a ruined run are dropped. False where nothing was adopted.
  bool endure();
  // Ends the search; open proposals become undecided.
  void close(const std::string& reason);
  // A better estimate, as replicates arrive; `relative_noise`: as a share of the base's loss, 0: as before.
  void set_noise_sd(double noise_sd, double relative_noise = 0);
  // `flops_left`: that the search may still spend.
  void set_costs(double screen_cost, std::vector<double> run_costs, double gain_flops, double flops_left);

  double smallest_batch_cost() const;  // FLOPs of confirming one proposal of a large gain

  const std::vector<Standing>& standings() const { return standings_; }
  int tests() const { return tests_; }
  int batches() const { return batches_; }
  int adoptions() const { return adoptions_; }
  // Those adopted since the last call, the largest gain first: they are part of the base from then on. Until it is
  // called, next() gives nothing.
  std::vector<int> take_adopted();
  int endured() const { return endurance_done_; }
  int ruined() const { return endurance_ruined_; }
  // From screening and confirmation, in bits per byte.
  double expected_gain(int proposal) const;
  ReportedEffect reported(int proposal) const;  // REQUIRES that it was confirmed
  // Expected number of further runs until confirmation, at the estimated effect; infinite if that is not an
  // improvement.
  double runs_to_go(int proposal) const;
  // Expected runs of the next test for a gain given in noise floors; infinite when no number suffices.
  double runs_for(double gain) const;
  // The gain, in noise floors, that this many runs confirm on average; infinite for too few.
  double gain_for(double runs) const;

 private:
  enum class Entrant { kRunning, kReached, kOver };
  struct Batch {
    std::vector<int> entrants;
    std::vector<Entrant> states;
    int pool = 0;           // runs of the base on each rung
    double log_needed = 0;  // evidence of each
  };

  // ---- selection (search_policy.cc; what it believes of effects: search_beliefs.cc)
  const EffectPosterior& posterior(int proposal) const;
  // After an adoption: proposals that looked promising against the old base are screened again.
  void screen_anew();
  double screen_variance(double screens) const;
  // What screenings say about an effect where it is confirmed: what does nothing does nothing there either, and an
  // effect is another there, but rarely none. On one rung, the less the further its runs are from a screening in FLOPs;
  // empty: over the rungs.
  EffectPosterior from_screening(const Standing& standing, std::optional<size_t> rung = {}) const;
  // On each rung.
  double confirmation_runs(const EffectPosterior& posterior, double log_needed, double transfer) const;
  size_t rungs() const { return options_.run_costs.size(); }
  double cost_of_a_run() const;  // the mean over the rungs
  // By all there is about it on a rung: its runs there, else those on others, and its screening.
  EffectPosterior belief(const Standing& standing, size_t rung) const;
  // Runs to go on each rung; infinite where the estimated effect is no improvement.
  std::vector<double> rungs_to_go(int proposal) const;
  double net_gain_of_confirming(const EffectPosterior& posterior) const;
  double net_gain_of_screening(const EffectPosterior& posterior) const;
  // Cache of what next() needs of each proposal, valid until one of its inputs changes.
  struct Prospect {
    int evidence = -1, prior = -1;
    double level = 0;
    EffectPosterior posterior;
    double confirm = 0, look = 0;  // expected net gains of confirming and screening
  };
  const Prospect& prospect(int proposal);
  double level_of_next_test() const;
  Action next_selection();
  std::vector<int> promising();
  bool wave_is_over(const std::vector<int>& promising) const;
  void begin_wave();
  int pool_for(const std::vector<int>& entrants) const;
  double batch_cost(const std::vector<int>& entrants) const;
  void learn();
  void lose_screening(const SearchRun& run);

  // ---- confirmation (confirmation_batch.cc), and what follows it (after_adoption.cc)
  std::vector<int> worth_a_test(std::vector<int> entrants);
  std::vector<int> that_fit(std::vector<int> entrants) const;
  void begin_batch(std::vector<int> entrants);
  Action continue_batch();
  bool pool_is_complete() const;
  std::optional<RungTests> new_test(int proposal) const;
  size_t rung_of_next(const RungTests& tests) const;
  void judge(size_t entrant);
  void judge_running(size_t entrant, const RungTests& tests);
  void settle();
  void remember_start();
  std::optional<PolicyOptions::Objection> sampling_objection(int proposal, double level) const;
  Evidence measured(const RungTests& tests, std::optional<size_t> rung = {}) const;
  std::optional<Action> continue_ablation();
  void judge_ablation(int proposal);
  Action continue_endurance();
  void judge_endurance();
  int harmed(const std::vector<double>& losses) const;
  // Empty: lost.
  void take_confirmed(const SearchRun& run, std::optional<double> loss);
  void take_ablated(const SearchRun& run, std::optional<double> difference);
  void take_endured(const SearchRun& run, std::optional<double> loss);

  PolicyOptions options_;
  EffectPrior prior_;
  double transfer_ = 1;
  int prior_version_ = 0, results_ = 0, learnt_at_ = 0;
  mutable std::vector<Prospect> prospects_;
  Prospect fresh_;
  std::vector<Standing> standings_;
  // Of confirmation or ablation, in the order of numbers: not there yet, lost (NaN), or measured.
  std::vector<std::vector<std::optional<double>>> arrived_;
  std::vector<std::vector<int>> rung_of_;  // of a proposal's runs of a confirmation, by number
  std::vector<int> screens_in_flight_, screens_given_, given_, consumed_;
  std::optional<Batch> batch_;
  std::vector<int> adopted_now_;  // by the batch that was settled last, in the order of adoption
  std::vector<std::vector<std::optional<double>>> pool_;  // of this base: by rung, then in the order given
  std::vector<std::pair<size_t, size_t>> pool_places_;    // of its runs, by number
  std::pair<int, int> start_pool_{};                      // of the base that the search began with: ruined, all
  int start_astray_ = 0;                                  // of these, far above the others
  int unlisted_in_wave_ = 0, listed_in_wave_ = 0;
  double looked_in_wave_ = 0;  // FLOPs
  int next_batch_at_ = 0;      // results, before which no batch begins again
  double flops_left_ = 0;
  int tests_ = 0, batches_ = 0, adoptions_ = 0, discoveries_ = 0;
  std::vector<double> endured_;  // losses of the recipe found
  int endurance_given_ = 0, endurance_back_ = 0, endurance_done_ = 0, endurance_ruined_ = 0;
  std::vector<std::vector<double>> own_endured_;
  std::vector<int> own_given_, own_back_;
  bool exhausted_ = false, closed_ = false, ablating_ = false, enduring_ = false, attributing_ = false,
       listed_left_ = false;
};

// Levels for batches of tests that control the false discovery rate (e-BH within a batch: Wang and Ramdas 2022; e-LOND
// over batches: Xu and Ramdas 2024). Of the tests of batch `batch` (from 1), `tests` in number, those are discoveries
// whose e-value is at least 1 / level, where `found` of them have it: the shares of batches sum to 1, and of each
// batch's share every test has its part, times all discoveries until then. It holds for dependent tests, however the
// next proposals are chosen. When nothing is real the probability of any finding is at most alpha too.
double discovery_level(double alpha, int batch, int tests, int found, int found_before);

}  // namespace flywheel::evidence
