// Combinations of fields that make no sense, each refused naming the fields: one function per part of the recipe.
#include "recipe/fields.h"
#include "recipe/mixers.h"

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
