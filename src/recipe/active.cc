#include "recipe/active.h"

#include <algorithm>

#include "base/check.h"
#include "base/json.h"
#include "recipe/fields.h"
#include "recipe/mixers.h"

namespace flywheel::recipe {
namespace {

bool has_any(const Recipe& recipe, std::initializer_list<Mixer> mixers) {
  return std::any_of(mixers.begin(), mixers.end(), [&](Mixer mixer) { return has_mixer(recipe, mixer); });
}

bool has_own_keys(const Recipe& r) {
  return has_any(r, {Mixer::kAttention, Mixer::kWindow});
}
bool recurs(const Recipe& r) {
  return has_any(r, {Mixer::kGatedLinear, Mixer::kMamba2, Mixer::kGatedDelta, Mixer::kRwkv7});
}
bool rotates(const Recipe& r) {
  return r.model.positions == Positions::kRope && any_attends(r);
}
bool routes(const Recipe& r) {
  return r.model.experts > 0;
}
// With all experts active there is nothing to balance.
bool balances(const Recipe& r) {
  return r.model.experts > r.model.experts_active && r.model.expert_balance != ExpertBalance::kNone;
}
// A schedule that never decays has no last rate.
bool decays(const Recipe& r) {
  if (r.schedule.kind == ScheduleKind::kWsd) return r.schedule.decay_fraction > 0;
  return r.schedule.kind != ScheduleKind::kConstant;
}
bool has_kind(const Recipe& r, std::initializer_list<OptimizerKind> kinds) {
  return std::find(kinds.begin(), kinds.end(), r.optimizer.kind) != kinds.end();
}

constexpr std::string_view kAttends = "\"attention\", \"window\" or \"latent\" in model.mixers";
constexpr std::string_view kRotates =
    "model.positions rope and \"attention\", \"window\" or \"latent\" in model.mixers";

const FieldCondition kConditions[] = {
    {"model.mixers"},
    {"model.positions"},
    {"model.rope_base", rotates, kRotates},
    {"model.rope_fraction", rotates, kRotates},
    {"model.head_dim"},
    {"model.kv_group", has_own_keys, "\"attention\" or \"window\" in model.mixers, whose heads can share keys"},
    {"model.qk_norm", any_attends, kAttends},
    {"model.attention_softcap", any_attends, kAttends},
    {"model.window", [](const Recipe& r) { return has_mixer(r, Mixer::kWindow); }, "\"window\" in model.mixers"},
    {"model.attention_sink", any_attends, kAttends},
    {"model.attention_gate", any_attends, kAttends},
    {"model.latent_dim", [](const Recipe& r) { return has_mixer(r, Mixer::kLatent); }, "\"latent\" in model.mixers"},
    {"model.value_residual"},  // validate.cc says which mixers it fits
    {"model.state_dim", recurs, "\"gated_linear\", \"mamba2\", \"gated_delta\" or \"rwkv7\" in model.mixers"},
    {"model.short_convolution"},  // the same
    {"model.feed_forward"},
    {"model.feed_forward_ratio"},
    {"model.experts"},
    {"model.experts_active", routes, "model.experts more than 0"},
    {"model.experts_shared", routes, "model.experts more than 0"},
    {"model.expert_balance", routes, "model.experts more than 0"},
    {"model.expert_balance_rate", balances,
     "model.experts more than model.experts_active and model.expert_balance bias or loss"},
    {"model.norm"},
    {"model.norm_placement"},
    {"model.residual_scaling"},
    {"model.skips"},
    {"model.residual_streams"},
    {"model.tied_head"},
    {"model.ngram_embeddings"},
    {"model.ngram_rows", [](const Recipe& r) { return r.model.ngram_embeddings > 0; },
     "model.ngram_embeddings more than 0"},
    {"model.logit_softcap"},
    {"model.z_loss"},
    {"model.predicted_tokens"},
    {"model.context"},
    {"model.aspect"},
    {"optimizer.kind"},
    {"optimizer.learning_rate"},
    {"optimizer.adam_learning_rate",
     [](const Recipe& r) {
       return has_kind(r, {OptimizerKind::kMuon, OptimizerKind::kSoap});
     },
     "optimizer.kind muon or soap; the others have one rate, optimizer.learning_rate"},
    {"optimizer.beta1"},
    {"optimizer.beta2"},
    {"optimizer.epsilon", [](const Recipe& r) { return !has_kind(r, {OptimizerKind::kLion}); },
     "optimizer.kind adamw, muon, soap or schedule_free"},
    {"optimizer.momentum", [](const Recipe& r) { return has_kind(r, {OptimizerKind::kMuon}); }, "optimizer.kind muon"},
    {"optimizer.soap_interval", [](const Recipe& r) { return has_kind(r, {OptimizerKind::kSoap}); },
     "optimizer.kind soap"},
    {"optimizer.cautious"},  // validate.cc says with which kinds
    {"optimizer.weight_decay"},
    {"optimizer.decay_form", [](const Recipe& r) { return r.optimizer.weight_decay > 0; },
     "optimizer.weight_decay more than 0"},
    {"optimizer.gradient_clip"},
    {"optimizer.averaging"},  // the same
    {"optimizer.average_decay", [](const Recipe& r) { return r.optimizer.averaging == Averaging::kExponential; },
     "optimizer.averaging exponential"},
    {"optimizer.average_fraction", [](const Recipe& r) { return r.optimizer.averaging == Averaging::kTail; },
     "optimizer.averaging tail"},
    {"schedule.kind"},
    {"schedule.warmup_steps"},
    {"schedule.decay_fraction", [](const Recipe& r) { return r.schedule.kind == ScheduleKind::kWsd; },
     "schedule.kind wsd"},
    {"schedule.decay_shape",
     [](const Recipe& r) { return r.schedule.kind == ScheduleKind::kWsd && r.schedule.decay_fraction > 0; },
     "schedule.kind wsd with schedule.decay_fraction more than 0"},
    {"schedule.final_fraction", decays,
     "schedule.kind cosine or linear, or wsd with schedule.decay_fraction more than 0"},
    {"schedule.batch_ramp_fraction"},
    {"schedule.batch_ramp_start", [](const Recipe& r) { return r.schedule.batch_ramp_fraction > 0; },
     "schedule.batch_ramp_fraction more than 0"},
    {"initialisation.transfer"},
    {"initialisation.base_width", [](const Recipe& r) { return r.initialisation.transfer != Transfer::kStandard; },
     "initialisation.transfer mup or completep"},
    {"initialisation.base_depth", [](const Recipe& r) { return r.initialisation.transfer == Transfer::kCompletep; },
     "initialisation.transfer completep"},
    {"initialisation.standard_deviation"},
    {"scaling.tokens_per_parameter"},
    {"scaling.batch_tokens"},
    {"scaling.batch_exponent"},
    {"scaling.base_flops", [](const Recipe& r) { return r.scaling.batch_exponent > 0; },
     "scaling.batch_exponent more than 0"},
    {"data.tokenizer"},
};

}  // namespace

std::span<const FieldCondition> field_conditions() {
  return kConditions;
}

bool is_active(const Recipe& recipe, std::string_view field) {
  const FieldCondition* row = std::find_if(std::begin(kConditions), std::end(kConditions),
                                           [&](const FieldCondition& r) { return r.field == field; });
  CHECK(row != std::end(kConditions), "{} is no field", field);
  return row->active == nullptr || row->active(recipe);
}

void refuse_inactive_fields(const Recipe& recipe, const std::string& where) {
  static const Recipe kDefault;
  const std::span<const RecipeField> fields = recipe_fields();
  for (size_t i = 0; i < fields.size(); ++i) {
    const FieldCondition& condition = kConditions[i];
    if (is_active(recipe, condition.field)) continue;
    const Json usual = fields[i].get(kDefault), found = fields[i].get(recipe);
    if (found == usual) continue;
    throw_bad_input("{}: field \"{}\": it has no effect here, only with {}; found {}, expected its default {}", where,
                    condition.field, condition.where, field_text(fields[i], recipe), field_text(fields[i], kDefault));
  }
}

}  // namespace flywheel::recipe
