#include "ledger/fold.h"

#include <algorithm>

#include "base/hash.h"
#include "protocol/run_events.h"

namespace flywheel::ledger {
namespace {

std::optional<double> optional_number(const Json& payload, const char* field, const std::string& where) {
  if (!payload.contains(field) || payload.at(field).is_null()) return std::nullopt;
  return json_field<double>(payload, field, where);
}

double number_or_zero(const Json& payload, const char* field, const std::string& where) {
  return json_field_or<double>(payload, field, 0.0, where);
}

RunRow planned_row(const Record& record, const std::string& where) {
  const Json& p = record.payload;
  RunRow row;
  row.run = json_field<std::string>(p, "run", where);
  row.stage = json_field_or<std::string>(p, "stage", "", where);
  row.recipe_hash = json_field_or<std::string>(p, "recipe_hash", "", where);
  row.state = "planned";
  row.rung_flops = number_or_zero(p, "rung_flops", where);
  row.parameters = number_or_zero(p, "parameters", where);
  row.tokens = number_or_zero(p, "tokens", where);
  row.flops = number_or_zero(p, "flops", where);
  row.reserved_seconds = number_or_zero(p, "reserved_seconds", where);
  row.seed = json_field_or<uint64_t>(p, "seed", 0, where);
  row.data_seed = json_field_or<uint64_t>(p, "data_seed", 0, where);
  row.record = record.sequence;
  return row;
}

void fold_attempt(RunRow& row, const Json& p, const std::string& where) {
  const auto state = json_field<std::string>(p, "state", where);
  if (state != "failed" && state != "stopped" && state != "lost")
    throw_bad_input("{}: field \"state\": expected failed, stopped or lost, found \"{}\"", where, state);
  row.state = state == "stopped" ? "stopped" : "planned";
  row.reason = json_field_or<std::string>(p, "reason", "", where);
  row.failed_attempts += state == "failed" ? 1 : 0;
  row.seconds += number_or_zero(p, "seconds", where);
  row.cpu_seconds += number_or_zero(p, "cpu_seconds", where);
  row.spent_flops += number_or_zero(p, "flops", where);
}

void fold_finish(RunRow& row, const Record& record, const std::string& where) {
  const Json& p = record.payload;
  const auto state = json_field<std::string>(p, "state", where);
  if (state != "done" && state != "failed" && state != "stopped")
    throw_bad_input("{}: field \"state\": expected done, failed or stopped, found \"{}\"", where, state);
  row.state = state;
  row.reason = json_field_or<std::string>(p, "reason", "", where);
  row.bits_per_byte = optional_number(p, "bits_per_byte", where);
  row.loss = optional_number(p, "loss", where);
  row.tokens_done = number_or_zero(p, "tokens", where);
  row.flops_done = number_or_zero(p, "flops", where);
  row.seconds += number_or_zero(p, "seconds", where);
  row.cpu_seconds += number_or_zero(p, "cpu_seconds", where);
  row.spent_flops += json_field_or<double>(p, "attempt_flops", row.flops_done, where);
  row.peak_memory_bytes = json_field_or<uint64_t>(p, "peak_memory_bytes", 0, where);
  row.predicted_memory_bytes = json_field_or<uint64_t>(p, "predicted_memory_bytes", 0, where);
  row.finish_record = record.sequence;
}

}  // namespace

bool RunRow::gave_up() const {
  return state == "stopped" && !ended() && reason.starts_with(protocol::kGaveUp);
}

bool is_record_kind(std::string_view kind) {
  return !kind.empty() &&
         std::all_of(kind.begin(), kind.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

bool touches_run(std::string_view kind) {
  return kind == "run" || kind == "start" || kind == "attempt" || kind == "finish";
}

std::string chain_hash(const std::string& previous_hash, int64_t sequence, const std::string& time,
                       const std::string& kind, const std::string& payload) {
  return sha256_hex(fmt::format("{}\n{}\n{}\n{}\n{}", previous_hash, sequence, time, kind, payload));
}

std::optional<Refusal> fold(std::optional<RunRow>& row, const Record& record) {
  const std::string where = fmt::format("{} record", record.kind);
  const auto id = json_field<std::string>(record.payload, "run", where);
  if (record.kind == "run") {
    if (row) return Refusal{Recording::kAlreadyPlanned, fmt::format("run {} is already in the ledger", id)};
    row = planned_row(record, where);
    return std::nullopt;
  }
  if (!row) return Refusal{Recording::kUnknownRun, fmt::format("run {} is not in the ledger", id)};
  if (row->finish_record != 0)
    return Refusal{Recording::kAlreadyFinished, fmt::format("run {} has already finished ({})", id, row->state)};
  RunRow next = *row;
  if (record.kind == "start") {
    next.state = "running";
    next.attempts += 1;
    next.start_record = record.sequence;
  } else if (record.kind == "attempt") {
    fold_attempt(next, record.payload, where);
  } else {
    fold_finish(next, record, where);
  }
  row = std::move(next);
  return std::nullopt;
}

std::vector<std::string> row_difference(const RunRow& expected, const RunRow& found) {
  std::vector<std::string> fields;
  auto compare = [&](const char* name, const auto& a, const auto& b) {
    if (a != b) fields.emplace_back(name);
  };
  compare("stage", expected.stage, found.stage);
  compare("recipe_hash", expected.recipe_hash, found.recipe_hash);
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
  compare("peak_memory_bytes", expected.peak_memory_bytes, found.peak_memory_bytes);
  compare("predicted_memory_bytes", expected.predicted_memory_bytes, found.predicted_memory_bytes);
  compare("record", expected.record, found.record);
  compare("start_record", expected.start_record, found.start_record);
  compare("finish_record", expected.finish_record, found.finish_record);
  return fields;
}

}  // namespace flywheel::ledger
