#include "campaign/campaign.h"

#include <algorithm>
#include <exception>
#include <vector>

#include "campaign/stages/stages.h"

namespace flywheel::campaign {
namespace {

constexpr double kStepSeconds = 1.0;  // run() looks at should_stop at least so often
constexpr double kRunsPerRung = 40;   // of all stages, for what the logs will take

}  // namespace

// The parts of a campaign in order of dependency, and the script that uses them.
struct Campaign::Parts {
  std::vector<std::function<void(const std::string&)>> line_subscribers;
  std::vector<std::function<void(const scheduler::Progress&, double)>> progress_subscribers;
  Lab lab;
  scheduler::Scheduler scheduler;
  Decisions decisions;
  CampaignBudget budget;
  RunBook book;
  Branches branches;
  Replicates replicates;
  Checkpoints checkpoints;
  RunLoop loop;
  Ladder ladder;
  bool recovered = false;
  std::optional<Script<>> script;
  std::exception_ptr failure;

  Parts(ledger::Ledger& ledger, scheduler::Runner& runner, workload::Workload& workload, Clock& clock,
        CampaignOptions options)
      : lab{.ledger = ledger,
            .workload = workload,
            .clock = clock,
            .options = std::move(options),
            .say =
                [this](const std::string& line) {
                  for (const auto& subscriber : line_subscribers) subscriber(line);
                },
            .should_stop = {}},
        scheduler(ledger, runner, clock, lab.runs()),
        decisions(ledger),
        budget(lab),
        book(lab),
        branches(lab, book),
        replicates(lab, book, branches),
        checkpoints(lab),
        loop(lab, scheduler, budget, book, branches, replicates, checkpoints),
        ladder{.configuration = lab.options.configuration, .plan = {}} {
    scheduler.on_progress([this](const scheduler::Progress& progress) {
      budget.save_seconds();
      for (const auto& subscriber : progress_subscribers) subscriber(progress, std::max(budget.seconds_left(), 0.0));
    });
  }

  Script<> stages() {
    co_await calibrate(lab, decisions, budget, book, loop);
    ladder.plan = plan_first_ladder(lab, decisions, budget, book);
    say_disk();
    co_await tune(lab, decisions, budget, book, loop, ladder);
    co_await search_configurations(lab, decisions, budget, book, loop, ladder);
    co_await lowest_rung(lab, decisions, budget, book, branches, replicates, loop, ladder);
    co_await middle_rungs(lab, decisions, budget, book, branches, replicates, loop, ladder);
    if (points_below_top(lab, ladder).empty()) {
      scheduler.stop_all();
      lab.say("no forecast: the budget ended before a run of the ladder did");
    } else {
      forecast_top(lab, decisions, budget, book, branches, ladder);
      co_await top_rung(lab, decisions, branches, replicates, loop, ladder);
      co_await climb_further(lab, decisions, budget, book, branches, replicates, loop, ladder);
      co_await replicate_rest(budget, replicates, loop);
      scheduler.stop_all();
      branches.report_savings();
      branches.release_all();
      conclude(lab, ladder);
    }
    co_await last_evaluations(lab, budget, book, loop);
    checkpoints.release_all();
  }
  void say_disk() const {
    std::vector<workload::SizedRun> trunks;
    for (const double flops : ladder.plan.rungs)
      trunks.push_back(lab.workload.prior_size(*lab.options.configuration, flops));
    if (trunks.empty()) return;
    const workload::SizedRun largest = trunks.back();
    if (!lab.options.branching) trunks.clear();
    const auto runs = static_cast<size_t>(kRunsPerRung * static_cast<double>(ladder.plan.rungs.size()));
    lab.say(disk_in_words(lab.options.lab, predicted_disk_bytes(lab.options.slots, largest, trunks, runs)));
  }

  Script<> comparison(workload::ConfigurationPtr candidate, CompareRules rules, ledger::ComparisonRecord& result) {
    co_await calibrate(lab, decisions, budget, book, loop, candidate);
    result = co_await compare_configurations(lab, decisions, budget, book, loop, std::move(candidate), rules);
    checkpoints.release_all();
  }

  // Takes up what an earlier process left, once.
  void recover() {
    if (recovered) return;
    book.refuse_other_text();
    scheduler.recover(
        [this](const ledger::RunRow& row, const std::string& spec) { return book.rebuilt_job(row, spec); });
    checkpoints.release();  // what an earlier process had not come to
    recovered = true;
  }

  // How the campaign ended; empty while it runs. What was thrown once is thrown again: a campaign that failed is over.
  std::optional<CampaignEnd> advance(Script<> (*begin)(Parts&), double most_seconds) {
    if (failure) std::rethrow_exception(failure);
    try {
      return go_on(begin, most_seconds);
    } catch (...) {
      failure = std::current_exception();
      throw;
    }
  }
  std::optional<CampaignEnd> go_on(Script<> (*begin)(Parts&), double most_seconds) {
    if (!script) {
      recover();
      script = begin(*this);
      script->start();
    } else if (!script->done()) {
      loop.step(most_seconds);
    }
    if (!script->done()) return std::nullopt;
    CampaignEnd end = CampaignEnd::kFinished;
    try {
      script->result();
    } catch (const Interrupted&) {
      scheduler.stop_all();
      end = CampaignEnd::kInterrupted;
    }
    budget.save_seconds(true);
    return end;
  }
};

Campaign::Campaign(ledger::Ledger& ledger, scheduler::Runner& runner, workload::Workload& workload, Clock& clock,
                   CampaignOptions options)
    : parts_(std::make_unique<Parts>(ledger, runner, workload, clock, std::move(options))) {}
Campaign::~Campaign() = default;

void Campaign::on_line(std::function<void(const std::string&)> subscriber) {
  parts_->line_subscribers.push_back(std::move(subscriber));
}
void Campaign::on_progress(std::function<void(const scheduler::Progress&, double)> subscriber) {
  parts_->progress_subscribers.push_back(std::move(subscriber));
}
void Campaign::stop_when(std::function<bool()> should_stop) {
  parts_->lab.should_stop = std::move(should_stop);
}

std::optional<CampaignEnd> Campaign::step(double most_seconds) {
  return parts_->advance([](Parts& parts) { return parts.stages(); }, most_seconds);
}

CampaignEnd Campaign::run() {
  while (true)
    if (const auto end = step(kStepSeconds)) return *end;
}

std::optional<ledger::ComparisonRecord> Campaign::compare(workload::ConfigurationPtr candidate,
                                                          const CompareRules& rules) {
  ledger::ComparisonRecord result;
  Parts& parts = *parts_;
  parts.recover();
  parts.script = parts.comparison(std::move(candidate), rules, result);
  parts.script->start();
  while (true) {
    const auto end = parts.advance({}, kStepSeconds);
    if (!end) continue;
    if (*end == CampaignEnd::kInterrupted) return std::nullopt;
    parts.scheduler.stop_all();
    return result;
  }
}

void Campaign::does_not_count(double seconds) {
  parts_->budget.exclude(seconds);
  parts_->scheduler.postpone(seconds);
}

double Campaign::elapsed_seconds() const {
  return parts_->budget.seconds();
}
double Campaign::busy_slot_seconds() const {
  return parts_->scheduler.busy_slot_seconds();
}

}  // namespace flywheel::campaign
