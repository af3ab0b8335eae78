// Fields of the records of what is known.
#include "base/host/ownership.h"
#include "ledger/records/codec-inl.h"

namespace flywheel::ledger {

template <typename V>
void fields(V& v, BacktestEntry& r) {
  v.field("train_below_flops", r.train_below_flops);
  v.field("held_out_flops", r.held_out_flops);
  v.field("predicted", r.predicted);
  v.field("low", r.low);
  v.field("high", r.high);
  v.field("measured", r.measured);
  v.field("error_percent", r.error_percent);
  v.field("inside", r.inside);
}

template <typename V>
void fields(V& v, FrontierEntry& r) {
  v.field("flops", r.flops);
  v.field("bits_per_byte", r.bits_per_byte);
  v.field("low", r.low);
  v.field("high", r.high);
}

template <typename V>
void fields(V& v, FitRecord& r) {
  v.required("name", r.name);
  v.field("form", r.form);
  v.field("parameters", r.parameters);
  v.field("interval95", r.interval95);
  v.field("objective", r.objective);
  v.field("residual_sd", r.residual_sd);
  v.field("identified", r.identified);
  v.field("warnings", r.warnings);
  v.field("data", r.data);
  v.sparse("backtest", r.backtest);
  v.sparse("frontier", r.frontier);
}

template <typename V>
void fields(V& v, TopForecast::Run& r) {
  v.required("run", r.run);
  if constexpr (!V::kWrites) check_entry_name(r.run, v.where + ": run id");
  v.field("parameters", r.parameters);
  v.field("tokens", r.tokens);
  v.field("predicted", r.predicted);
  v.field("low", r.low);
  v.field("high", r.high);
}

template <typename V>
void fields(V& v, TopForecast& r) {
  v.field("flops", r.flops);
  v.field("train_below_flops", r.train_below_flops);
  v.field("predicted", r.predicted);
  v.field("low", r.low);
  v.field("high", r.high);
  v.field("runs", r.runs);
  v.sparse("covariance", r.covariance);
}

template <typename V>
void fields(V& v, OptimumRecord::Wanted& r) {
  v.field("params", r.params);
  v.field("tokens", r.tokens);
  v.field("flops", r.flops);
}

template <typename V>
void fields(V& v, OptimumRecord& r) {
  v.required("identified", r.identified);
  v.field("why", r.why);
  v.field("model", r.model);
  v.field("a", r.a);
  v.field("low", r.low);
  v.field("high", r.high);
  v.field("runs_to_identify", r.runs_to_identify);
  v.field("warnings", r.warnings);
}

template <typename V>
void fields(V& v, FutureForecast::Entry& r) {
  v.required("multiply", r.multiply);
  v.sparse("along", r.along);
  v.field("flops", r.flops);
  v.field("params", r.params);
  v.field("tokens", r.tokens);
  v.field("bits_per_byte", r.bits_per_byte);
  v.field("low", r.low);
  v.field("high", r.high);
}

template <typename V>
void fields(V& v, FutureForecast& r) {
  v.required("forecast", r.forecast);
}

template <typename V>
void fields(V& v, ScoreRecord& r) {
  v.field("predicted", r.predicted);
  v.field("measured", r.measured);
  v.field("error_percent", r.error_percent);
  v.field("inside", r.inside);
  v.sparse("pit", r.pit);
  v.sparse("interval_score", r.interval_score);
}

template <typename V>
void fields(V& v, WallRecord& r) {
  v.required("verdict", r.verdict);
  v.field("slope", r.slope);
  v.field("slope_low", r.slope_low);
  v.field("slope_high", r.slope_high);
  v.field("smallest_detectable", r.smallest_detectable);
  v.field("why", r.why);
}

template <typename V>
void fields(V& v, EvaluationRecord& r) {
  v.required("run", r.run);
  if constexpr (!V::kWrites) check_entry_name(r.run, v.where + ": run id");
  v.required("split", r.split);
  v.field("tokens", r.tokens);
  v.field("loss", r.loss);
  v.field("bits_per_byte", r.bits_per_byte);
  v.unless_empty("segments", r.segments);
  v.sparse("bytes", r.bytes);
  v.sparse("documents", r.documents);
  sampling_fields(v, r.sampling);
  units_fields(v, r.units);
  v.sparse("evaluation_flops", r.evaluation_flops);
}

template struct Codec<FitRecord>;
template struct Codec<TopForecast>;
template struct Codec<OptimumRecord>;
template struct Codec<FutureForecast>;
template struct Codec<ScoreRecord>;
template struct Codec<WallRecord>;
template struct Codec<EvaluationRecord>;

}  // namespace flywheel::ledger
