// Combinations of fields that make no sense, each refused naming the fields: one function per part of the recipe.
#include "recipe/fields.h"
#include "recipe/mixers.h"
#include "recipe/recurrent.h"

namespace flywheel {
namespace {

void check_attention(const Recipe& recipe, const std::string& where) {
  const Recipe::Model& m = recipe.model;
  if (m.positions == Positions::kRope && m.head_dim % 2 != 0)
    throw_bad_input("{}: field \"model.head_dim\": expected an even number with rotary positions, found {}", where,
                    m.head_dim);
  if (int64_t{m.head_dim} * m.kv_group > 1 << 15)
    throw_bad_input("{}: field \"model.kv_group\": expected head_dim * kv_group of at most {}, found {} * {}", where,
                    1 << 15, m.head_dim, m.kv_group);
}

void check_recurrent(const Recipe& recipe, const std::string& where) {
  const Recipe::Model& m = recipe.model;
  if (m.short_convolution == 1)
    throw_bad_input(
        "{}: field \"model.short_convolution\": expected 0 (off) or at least 2 taps, found 1, which mixes no tokens",
        where);
  bool recurrent = false;
  for (const Mixer mixer : {Mixer::kGatedLinear, Mixer::kMamba2, Mixer::kGatedDelta})
    recurrent = recurrent || has_mixer(recipe, mixer);
  if (!recurrent) return;
  if (key_width(recipe) > kMaxKeyWidth)
    throw_bad_input("{}: field \"model.state_dim\": expected keys of at most {} per head in \"{}\", found {}", where,
                    kMaxKeyWidth, m.mixers, key_width(recipe));
  if (m.head_dim > kMaxValueWidth)
    throw_bad_input("{}: field \"model.head_dim\": expected at most {} with \"{}\", found {}", where, kMaxValueWidth,
                    m.mixers, m.head_dim);
}

void check_feed_forward(const Recipe&, const std::string&) {}

void check_residual(const Recipe&, const std::string&) {}

void check_ends(const Recipe&, const std::string&) {}

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
