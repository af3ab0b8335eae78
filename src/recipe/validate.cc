// Combinations of fields that make no sense, each refused naming the fields: one function per part of the recipe.
// Inactive fields are refused in active.cc.
#include <algorithm>
#include <initializer_list>

#include "base/error.h"
#include "recipe/active.h"
#include "recipe/fields.h"
#include "recipe/mixers.h"
#include "recipe/recurrent.h"

namespace flywheel::recipe {
namespace {

bool only_mixers(const Recipe& recipe, std::initializer_list<Mixer> wanted) {
  const std::vector<std::string> names = mixer_names();
  for (size_t i = 0; i < names.size(); ++i) {
    const auto mixer = static_cast<Mixer>(i);
    if (has_mixer(recipe, mixer) && std::find(wanted.begin(), wanted.end(), mixer) == wanted.end()) return false;
  }
  return true;
}

void check_rotary(const Recipe& recipe, const std::string& where) {
  const Recipe::Model& m = recipe.model;
  if (m.rope_fraction == 1 && m.head_dim % 2 != 0)
    throw_bad_input("{}: field \"model.head_dim\": expected an even number with model.positions rope, found {}", where,
                    m.head_dim);
  const int width = rotary_width(recipe, Mixer::kAttention);
  if (width < 2 || width % 2 != 0)
    throw_bad_input(
        "{}: field \"model.rope_fraction\": expected an even width of at least 2 to rotate, found {:g} of "
        "model.head_dim "
        "{}, which is {}; without rotation say model.positions = \"none\"",
        where, m.rope_fraction, m.head_dim, width);
  if (has_mixer(recipe, Mixer::kLatent) && rotary_width(recipe, Mixer::kLatent) < 2)
    throw_bad_input(
        "{}: field \"model.head_dim\": expected at least 4 with \"latent\" in model.mixers and rotary positions, half "
        "of "
        "which is rotated, found {}",
        where, m.head_dim);
}

void check_attention(const Recipe& recipe, const std::string& where) {
  const Recipe::Model& m = recipe.model;
  if (is_active(recipe, "model.rope_fraction")) check_rotary(recipe, where);
  if (int64_t{m.head_dim} * m.kv_group > 1 << 15)
    throw_bad_input("{}: field \"model.kv_group\": expected head_dim * kv_group of at most {}, found {} * {}", where,
                    1 << 15, m.head_dim, m.kv_group);
  if (m.positions == Positions::kAlibi && !any_attends(recipe))
    throw_bad_input(
        "{}: field \"model.positions\": alibi belongs to attention, and model.mixers \"{}\" has no layer of it", where,
        m.mixers);
  if (m.value_residual && !only_mixers(recipe, {Mixer::kAttention, Mixer::kWindow}))
    throw_bad_input(
        "{}: field \"model.value_residual\": expected only \"attention\" and \"window\" in model.mixers, whose values "
        "have "
        "one shape, found \"{}\"",
        where, m.mixers);
}

void check_recurrent(const Recipe& recipe, const std::string& where) {
  const Recipe::Model& m = recipe.model;
  if (m.short_convolution == 1)
    throw_bad_input(
        "{}: field \"model.short_convolution\": expected 0 (off) or at least 2 taps, found 1, which mixes no tokens",
        where);
  if (m.short_convolution > 0 && has_mixer(recipe, Mixer::kLatent))
    throw_bad_input(
        "{}: field \"model.short_convolution\": expected 0 with \"latent\" in model.mixers, whose keys and values are "
        "made of a latent, found {}",
        where, m.short_convolution);
  if (m.short_convolution > 0 && has_mixer(recipe, Mixer::kRwkv7))
    throw_bad_input(
        "{}: field \"model.short_convolution\": expected 0 with \"rwkv7\" in model.mixers, which mixes tokens with the "
        "one before in its own way, found {}",
        where, m.short_convolution);
  bool recurrent = false;
  for (const Mixer mixer : {Mixer::kGatedLinear, Mixer::kMamba2, Mixer::kGatedDelta, Mixer::kRwkv7})
    recurrent = recurrent || has_mixer(recipe, mixer);
  if (!recurrent) return;
  if (key_width(recipe) > kMaxKeyWidth)
    throw_bad_input("{}: field \"model.state_dim\": expected keys of at most {} per head in \"{}\", found {}", where,
                    kMaxKeyWidth, m.mixers, key_width(recipe));
  if (m.head_dim > kMaxValueWidth)
    throw_bad_input("{}: field \"model.head_dim\": expected at most {} with \"{}\", found {}", where, kMaxValueWidth,
                    m.mixers, m.head_dim);
}

void check_feed_forward(const Recipe& recipe, const std::string& where) {
  const Recipe::Model& m = recipe.model;
  if (m.experts == 0) return;
  if (m.experts_active > m.experts)
    throw_bad_input("{}: field \"model.experts_active\": expected at most model.experts ({}), found {}", where,
                    m.experts, m.experts_active);
  if (m.expert_balance != ExpertBalance::kNone && m.expert_balance_rate == 0)
    throw_bad_input(
        "{}: field \"model.expert_balance_rate\": expected more than 0, or model.expert_balance none, found 0", where);
}

void check_residual(const Recipe& recipe, const std::string& where) {
  if (recipe.model.residual_scaling == ResidualScaling::kDepth &&
      recipe.initialisation.transfer == Transfer::kCompletep)
    throw_bad_input(
        "{}: field \"model.residual_scaling\": expected none or learned with initialisation.transfer completep, which "
        "scales what blocks add with the depth itself, found depth",
        where);
}

void check_ends(const Recipe& recipe, const std::string& where) {
  const Recipe::Model& m = recipe.model;
  if (m.ngram_embeddings == 1)
    throw_bad_input(
        "{}: field \"model.ngram_embeddings\": expected 0 (off) or at least 2, found 1: that is the token itself",
        where);
  if (m.predicted_tokens > m.context)
    throw_bad_input("{}: field \"model.predicted_tokens\": expected at most model.context ({}), found {}", where,
                    m.context, m.predicted_tokens);
}

void check_optimizer(const Recipe& recipe, const std::string& where) {
  const Recipe::Optimizer& o = recipe.optimizer;
  if (o.averaging == Averaging::kTail && o.average_fraction == 0)
    throw_bad_input(
        "{}: field \"optimizer.average_fraction\": expected more than 0 with optimizer.averaging tail, found 0", where);
  if (o.decay_form == WeightDecay::kIndependent && o.weight_decay > 1)
    throw_bad_input(
        "{}: field \"optimizer.weight_decay\": expected at most 1, all of a weight in a step, with "
        "optimizer.decay_form independent, found {:g}",
        where, o.weight_decay);
  if (o.kind != OptimizerKind::kScheduleFree) return;
  if (recipe.schedule.kind != ScheduleKind::kConstant)
    throw_bad_input(
        "{}: field \"schedule.kind\": expected constant with optimizer.kind schedule_free, which averages in the place "
        "of a decay",
        where);
  if (o.averaging != Averaging::kNone)
    throw_bad_input(
        "{}: field \"optimizer.averaging\": expected none with optimizer.kind schedule_free, whose result is an "
        "average already",
        where);
  if (o.cautious)
    throw_bad_input(
        "{}: field \"optimizer.cautious\": expected false with optimizer.kind schedule_free, whose steps never "
        "disagree with the gradient",
        where);
}

void check_schedule(const Recipe& recipe, const std::string& where) {
  const Recipe::Schedule& s = recipe.schedule;
  if (s.batch_ramp_fraction > 0 && s.batch_ramp_start >= 1)
    throw_bad_input(
        "{}: field \"schedule.batch_ramp_start\": expected less than 1 with schedule.batch_ramp_fraction {:g}, found "
        "{:g}",
        where, s.batch_ramp_fraction, s.batch_ramp_start);
  const double ramp_and_decay = s.batch_ramp_fraction + (s.kind == ScheduleKind::kWsd ? s.decay_fraction : 0);
  if (s.batch_ramp_fraction > 0 && ramp_and_decay > 1 + 1e-9)
    throw_bad_input(
        "{}: field \"schedule.batch_ramp_fraction\": expected batch_ramp_fraction + decay_fraction of at most 1, found "
        "{:g}",
        where, ramp_and_decay);
}

}  // namespace

void validate(const Recipe& recipe, const std::string& where) {
  Recipe scratch;
  for (const RecipeField& field : recipe_fields())
    set_field(scratch, field.section, field.name, field.get(recipe), where);
  check_attention(recipe, where);
  check_recurrent(recipe, where);
  check_feed_forward(recipe, where);
  check_residual(recipe, where);
  check_ends(recipe, where);
  check_optimizer(recipe, where);
  check_schedule(recipe, where);
  refuse_inactive_fields(recipe, where);
}

}  // namespace flywheel::recipe
