#include "protocol/run_events.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>

#include "base/error.h"

namespace flywheel::protocol {
namespace {

double number_or(const Json& fields, const char* name, double fallback) {
  const auto found = fields.find(name);
  return found != fields.end() && found->is_number() ? found->get<double>() : fallback;
}

// Counts, kept in the range that converts to an integer.
double count_or(const Json& fields, const char* name, double fallback) {
  const double value = number_or(fields, name, fallback);
  return value >= 0 && value < 9e18 ? value : fallback;
}

std::string text_or(const Json& fields, const char* name, const std::string& fallback) {
  const auto found = fields.find(name);
  return found != fields.end() && found->is_string() ? found->get<std::string>() : fallback;
}

// Everything that happened after `step` did not happen.
void rewind_outcome(RunOutcome& outcome, int64_t step) {
  if (step < outcome.step) {
    const double share = outcome.step > 0 ? static_cast<double>(step) / static_cast<double>(outcome.step) : 0;
    outcome.tokens *= share;  // every step trains the same number of tokens
    outcome.flops *= share;
    outcome.step = step;
  }
  const size_t evaluations = outcome.curve.size();
  rewind_to(outcome.curve, step);
  // The sampling error is of the last evaluation, and an earlier one's is not kept.
  if (outcome.curve.size() < evaluations) outcome.sampling.reset(), outcome.sampling_units.reset();
  // The curve is of one list of segments, so that its size stays as long as any of it does.
  if (outcome.curve.empty()) outcome.eval_bytes = outcome.eval_documents = 0;
  outcome.loss.reset();
  outcome.bits_per_byte.reset();
  if (!outcome.curve.empty()) {
    outcome.loss = outcome.curve.back().loss;
    outcome.bits_per_byte = outcome.curve.back().bits_per_byte;
  }
}

void read_seconds_by(RunOutcome& outcome, const Json& fields) {
  const auto found = fields.find("seconds_by");
  if (found == fields.end() || !found->is_object()) return;
  for (const auto& [part, seconds] : found->items()) {
    if (seconds.is_number()) outcome.seconds_by[part] = seconds.get<double>();
  }
}

void apply_start(RunOutcome& outcome, const RunEvent& event) {
  const Json& fields = event.fields;
  const int64_t resumed = resumed_step(event);
  if (resumed == 0) {
    outcome = RunOutcome();
  } else {
    rewind_outcome(outcome, resumed);
    outcome.step = resumed;
    outcome.tokens = number_or(fields, "tokens", outcome.tokens);
    outcome.flops = number_or(fields, "flops", outcome.flops);
  }
  outcome.state = RunOutcome::State::kRunning;
  outcome.reason.clear();
  outcome.seconds_by.clear();
  outcome.program = text_or(fields, "program", outcome.program);
  outcome.precision = text_or(fields, "precision", outcome.precision);
  outcome.predicted_memory_bytes = static_cast<uint64_t>(
      count_or(fields, "predicted_memory_bytes", static_cast<double>(outcome.predicted_memory_bytes)));
}

void apply_eval(RunOutcome& outcome, const Json& fields, int64_t step) {
  const double bits = number_or(fields, "bits_per_byte", std::nan(""));
  const double loss = number_or(fields, "loss", std::nan(""));
  if (!std::isfinite(bits)) return;
  const std::string split = text_or(fields, "split", outcome.eval_split);
  if (outcome.eval_split.empty()) outcome.eval_split = split;
  // Evaluations on other splits than the run's own are not part of its curve.
  if (split != outcome.eval_split) return;
  const std::string segments = text_or(fields, "segments", "");
  if (segments != outcome.segments) outcome.curve.clear();
  outcome.segments = segments;
  outcome.eval_bytes = static_cast<int64_t>(count_or(fields, "bytes", 0));
  outcome.eval_documents = static_cast<int64_t>(count_or(fields, "documents", 0));
  outcome.sampling.reset();
  if (const double sd = number_or(fields, "sampling_sd", std::nan("")); std::isfinite(sd))
    outcome.sampling = ClusterError{.sd = sd, .degrees = number_or(fields, "sampling_degrees", INFINITY)};
  outcome.sampling_units.reset();
  if (fields.contains("clusters")) {
    const auto units = [&](const char* field) { return static_cast<int64_t>(count_or(fields, field, 0)); };
    outcome.sampling_units = SampledUnits{units("clusters"), units("cut_documents"), units("blocks")};
  }
  std::erase_if(outcome.curve, [&](const RunOutcome::EvaluationPoint& point) { return point.step >= step; });
  RunOutcome::EvaluationPoint point;
  point.tokens = number_or(fields, "tokens", outcome.tokens);
  point.flops = number_or(fields, "flops", outcome.flops);
  point.bits_per_byte = bits;
  point.loss = loss;
  point.step = step;
  outcome.curve.push_back(point);
  outcome.bits_per_byte = bits;
  if (std::isfinite(loss)) outcome.loss = loss;
}

}  // namespace

int64_t resumed_step(const RunEvent& start) {
  return static_cast<int64_t>(count_or(start.fields, "resumed_step", 0));
}

std::vector<RunEvent> EventTail::poll() {
  std::vector<RunEvent> events;
  const int fd = ::open(path_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return events;
    throw_failed("cannot read {}: {}", path_.string(), errno_text(errno));
  }
  struct stat info {};
  ::fstat(fd, &info);
  // Another file under the name, or a shorter one: what was read is not a prefix of it, so it is read from its start.
  if (info.st_ino != inode_ || info.st_size < static_cast<off_t>(offset_)) offset_ = 0;
  inode_ = info.st_ino;
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(offset_ + text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      ::close(fd);
      throw_failed("cannot read {}: {}", path_.string(), errno_text(error));
    }
    if (n == 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  ::close(fd);

  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string_view line(text.data() + begin, end - begin);
    if (line.empty()) continue;
    Json json = parse_json_or_none(line).value_or(Json());
    if (!json.is_object() || text_or(json, "type", "").empty()) {
      ++damaged_lines_;
      continue;
    }
    RunEvent event;
    event.t = number_or(json, "t", 0);
    event.type = json["type"].get<std::string>();
    event.fields = std::move(json);
    events.push_back(std::move(event));
  }
  offset_ += begin;
  return events;
}

void apply_event(RunOutcome& outcome, const RunEvent& event) {
  const Json& fields = event.fields;
  if (event.type == "start") return apply_start(outcome, event);
  const auto step = static_cast<int64_t>(count_or(fields, "step", static_cast<double>(outcome.step)));
  const bool progress = event.type == "step" || event.type == "eval" || event.type == "done";
  if (progress) {
    outcome.step = step;
    outcome.tokens = number_or(fields, "tokens", outcome.tokens);
    outcome.flops = number_or(fields, "flops", outcome.flops);
    outcome.train_seconds = number_or(fields, "train_seconds", std::max(outcome.train_seconds, event.t));
    if (outcome.state == RunOutcome::State::kNotStarted) outcome.state = RunOutcome::State::kRunning;
  }
  if (event.type == "step") {
    outcome.train_loss = number_or(fields, "loss", outcome.train_loss);
  } else if (event.type == "eval") {
    apply_eval(outcome, fields, step);
  } else if (event.type == "done") {
    outcome.state = RunOutcome::State::kDone;
    if (const double loss = number_or(fields, "loss", std::nan("")); std::isfinite(loss)) outcome.loss = loss;
    if (const double bits = number_or(fields, "bits_per_byte", std::nan("")); std::isfinite(bits))
      outcome.bits_per_byte = bits;
    outcome.cpu_seconds = number_or(fields, "cpu_seconds", outcome.cpu_seconds);
    read_seconds_by(outcome, fields);
    outcome.peak_memory_bytes =
        static_cast<uint64_t>(count_or(fields, "peak_memory_bytes", static_cast<double>(outcome.peak_memory_bytes)));
  } else if (event.type == "stopped") {
    read_seconds_by(outcome, fields);
  } else if (event.type == "failed") {
    outcome.state = RunOutcome::State::kFailed;
    outcome.step = step;
    outcome.train_seconds = std::max(outcome.train_seconds, event.t);
    outcome.reason = text_or(fields, "reason", "crash: no reason given");
  }
}

RunOutcome read_outcome(const Path& events_path) {
  RunOutcome outcome;
  for (const RunEvent& event : EventTail(events_path).poll()) apply_event(outcome, event);
  return outcome;
}

}  // namespace flywheel::protocol
