#include "campaign/campaign.h"

#include "campaign/state.h"

namespace flywheel::campaign {

Campaign::Campaign(ledger::Ledger& ledger, scheduler::Runner& runner, Tools& tools, Clock& clock,
                   CampaignOptions options, std::function<bool()> should_stop,
                   std::function<void(const std::string&)> say,
                   std::function<void(const scheduler::Progress&, double)> show)
    : state_(std::make_unique<State>(ledger, runner, tools, clock, std::move(options), std::move(should_stop),
                                     std::move(say), std::move(show))) {}
Campaign::~Campaign() = default;

double Campaign::elapsed_seconds() const {
  return state_->stopwatch.seconds();
}
double Campaign::busy_slot_seconds() const {
  return state_->scheduler.busy_slot_seconds();
}

CampaignEnd Campaign::run() {
  State& s = *state_;
  try {
    s.scheduler.recover();
    s.calibrate();
    s.make_plan();
    s.tune();
    s.search_recipes();
    s.lowest_rung();
    s.middle_rungs();
    if (s.points(false).empty()) {
      s.scheduler.stop_all();
      s.say("no forecast: the budget ended before a run of the ladder did");
    } else {
      s.forecast_top();
      s.top_rung();
      s.fill_rest();
      s.scheduler.stop_all();
      s.say_what_branching_saved();
      s.release_all_trunks();
      s.conclude();
    }
    s.last_evaluations();
    s.stopwatch.save(true);
    return CampaignEnd::kFinished;
  } catch (const Stopped&) {
    s.scheduler.stop_all();
    s.stopwatch.save(true);
    return CampaignEnd::kInterrupted;
  }
}

}  // namespace flywheel::campaign
