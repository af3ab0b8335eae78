// The campaign: from a corpus and a budget to a forecast that was tested. The main job of the program.
//
// It is a script of stages over the ledger: every decision is a record, every run has an id that follows from the
// decisions, and asking for a run that has ended costs nothing. So a campaign killed at any instant is continued by
// running the same script again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/format.h"
#include "ledger/ledger.h"
#include "recipe/run_spec.h"
#include "scheduler/runner.h"
#include "scheduler/scheduler.h"

namespace flywheel::campaign {

struct Evaluation {
  double loss = 0, bits_per_byte = 0;
  int64_t tokens = 0;
};

// What the campaign needs of the engine, each call a process of its own. Errors are Error.
class Tools {
 public:
  virtual ~Tools() = default;
  virtual Evaluation evaluate(const Path& run_directory, const std::string& split, int64_t tokens) = 0;
  virtual std::string sample(const Path& run_directory, int tokens) = 0;
  // Peak memory a run will need; the scheduler admits runs by it.
  virtual uint64_t predict_memory_bytes(const recipe::RunSpec& spec) = 0;
};

struct CampaignOptions {
  Path lab;  // absolute; holds ledger, corpus/ and runs/
  Budget budget;
  double started_clock_seconds = 0;  // of the Clock, when the command began: preparation counts too
  int slots = 1;
  std::vector<int> cpus;      // cores of the slots; empty: wherever the lab may run
  uint64_t memory_bytes = 0;  // for all runs together; 0: not limited
  uint64_t seed = 1;
  recipe::Recipe recipe;
  double max_epochs = 8;  // of the training split, for one run
  int64_t train_tokens = 0, search_tokens = 0;
  recipe::Precision precision = recipe::Precision::kAuto;
  // Who proposes changes to the recipe; empty: no search. `list`: TOML of the proposer "list" and its name in messages.
  std::vector<std::string> proposers;
  std::string list, list_source;
  std::vector<std::string> known;  // hashes of recipes whose worth earlier labs know
  bool branching = true;           // ladder runs go on from shorter ones of their size and seed (recipe/phases.h)
};

enum class CampaignEnd { kFinished, kInterrupted };

class Campaign {
 public:
  // Everything given must outlive the campaign. `say` gets one line per thing learnt, `show` the state of the runs.
  Campaign(ledger::Ledger& ledger, scheduler::Runner& runner, Tools& tools, Clock& clock, CampaignOptions options,
           std::function<bool()> should_stop, std::function<void(const std::string&)> say,
           std::function<void(const scheduler::Progress&, double seconds_left)> show);
  ~Campaign();
  // Runs all stages, or what is left of them. Throws kBadInput when budget or corpus cannot carry the smallest ladder.
  CampaignEnd run();
  // Instead of run(): pairs of the options' recipe and `candidate` on two rungs, same seeds and data, audit split,
  // until the difference is sure or the budget ends. The comparison's record of the ledger (docs/believable.md); null:
  // stopped.
  Json compare(const recipe::Recipe& candidate);
  // Seconds of the campaign so far, over all its processes.
  double elapsed_seconds() const;
  double busy_slot_seconds() const;

 private:
  friend class RecipeSearch;  // campaign_search.cc
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flywheel::campaign
