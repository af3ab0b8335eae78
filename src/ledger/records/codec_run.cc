// Fields of the records of runs.
#include <algorithm>

#include "base/host/ownership.h"
#include "ledger/records/codec-inl.h"

namespace flywheel::ledger {

// Ids become names of folders.
template <typename V>
void check_run_id(const V& v, const std::string& id) {
  if constexpr (!V::kWrites) check_entry_name(id, v.where + ": run id");
}

template <typename V>
void fields(V& v, RunPlanned& r) {
  v.required("run", r.run);
  check_run_id(v, r.run);
  v.field("stage", r.stage);
  v.field("rung_flops", r.rung_flops);
  v.field("recipe_hash", r.recipe_hash);
  v.field("seed", r.seed);
  v.field("data_seed", r.data_seed);
  v.count("parameters", r.parameters);
  v.count("total_parameters", r.total_parameters);
  v.count("tokens", r.tokens);
  v.field("flops", r.flops);
  v.field("reserved_seconds", r.reserved_seconds);
  v.field("memory_bytes", r.memory_bytes);
  v.unless_empty("segments", r.segments);
  v.sparse("branch", r.branch);
  if (r.branch && !r.branch->empty()) check_run_id(v, *r.branch);
  v.sparse("new_flops", r.new_flops);
  v.sparse("optimizer_flops", r.optimizer_flops);
  v.sparse("lookup_bytes", r.lookup_bytes);
  v.sparse("artifact_bytes", r.artifact_bytes);
}

template <typename V>
void fields(V& v, RunStarted& r) {
  v.required("run", r.run);
  v.field("attempt", r.attempt);
  v.field("events_before", r.events_before);
  v.field("slots", r.slots);
}

template <typename V>
void fields(V& v, RunCurvePoint& p) {
  v.field("tokens", p.tokens);
  v.field("flops", p.flops);
  v.field("bits_per_byte", p.bits_per_byte);
  v.field("loss", p.loss);
  v.field("step", p.step);
}

template <typename V>
void fields(V& v, AttemptEnded::Measured& m) {
  v.field("attempt", m.attempt);
  v.field("seconds", m.seconds);
  v.field("flops", m.flops);
  v.sparse("optimizer_flops", m.optimizer_flops);
  v.sparse("evaluation_flops", m.evaluation_flops);
  v.field("curve", m.curve);
  v.unless_empty("seconds_by", m.seconds_by);
}

template <typename V>
void fields(V& v, AttemptEnded& r) {
  v.required("run", r.run);
  v.required("state", r.state);
  v.field("reason", r.reason);
  if constexpr (V::kWrites) {
    if (r.measured) fields(v, *r.measured);
  } else if (v.has("attempt") || v.has("seconds") || v.has("flops") || v.has("curve")) {
    fields(v, r.measured.emplace());
  }
}

template <typename V>
void fields(V& v, RunFinished::Measured& m) {
  v.nullable("bits_per_byte", m.bits_per_byte);
  v.nullable("loss", m.loss);
  sampling_fields(v, m.sampling);
  units_fields(v, m.units);
  v.sparse("bytes", m.eval_bytes);
  v.sparse("documents", m.eval_documents);
  v.field("tokens", m.tokens);
  v.field("flops", m.flops);
  v.sparse("attempt_flops", m.attempt_flops);
  v.sparse("optimizer_flops", m.optimizer_flops);
  v.sparse("evaluation_flops", m.evaluation_flops);
  v.field("train_seconds", m.train_seconds);
  v.field("cpu_seconds", m.cpu_seconds);
  v.field("peak_memory_bytes", m.peak_memory_bytes);
  v.field("precision", m.precision);
  v.field("program", m.program);
  v.unless_empty("seconds_by", m.seconds_by);
  v.field("curve", m.curve);
}

template <typename V>
void fields(V& v, RunFinished& r) {
  v.required("run", r.run);
  v.unless_empty("reason", r.reason);
  v.field("seconds", r.seconds);
  v.field("predicted_memory_bytes", r.predicted_memory_bytes);
  if constexpr (V::kWrites) {
    v.field("state", r.state);
    if (r.measured) fields(v, *r.measured);
  } else {
    using protocol::RunState;
    std::string state;
    v.required("state", state);
    const auto found = protocol::find_name<RunState>(state);
    if (found != RunState::kDone && found != RunState::kFailed && found != RunState::kStopped)
      throw_bad_input("{}: field \"state\": expected done, failed or stopped, found \"{}\"", v.where, state);
    r.state = *found;
    for (const char* field : {"bits_per_byte", "loss", "tokens", "flops", "cpu_seconds", "curve"})
      if (v.has(field) && !r.measured) fields(v, r.measured.emplace());
  }
}

template struct Codec<RunPlanned>;
template struct Codec<RunStarted>;
template struct Codec<AttemptEnded>;
template struct Codec<RunFinished>;

}  // namespace flywheel::ledger
