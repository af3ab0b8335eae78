// Fields of a campaign's decisions.
#include "ledger/records/codec-inl.h"

namespace flywheel::ledger {

template <typename V>
void fields(V& v, CalibrateDecision& r) {
  v.required("parameters", r.parameters);
  v.required("flops", r.flops);
}

template <typename V>
void fields(V& v, LadderFields& r) {
  v.required("rungs", r.rungs);
  v.required("tune_runs", r.tune_runs);
  v.required("transfer_runs", r.transfer_runs);
  v.required("noise_runs", r.noise_runs);
  v.required("lowest_sizes", r.lowest_sizes);
  v.required("middle_sizes", r.middle_sizes);
  v.required("top_sizes", r.top_sizes);
  v.required("expected_wall_seconds", r.expected_wall_seconds);
  v.required("expected_flops", r.expected_flops);
  v.required("limits", r.limits);
}

template <typename V>
void fields(V& v, LadderDecision& r) {
  fields(v, r.plan);
  v.required("final_seconds", r.final_seconds);
  v.sparse("final_flops", r.final_flops);
  v.sparse("final_tokens", r.final_tokens);
}

template <typename V>
void fields(V& v, SecondLadderDecision& r) {
  fields(v, r.plan);
}

template <typename V>
void fields(V& v, LearningRateDecision& r) {
  v.required("multiplier", r.multiplier);
  v.field("lowest_rung_multiplier", r.lowest_rung_multiplier);
  v.field("transfers", r.transfers);
  v.required("words", r.words);
  v.field("noise_sd", r.noise_sd);
  v.required("learning_rate", r.learning_rate);
  v.sparse("context_free", r.context_free);
  v.sparse("learns_from_flops", r.learns_from_flops);
}

template <typename V>
void fields(V& v, SweepRungDecision& r) {
  v.required("go_up", r.go_up);
}

template <typename V>
void fields(V& v, SearchDecision& r) {
  v.required("screen_flops", r.screen_flops);
  v.required("confirm_flops", r.confirm_flops);
  v.required("enough", r.enough);
  v.field("limits", r.limits);
  v.sparse("endurance", r.endurance);
  v.sparse("earlier", r.earlier);
  v.sparse("earlier_variances", r.earlier_variances);
}

template <typename V>
void fields(V& v, SearchRoundDecision& r) {
  v.required("go_on", r.go_on);
  v.field("flops_left", r.flops_left);
  v.sparse("before_ladder", r.before_ladder);
}

template <typename V>
void fields(V& v, AblationRoundDecision& r) {
  v.required("go_on", r.go_on);
  v.field("flops_left", r.flops_left);
  v.sparse("before_ladder", r.before_ladder);
}

template <typename V>
void fields(V& v, TimeDecision& r) {
  v.required("ratio", r.ratio);
  v.sparse("low", r.low);
  v.sparse("high", r.high);
}

template <typename V>
void fields(V& v, AdoptionDecision& r) {
  v.field("label", r.label);
  v.required("patches", r.patches);
  v.required("difference", r.difference);
  v.field("low", r.low);
  v.field("high", r.high);
  v.field("runs", r.runs);
}

template <typename V>
void fields(V& v, RungDecision& r) {
  v.required("centre", r.centre);
  v.required("climb", r.climb);
  v.sparse("sizes", r.sizes);
  v.unless_empty("bracket", r.bracket);
  v.sparse("limits", r.limits);
}

template <typename V>
void fields(V& v, BracketDecision& r) {
  v.required("inner", r.inner);
  v.sparse("sizes", r.sizes);
  v.unless_empty("why", r.why);
}

template <typename V>
void fields(V& v, MoveDecision& r) {
  v.required("rungs", r.rungs);
  v.field("why", r.why);
}

template <typename V>
void fields(V& v, TopDecision& r) {
  v.required("flops", r.flops);
  v.required("centre", r.centre);
}

template <typename V>
void fields(V& v, FurtherTopDecision& r) {
  v.required("climb", r.climb);
  v.field("flops", r.flops);
  v.field("centre", r.centre);
}

template <typename V>
void fields(V& v, CompareDecision& r) {
  v.required("rungs", r.rungs);
}

template struct Codec<CalibrateDecision>;
template struct Codec<LadderDecision>;
template struct Codec<SecondLadderDecision>;
template struct Codec<SweepRungDecision>;
template struct Codec<LearningRateDecision>;
template struct Codec<SearchDecision>;
template struct Codec<SearchRoundDecision>;
template struct Codec<AblationRoundDecision>;
template struct Codec<TimeDecision>;
template struct Codec<AdoptionDecision>;
template struct Codec<RungDecision>;
template struct Codec<BracketDecision>;
template struct Codec<MoveDecision>;
template struct Codec<TopDecision>;
template struct Codec<FurtherTopDecision>;
template struct Codec<CompareDecision>;

}  // namespace flywheel::ledger
