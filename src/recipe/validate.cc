// Combinations of fields that make no sense, each refused naming the fields: one function per part of the recipe.
#include <algorithm>
#include <initializer_list>
#include <utility>

#include "recipe/fields.h"
#include "recipe/mixers.h"

namespace flywheel {
namespace {

bool only_mixers(const Recipe& recipe, std::initializer_list<Mixer> wanted) {
  const std::vector<std::string> names = mixer_names();
  for (size_t i = 0; i < names.size(); ++i) {
    const auto mixer = static_cast<Mixer>(i);
    if (has_mixer(recipe, mixer) && std::find(wanted.begin(), wanted.end(), mixer) == wanted.end()) return false;
  }
  return true;
}

bool any_attends(const Recipe& recipe) {
  for (size_t i = 0; i < mixer_names().size(); ++i) {
    if (attends(static_cast<Mixer>(i)) && has_mixer(recipe, static_cast<Mixer>(i))) return true;
  }
  return false;
}

void check_rotary(const Recipe& recipe, const std::string& where) {
  const Recipe::Model& m = recipe.model;
  if (m.rope_fraction == 1 && m.head_dim % 2 != 0)
    throw_bad_input("{}: field \"model.head_dim\": expected an even number with rotary positions, found {}", where,
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
  if (m.positions == Positions::kRope) check_rotary(recipe, where);
  if (int64_t{m.head_dim} * m.kv_group > 1 << 15)
    throw_bad_input("{}: field \"model.kv_group\": expected head_dim * kv_group of at most {}, found {} * {}", where,
                    1 << 15, m.head_dim, m.kv_group);
  if (!any_attends(recipe)) {
    const std::pair<bool, const char*> wants_attention[] = {{m.positions == Positions::kAlibi, "positions"},
                                                            {m.attention_softcap > 0, "attention_softcap"},
                                                            {m.attention_sink, "attention_sink"},
                                                            {m.attention_gate, "attention_gate"}};
    for (const auto& [set, field] : wants_attention) {
      if (set)
        throw_bad_input("{}: field \"model.{}\": belongs to attention, and model.mixers \"{}\" has no layer of it",
                        where, field, m.mixers);
    }
  }
  if (m.value_residual && !only_mixers(recipe, {Mixer::kAttention, Mixer::kWindow}))
    throw_bad_input(
        "{}: field \"model.value_residual\": expected only \"attention\" and \"window\" in model.mixers, whose values "
        "have "
        "one shape, found \"{}\"",
        where, m.mixers);
  if (m.kv_group > 1 && only_mixers(recipe, {Mixer::kLatent}))
    throw_bad_input(
        "{}: field \"model.kv_group\": expected 1 when model.mixers is \"{}\", whose heads have keys of their own, "
        "found {}",
        where, m.mixers, m.kv_group);
}

void check_recurrent(const Recipe&, const std::string&) {}

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

void check_optimizer(const Recipe&, const std::string&) {}

void check_schedule(const Recipe& recipe, const std::string& where) {
  const double fractions = recipe.schedule.warmup_fraction +
                           (recipe.schedule.kind == ScheduleKind::kWsd ? recipe.schedule.decay_fraction : 0);
  if (fractions > 1 + 1e-9)
    throw_bad_input(
        "{}: field \"schedule.decay_fraction\": expected warmup_fraction + decay_fraction of at most 1, found {:g}",
        where, fractions);
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
}

}  // namespace flywheel
