#include "ledger/fold.h"

#include <algorithm>

#include "base/hash.h"
#include "ledger/json_record.h"
#include "protocol/run_events.h"

namespace flywheel::ledger {
namespace {

using protocol::RunState;

RunRow planned_row(int64_t sequence, const RunPlanned& planned) {
  RunRow row;
  row.run = planned.run;
  row.stage = planned.stage;
  row.recipe_hash = planned.recipe_hash;
  row.segments = planned.segments;
  row.rung_flops = planned.rung_flops;
  row.parameters = planned.parameters;
  row.tokens = planned.tokens;
  row.flops = planned.flops;
  row.reserved_seconds = planned.reserved_seconds;
  row.seed = planned.seed;
  row.data_seed = planned.data_seed;
  row.record = sequence;
  return row;
}

void fold_into(RunRow& row, int64_t sequence, const RunStarted&) {
  row.state = RunState::kRunning;
  row.attempts += 1;
  row.start_record = sequence;
}

void fold_into(RunRow& row, int64_t, const AttemptEnded& attempt) {
  row.state = attempt.state == protocol::AttemptState::kStopped ? RunState::kStopped : RunState::kPlanned;
  row.reason = attempt.reason;
  row.failed_attempts += attempt.state == protocol::AttemptState::kFailed ? 1 : 0;
  if (!attempt.measured) return;
  row.seconds += attempt.measured->seconds;
  row.spent_flops += attempt.measured->flops;
  row.spent_optimizer_flops += attempt.measured->optimizer_flops.value_or(0);
  row.spent_evaluation_flops += attempt.measured->evaluation_flops.value_or(0);
}

void fold_into(RunRow& row, int64_t sequence, const RunFinished& finished) {
  row.state = finished.state;
  row.reason = finished.reason;
  row.seconds += finished.seconds;
  row.predicted_memory_bytes = finished.predicted_memory_bytes;
  row.finish_record = sequence;
  const RunFinished::Measured measured = finished.measured.value_or(RunFinished::Measured{});
  row.bits_per_byte = measured.bits_per_byte;
  row.loss = measured.loss;
  row.tokens_done = measured.tokens;
  row.flops_done = measured.flops;
  row.cpu_seconds += measured.cpu_seconds;
  row.spent_flops += measured.attempt_flops.value_or(measured.flops);
  row.spent_optimizer_flops += measured.optimizer_flops.value_or(0);
  row.spent_evaluation_flops += measured.evaluation_flops.value_or(0);
  row.peak_memory_bytes = measured.peak_memory_bytes;
}

}  // namespace

bool RunRow::gave_up() const {
  return state == RunState::kStopped && !ended() && reason.starts_with(protocol::kGaveUp);
}

bool is_record_kind(std::string_view kind) {
  return !kind.empty() &&
         std::all_of(kind.begin(), kind.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

std::string chain_hash(const std::string& previous_hash, int64_t sequence, const std::string& time,
                       const std::string& kind, const std::string& payload) {
  return sha256_hex(fmt::format("{}\n{}\n{}\n{}\n{}", previous_hash, sequence, time, kind, payload));
}

std::optional<RunRecord> run_record(const RawRecord& record) {
  const std::string where = fmt::format("record {}", record.sequence);
  if (record.kind == kKindOf<RunPlanned>.kind) return Codec<RunPlanned>::decode(record.payload, where);
  if (record.kind == kKindOf<RunStarted>.kind) return Codec<RunStarted>::decode(record.payload, where);
  if (record.kind == kKindOf<AttemptEnded>.kind) return Codec<AttemptEnded>::decode(record.payload, where);
  if (record.kind == kKindOf<RunFinished>.kind) return Codec<RunFinished>::decode(record.payload, where);
  return std::nullopt;
}

const std::string& run_of(const RunRecord& record) {
  return std::visit([](const auto& r) -> const std::string& { return r.run; }, record);
}

std::optional<Refusal> fold(std::optional<RunRow>& row, int64_t sequence, const RunRecord& record) {
  const std::string& id = run_of(record);
  if (const auto* planned = std::get_if<RunPlanned>(&record)) {
    if (row) return Refusal{Recording::kAlreadyPlanned, fmt::format("run {} is already in the ledger", id)};
    row = planned_row(sequence, *planned);
    return std::nullopt;
  }
  if (!row) return Refusal{Recording::kUnknownRun, fmt::format("run {} is not in the ledger", id)};
  if (row->finish_record != 0)
    return Refusal{Recording::kAlreadyFinished,
                   fmt::format("run {} has already finished ({})", id, protocol::name(row->state))};
  std::visit(
      [&](const auto& r) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(r)>, RunPlanned>) fold_into(*row, sequence, r);
      },
      record);
  return std::nullopt;
}

std::vector<std::string> row_difference(const RunRow& expected, const RunRow& found) {
  std::vector<std::string> fields;
  auto compare = [&](const char* name, const auto& a, const auto& b) {
    if (a != b) fields.emplace_back(name);
  };
  compare("stage", expected.stage, found.stage);
  compare("recipe_hash", expected.recipe_hash, found.recipe_hash);
  compare("segments", expected.segments, found.segments);
  compare("state", expected.state, found.state);
  compare("rung_flops", expected.rung_flops, found.rung_flops);
  compare("parameters", expected.parameters, found.parameters);
  compare("tokens", expected.tokens, found.tokens);
  compare("flops", expected.flops, found.flops);
  compare("reserved_seconds", expected.reserved_seconds, found.reserved_seconds);
  compare("seed", expected.seed, found.seed);
  compare("data_seed", expected.data_seed, found.data_seed);
  compare("attempts", expected.attempts, found.attempts);
  compare("failed_attempts", expected.failed_attempts, found.failed_attempts);
  compare("reason", expected.reason, found.reason);
  compare("bits_per_byte", expected.bits_per_byte, found.bits_per_byte);
  compare("loss", expected.loss, found.loss);
  compare("seconds", expected.seconds, found.seconds);
  compare("cpu_seconds", expected.cpu_seconds, found.cpu_seconds);
  compare("flops_done", expected.flops_done, found.flops_done);
  compare("tokens_done", expected.tokens_done, found.tokens_done);
  compare("spent_flops", expected.spent_flops, found.spent_flops);
  compare("spent_optimizer_flops", expected.spent_optimizer_flops, found.spent_optimizer_flops);
  compare("spent_evaluation_flops", expected.spent_evaluation_flops, found.spent_evaluation_flops);
  compare("peak_memory_bytes", expected.peak_memory_bytes, found.peak_memory_bytes);
  compare("predicted_memory_bytes", expected.predicted_memory_bytes, found.predicted_memory_bytes);
  compare("record", expected.record, found.record);
  compare("start_record", expected.start_record, found.start_record);
  compare("finish_record", expected.finish_record, found.finish_record);
  return fields;
}

}  // namespace flywheel::ledger
