#include "scheduler/attempt.h"

#include <algorithm>

#include "base/error.h"

namespace flywheel::scheduler {
namespace {

int64_t step_of(const protocol::RunEvent& event, const char* field = "step") {
  const auto found = event.fields.find(field);
  return found != event.fields.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

bool starts_with_word(const std::string& reason, std::string_view word) {
  return reason.compare(0, word.size(), word) == 0 &&
         (reason.size() == word.size() || reason[word.size()] == ':' || reason[word.size()] == ' ');
}

}  // namespace

Attempt::Attempt(const recipe::RunSpec& spec, const Path& run_directory, int64_t events_before)
    : tail_(run_directory / protocol::kEventsFile),
      size_(spec.size),
      sequence_flops_(count(spec.recipe, spec.size).flops_per_token * spec.size.context),
      events_before_(events_before < 0 ? INT64_MAX : events_before),
      checkpoint_step_(spec.size.trunk_steps) {
  poll();
  if (events_before < 0) events_before_ = events_;
}

bool Attempt::poll() {
  const std::vector<protocol::RunEvent> events = tail_.poll();
  for (const protocol::RunEvent& event : events) apply(event);
  return !events.empty();
}

void Attempt::apply(const protocol::RunEvent& event) {
  protocol::apply_event(outcome_, event);
  const bool ours = ++events_ > events_before_;
  const int64_t step = step_of(event);
  if (event.type == "start") {
    const int64_t resumed = step_of(event, "resumed_step");
    checkpoint_step_ = std::min(checkpoint_step_, resumed);
    if (ours) {
      // A trainer may start over within one attempt: what it did before that was spent all the same.
      trained_before_ = trained_sequences();
      resumed_step_ = furthest_step_ = resumed;
    }
  } else if (event.type == "checkpoint") {
    checkpoint_step_ = step;
  }
  if (!ours) return;
  if (!first_t_) first_t_ = event.t;
  last_t_ = std::max(last_t_, event.t);
  furthest_step_ = std::max(furthest_step_, step);
  if (event.type == "start") gave_up_.reset();
  if (event.type == "failed") failure_ = outcome_.reason;
  if (event.type == "stopped") {
    const auto reason = event.fields.find("reason");
    gave_up_ = reason != event.fields.end() && reason->is_string() ? reason->get<std::string>() : protocol::kGaveUp;
  }
}

double Attempt::sequences(int64_t step) const {
  step = std::clamp<int64_t>(step, 0, size_.steps);
  if (step >= size_.trunk_steps) return static_cast<double>(size_.sequences_before(step));
  // A trainer that trains the trunk's part itself.
  return static_cast<double>(size_.trunk_sequences) * static_cast<double>(step) /
         static_cast<double>(size_.trunk_steps);
}
double Attempt::own_fraction(int64_t step) const {
  return std::clamp(1 - (sequences(size_.steps) - sequences(step)) / own_sequences(), 0.0, 1.0);
}
double Attempt::trained_sequences() const {
  return trained_before_ + sequences(furthest_step_) - sequences(resumed_step_);
}

double Attempt::fraction() const {
  return own_fraction(outcome_.step);
}
double Attempt::kept_fraction() const {
  return own_fraction(checkpoint_step_);
}
double Attempt::event_seconds() const {
  return first_t_ ? std::max(0.0, last_t_ - *first_t_) : 0;
}
double Attempt::spent_flops() const {
  return sequence_flops_ * trained_sequences();
}

double Attempt::seconds_left(double attempt_seconds, double expected_seconds) const {
  const double trained = trained_sequences() / own_sequences();
  const double left = 1 - fraction();
  // The first steps say little about the speed: start-up is in them.
  return trained > 0.05 ? left / trained * attempt_seconds : left * expected_seconds;
}

Json Attempt::finish_fields() const {
  Json curve = Json::array();
  for (const auto& point : outcome_.curve)
    curve.push_back({{"tokens", point.tokens},
                     {"flops", point.flops},
                     {"bits_per_byte", point.bits_per_byte},
                     {"loss", point.loss},
                     {"step", point.step}});
  auto optional = [](const std::optional<double>& value) { return value ? Json(*value) : Json(); };
  return {{"bits_per_byte", optional(outcome_.bits_per_byte)},
          {"loss", optional(outcome_.loss)},
          {"tokens", outcome_.tokens},
          {"flops", sequence_flops_ * sequences(outcome_.step)},
          {"attempt_flops", spent_flops()},
          {"train_seconds", outcome_.train_seconds},
          {"cpu_seconds", outcome_.cpu_seconds},
          {"peak_memory_bytes", outcome_.peak_memory_bytes},
          {"predicted_memory_bytes", outcome_.predicted_memory_bytes},
          {"precision", outcome_.precision},
          {"program", outcome_.program},
          {"curve", curve}};
}

Ending ending_of(const Attempt& attempt, int exit_code, bool asked_to_stop) {
  using What = Ending::What;
  if (attempt.done()) return {What::kDone, ""};
  if (const auto failure = attempt.failure()) {
    for (const char* word : {"diverged", "memory", "input"})
      if (starts_with_word(*failure, word)) return {What::kFailedForGood, *failure};
    return {What::kFailedMayRepeat, *failure};
  }
  if (const auto reason = attempt.gave_up())
    return {What::kGaveUp,
            reason->starts_with(protocol::kGaveUp) ? *reason : fmt::format("{}: {}", protocol::kGaveUp, *reason)};
  if (asked_to_stop) return {What::kStopped, "stopped"};
  if (exit_code == -1) return {What::kLost, "lost: the process is gone and said nothing"};
  const bool stopped =
      exit_code == static_cast<int>(ErrorCode::kStoppedEarly) || exit_code == static_cast<int>(ErrorCode::kInterrupted);
  // Somebody else stopped it. One that stops again and again without a step would go on for ever: that is a failure.
  if (stopped && attempt.made_progress()) return {What::kStopped, fmt::format("stopped: exit code {}", exit_code)};
  if (exit_code == static_cast<int>(ErrorCode::kBadInput))
    return {What::kFailedForGood, fmt::format("input: exit code 2, see {} in its folder", protocol::kOutputFile)};
  if (exit_code > 128 && !stopped)
    return {What::kFailedMayRepeat, fmt::format("crash: killed by signal {}", exit_code - 128)};
  return {What::kFailedMayRepeat, fmt::format("crash: exit code {} without a \"done\" event, see {} in its folder",
                                              exit_code, protocol::kOutputFile)};
}

}  // namespace flywheel::scheduler
