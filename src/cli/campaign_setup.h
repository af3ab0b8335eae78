// What `flywheel run` and `flywheel compare` build a campaign from: the engine as its workload, this machine as its
// runner, and the terminal as its subscriber.
#pragma once

#include <memory>
#include <string>

#include "campaign/campaign.h"
#include "cli/corpus_check.h"
#include "cli/progress.h"
#include "engine/data/corpus.h"
#include "ledger/ledger.h"
#include "recipe/recipe.h"
#include "scheduler/runners/local.h"
#include "workload/flywheel/flywheel_workload.h"
#include "workload/flywheel/recipe_configuration.h"

namespace flywheel::cli {

// The engine with the corpus of this lab, and with the precisions that the lab's machine was measured to train faster
// in.
workload::FlywheelWorkload engine_workload(const Path& lab, const ledger::MachineRecord& machine);

// Options that do not depend on the command. `started`: of the real clock, when the command began.
campaign::CampaignOptions campaign_options(const Path& lab, const Budget& budget, double started, int slots,
                                           int64_t seed, const recipe::Recipe& recipe,
                                           const data::CorpusManifest& corpus);

// A campaign on this machine, with all that it refers to. Stops when a signal asked for it.
class LocalCampaign {
 public:
  LocalCampaign(ledger::Ledger& ledger, const campaign::CampaignOptions& options, ProgressPrinter& printer);
  ~LocalCampaign();
  campaign::Campaign& operator*() { return campaign_; }
  campaign::Campaign* operator->() { return &campaign_; }
  // Throws kFailed when the corpus turned out to be damaged, which ends the campaign as a signal does.
  void refuse_damaged_corpus() const { corpus_check_.refuse_damage(); }

 private:
  // While the ledger cannot be written: false when it has taken too long, or a signal came.
  bool wait_for_disk(const Path& lab, const std::string& reason);

  ledger::Ledger& ledger_;
  double pause_ = 0, waited_ = 0, last_wait_ended_ = 0;
  workload::FlywheelWorkload workload_;
  scheduler::LocalRunner runner_;
  campaign::Campaign campaign_;
  CorpusCheck corpus_check_;
};

}  // namespace flywheel::cli
