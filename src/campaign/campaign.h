// A campaign: from a budget and a workload to a forecast that was tested against a run. The program's main job.
//
// It is a script of stages (stages/stages.h) over the ledger. Every decision is recorded before it is acted on, run ids
// follow from the decisions, and a run that has ended is looked up instead of repeated. A campaign that was killed
// at any instant therefore continues when the same script runs again. The script advances in steps, so that its driver
// (a command, a server, a test on a virtual clock) keeps control of the thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "campaign/options.h"
#include "scheduler/runner.h"
#include "scheduler/scheduler.h"

namespace flywheel::campaign {

enum class CampaignEnd { kFinished, kInterrupted };

// Not thread safe. Everything given must outlive the campaign.
class Campaign {
 public:
  Campaign(ledger::Ledger& ledger, scheduler::Runner& runner, workload::Workload& workload, Clock& clock,
           CampaignOptions options);
  ~Campaign();

  // Subscribers, set before the first step. on_line receives one line per result, on_progress the state of the runs and
  // the seconds left. should_stop is asked at every step; true interrupts the campaign.
  void on_line(std::function<void(const std::string&)> subscriber);
  void on_progress(std::function<void(const scheduler::Progress&, double seconds_left)> subscriber);
  void stop_when(std::function<bool()> should_stop);

  // Handles one event, waiting for it at most `most_seconds`; an evaluation or a fit may take longer. Empty while the
  // campaign goes on. Throws kBadInput when budget or corpus are too small for the smallest ladder.
  std::optional<CampaignEnd> step(double most_seconds);
  // Calls step() until the campaign ends.
  CampaignEnd run();

  // Used instead of step() and run(): compares `candidate` with the options' configuration (stages/stages.h). Empty
  // when it was stopped before a verdict.
  std::optional<ledger::ComparisonRecord> compare(workload::ConfigurationPtr candidate, const CompareRules& rules = {});

  // Seconds in which nothing could be done for what the machine did: the budget is not charged.
  void does_not_count(double seconds);
  // Seconds of the campaign so far, over all its processes.
  double elapsed_seconds() const;
  double busy_slot_seconds() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace flywheel::campaign
