#include "campaign/budget.h"

#include <algorithm>
#include <cmath>
#include <fstream>

namespace flywheel::campaign {
namespace {

constexpr double kMostSeconds = 1e10;  // three centuries: no campaign took longer

// The stopwatch's file. One that is lost, damaged or no plain file is written again from what the ledger knows: the
// seconds of ended attempts over the slots, less than what had passed but never nothing, so that a budget that was
// spent is not spent twice.
Path sound_elapsed_file(const Lab& lab) {
  const Path file = lab.options.lab / "elapsed";
  std::error_code error;
  double seconds = 0;
  const bool plain = std::filesystem::symlink_status(file, error).type() == std::filesystem::file_type::regular;
  if (plain) {
    std::ifstream in(file);
    if (in >> seconds && std::isfinite(seconds) && seconds > 0 && seconds < kMostSeconds) return file;
  }
  const double known = lab.ledger.spend().slot_seconds / std::max(1, lab.options.slots);
  if (!plain && std::filesystem::symlink_status(file, error).type() != std::filesystem::file_type::not_found)
    std::filesystem::remove(file, error);  // a link would lead the writes elsewhere
  if (known <= 0) {
    if (plain) std::filesystem::remove(file, error);
    return file;
  }
  const Path next = file.string() + ".new";
  std::filesystem::remove(next, error);
  std::ofstream(next) << fmt::format("{:020.3f}\n", known);
  std::filesystem::rename(next, file, error);
  return file;
}

}  // namespace

double Lab::eval_tokens() const {
  return std::clamp(static_cast<double>(options.search_tokens - 1), 1024.0, 65536.0);
}

double Lab::cost_flops(const workload::Configuration& configuration, const workload::SizedRun& run) const {
  return workload::cost_flops(workload, configuration, run, eval_tokens());
}

workload::SizedRun Lab::prior_run(const workload::Configuration& configuration, double flops) const {
  return workload.isoflop_runs(configuration, flops, workload.prior_parameters(configuration, flops), 1, max_tokens())
      .at(0);
}

CampaignBudget::CampaignBudget(const Lab& lab)
    : lab_(lab), stopwatch_(sound_elapsed_file(lab), lab.clock, lab.options.started_clock_seconds) {}

double CampaignBudget::seconds_left() const {
  return is_time() ? lab_.options.budget.seconds - seconds() - last_look_.seconds : 1e18;
}

double CampaignBudget::flops_left() const {
  return is_flops() ? lab_.options.budget.flops - lab_.ledger.spend().flops() - last_look_flops() : 1e30;
}

double CampaignBudget::share_left() const {
  return is_flops() ? flops_left() / lab_.options.budget.flops : seconds_left() / lab_.options.budget.seconds;
}

double CampaignBudget::flops_left_by_speed(const Throughput& speed) const {
  return is_flops() ? std::max(flops_left(), 1.0)
                    : std::max(seconds_left(), 1.0) * lab_.options.slots * speed.flops_per_second(1e5);
}

double CampaignBudget::cost(const workload::Configuration& configuration, const workload::SizedRun& run) const {
  return is_flops() ? workload::budget_flops(lab_.workload, configuration, run, lab_.eval_tokens())
                    : lab_.cost_flops(configuration, run);
}

LadderLimits CampaignBudget::limits(double fraction) const {
  return {.wall_seconds = is_time() ? std::max(fraction * seconds_left(), 1e-3) : 0,
          .flops = is_flops() ? std::max(fraction * flops_left(), 1.0) : 0,
          .slots = lab_.options.slots,
          .max_tokens = lab_.max_tokens(),
          .eval_tokens = lab_.eval_tokens(),
          .branching = lab_.options.branching};
}

scheduler::Deadline CampaignBudget::deadline() const {
  scheduler::Deadline deadline;
  if (is_time())
    deadline.at_clock_seconds = stopwatch_.clock_at(kHardStop * lab_.options.budget.seconds - last_look_.seconds);
  if (is_flops()) deadline.flops = std::max(lab_.options.budget.flops - last_look_flops(), 1.0);
  return deadline;
}

}  // namespace flywheel::campaign
