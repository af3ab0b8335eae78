// The loop of a search: asks proposers, refuses what has been tried, keeps several trials in flight, learns from what
// they end with. Campaign, replay and tests drive the same code over different worlds. It believes no result: what the
// tests of the lab make of a trial is theirs to say.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "evidence/curve_stopping.h"
#include "search/proposers/team.h"

namespace flywheel::search {

struct WorldEvent {
  enum class Kind { kProgress, kDone, kFailed };
  Kind kind = Kind::kDone;
  uint64_t trial = 0;
  double loss = 0;                          // kDone
  std::string failure;                      // kFailed
  double cost_flops = 0;                    // of the run until now
  std::vector<evidence::CurvePoint> curve;  // all of it until now; may stay empty
};

// Where trials run. Used from one thread.
class World {
 public:
  virtual ~World() = default;
  virtual const workload::SearchSpace& space() const = 0;
  // What a run may cost, ascending; {0}: FLOPs are not known here.
  virtual std::vector<double> rung_flops() const = 0;
  // Starts a run. A world that cannot run exactly these values (a table of points) writes into the trial what it runs
  // instead: values, patches, identity. Throws Error when it cannot be started: the trial has then failed.
  virtual void start(Trial& trial) = 0;
  // Waits for the next event; empty: nothing is running.
  virtual std::optional<WorldEvent> next() = 0;
  // Ends a run that told of its progress, keeping what continues it; and continues it.
  virtual void stop(uint64_t trial) {}
  virtual void resume(uint64_t trial) {}
};

// A result of an earlier search that is not to be repeated.
struct KnownOutcome {
  std::string identity;  // SearchSpace::identity
  std::string outcome;   // "finding", "failed", ... in words
};

struct LoopOptions {
  uint64_t seed = 1;
  int slots = 1;
  int max_trials = 0;       // 0: no limit
  double max_flops = 0;     // never exceeded by what is started; 0: no limit
  double target_flops = 0;  // 0: the highest rung
  double noise_sd = 0;
  std::vector<std::string> proposers = {"bayes"};
  ProposerOptions proposer_options;
  std::vector<KnownOutcome> known;
  double stop_error_rate = 0;  // of early stopping (curve_stopping.h); 0: runs are not stopped early
};

// Deterministic: the same world, options and seed give the same trials. Throws kBadInput for an unknown proposer.
class ProposalLoop {
 public:
  ProposalLoop(World& world, LoopOptions options);
  ~ProposalLoop();

  // Fills the free slots, then takes one event. False: nothing runs and nothing more can be started.
  bool step();
  void run();  // until step() is false

  // Continues a stopped run to its end, whatever its curve says: somebody wants to know. The budget must hold the rest
  // of it; false: it does not, or the trial is not stopped. The loop goes on with step().
  bool thaw(uint64_t trial);

  const std::vector<Trial>& trials() const { return trials_; }
  const Trial* incumbent() const;
  const std::vector<ProposerAccount>& accounts() const { return team_.accounts(); }
  double spent_flops() const { return spent_flops_; }
  // Called after every trial that ended.
  std::function<void(const Trial&)> on_end = [](const Trial&) {};

 private:
  SearchView view() const;
  bool start_one();
  bool thaw_one();
  void resume(Trial& trial);
  bool start_trial(size_t proposer, Proposal proposal);
  void end_trial(Trial& trial, TrialState state);
  void take(const WorldEvent& event);
  void judge(Trial& trial);
  std::vector<evidence::Curve> finished_curves(double rung_flops) const;
  double loss_to_beat(double rung_flops) const;
  bool affordable(double flops) const;
  bool affordable_flops(double flops) const;

  World& world_;
  LoopOptions options_;
  std::vector<double> rungs_;
  ProposerTeam team_;
  std::vector<Trial> trials_;
  std::map<double, size_t> best_of_rung_;  // index of the trial
  std::set<std::string, std::less<>> taken_;
  std::set<uint64_t> running_;
  std::vector<uint64_t> stopped_;       // that may be thawed
  std::set<uint64_t> exempt_;           // thawed by somebody: not judged again
  std::map<uint64_t, double> charged_;  // of each trial, to its proposer
  double spent_flops_ = 0;
};

}  // namespace flywheel::search
