// Fields of the records of the search and of comparisons.
#include "ledger/records/codec-inl.h"

namespace flywheel::ledger {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// An interval whose value has a field name of its own, beside "low" and "high".
template <typename V>
void interval_fields(V& v, Interval& interval, const char* value) {
  v.finite(value, interval.value, kNan);
  v.finite("low", interval.low, -kInfinity);
  v.finite("high", interval.high, kInfinity);
}

}  // namespace

template <typename V>
void fields(V& v, Interval& interval) {
  interval_fields(v, interval, "value");
}

template <typename V>
void fields(V& v, Slope& slope) {
  v.field("value", slope.value);
  v.field("sd", slope.sd);
}

template <typename V>
void fields(V& v, ComparedCosts& c) {
  v.field("flops", c.flops);
  const auto both = [&](const char* name, double RunCosts::*cost) {
    std::map<std::string, double> sides{{"base", c.base.*cost}, {"candidate", c.candidate.*cost}};
    v.field(name, sides);
    if constexpr (!V::kWrites) {
      c.base.*cost = sides["base"];
      c.candidate.*cost = sides["candidate"];
    }
  };
  both("model_flops", &RunCosts::model_flops);
  both("optimizer_flops", &RunCosts::optimizer_flops);
  both("seconds", &RunCosts::seconds);
  both("parameters", &RunCosts::parameters);
  both("matrix_parameters", &RunCosts::matrix_parameters);
  both("artifact_bytes", &RunCosts::artifact_bytes);
  both("lookup_bytes", &RunCosts::lookup_bytes);
}

template <typename V>
void fields(V& v, RungEffect& r) {
  v.field("flops", r.flops);
  v.field("pairs", r.pairs);
  interval_fields(v, r.difference, "difference");
  v.field("compute_multiplier", r.multiplier);
  sampling_fields(v, r.sampling);
}

template <typename V>
void fields(V& v, ProposalRecord& r) {
  v.required("id", r.id);
  v.field("proposer", r.proposer);
  v.field("label", r.label);
  v.field("patches", r.patches);
  v.required("outcome", r.outcome);
  v.field("reason", r.reason);
  v.field("screened", r.screened);
  v.sparse("confirmed", r.confirmed);
  v.field("flops", r.flops);
}

template <typename V>
void fields(V& v, FindingRecord::Extrapolated& e) {
  interval_fields(v, e.multiplier, "compute_multiplier");
  v.field("flops", e.flops);
}

template <typename V>
void fields(V& v, FindingRecord::Ablation& a) {
  v.field("pairs", a.pairs);
  v.field("difference_without", a.difference_without);
}

template <typename V>
void fields(V& v, FindingRecord& r) {
  v.required("id", r.id);
  v.field("proposer", r.proposer);
  v.field("label", r.label);
  v.field("change", r.change);
  v.field("patches", r.patches);
  v.field("recipe_hash", r.recipe_hash);
  v.field("difference", r.difference);
  interval_fields(v, r.multiplier, "compute_multiplier");
  v.field("slope", r.slope);
  v.field("rungs", r.rungs);
  v.field("by_rung", r.by_rung);
  sampling_fields(v, r.sampling);
  v.field("pairs", r.pairs);
  v.field("log_e", r.log_e);
  v.field("level", r.level);
  v.field("test", r.test);
  v.field("split", r.split);
  v.field("runs", r.runs);
  v.sparse("time_multiplier", r.time_multiplier);
  v.sparse("cpu_share", r.cpu_share);
  v.sparse("costs", r.costs);
  v.sparse("extrapolated", r.extrapolated);
  if (r.extrapolated) v.field("warning", r.extrapolated->warning);
  v.sparse("ablation", r.ablation);
}

template <typename V>
void fields(V& v, SearchRecord::Needed& n) {
  v.field("noise_floor", n.noise_floor);
  v.field("pairs", n.pairs);
  v.field("flops", n.flops);
  v.nullable("smallest_gain", n.smallest_gain);
}

template <typename V>
void fields(V& v, SearchRecord::Endurance& e) {
  v.field("runs", e.runs);
  v.field("ruined", e.ruined);
}

template <typename V>
void fields(V& v, SearchRecord::Proposer& p) {
  v.required("proposer", p.proposer);
  v.field("proposed", p.proposed);
  v.field("failed", p.failed);
  v.field("repeats", p.repeats);
  v.field("stopped", p.stopped);
  v.field("adopted", p.adopted);
  v.field("gain", p.gain);
  v.field("flops", p.flops);
  v.field("dropped", p.dropped);
}

template <typename V>
void fields(V& v, SearchRecord& r) {
  v.required("tried", r.tried);
  v.field("tests", r.tests);
  v.field("alpha", r.alpha);
  v.field("guarantee", r.guarantee);
  v.field("screen_flops", r.screen_flops);
  v.field("confirm_flops", r.confirm_flops);
  v.field("noise_sd", r.noise_sd);
  v.field("outcomes", r.outcomes);
  v.sparse("needed", r.needed);
  v.sparse("ended", r.ended);
  v.sparse("endurance", r.endurance);
  v.field("stopped", r.stopped);
  v.field("saved_flops", r.saved_flops);
  v.field("flops", r.flops);
  v.field("proposers", r.proposers);
}

template <typename V>
void fields(V& v, GainRecord::Rung& r) {
  fields(v, r.effect);
  v.nullable("at_least", r.at_least);
}

template <typename V>
void fields(V& v, GainRecord& r) {
  v.required("split", r.split);
  v.field("start_hash", r.start_hash);
  v.field("recipe_hash", r.recipe_hash);
  v.field("flops", r.flops);
  v.field("rungs", r.rungs);
  v.field("slope", r.slope);
  v.field("runs", r.runs);
  if (r.split == protocol::Split::kLocked) v.nullable("inside", r.inside);
}

template <typename V>
void fields(V& v, ComparisonRecord::Spend& s) {
  v.field("seconds", s.seconds);
  v.field("train_flops", s.train_flops);
  v.sparse("optimizer_flops", s.optimizer_flops);
  v.sparse("evaluation_flops", s.evaluation_flops);
  v.field("runs", s.runs);
}

template <typename V>
void fields(V& v, ComparisonRecord::Sides& s) {
  v.field("base", s.base);
  v.field("candidate", s.candidate);
}

template <typename V>
void fields(V& v, ComparisonRecord& r) {
  v.required("verdict", r.verdict);
  interval_fields(v, r.difference, "difference");
  v.nullable("compute_multiplier", r.multiplier);
  sampling_fields(v, r.sampling);
  v.sparse("time_multiplier", r.time_multiplier);
  v.sparse("cpu_share", r.cpu_share);
  v.sparse("costs", r.costs);
  v.field("rungs", r.rungs);
  v.sparse("warning", r.warning);
  v.sparse("why", r.why);
  v.sparse("bound", r.bound);
  v.sparse("bound_worth", r.bound_worth);
  v.sparse("smallest_effect", r.smallest_effect);
  v.sparse("more_budget", r.more_budget);
  v.sparse("expected_verdict", r.expected_verdict);
  v.sparse("failed_runs", r.failed);
  v.sparse("ruined_runs", r.ruined);
  v.field("spend", r.spend);
}

template struct Codec<ProposalRecord>;
template struct Codec<FindingRecord>;
template struct Codec<SearchRecord>;
template struct Codec<GainRecord>;
template struct Codec<ComparisonRecord>;

}  // namespace flywheel::ledger
