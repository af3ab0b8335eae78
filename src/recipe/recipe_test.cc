#include "recipe/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "base/json.h"
#include "recipe/fields.h"
#include "testing/recipe_contexts.h"

namespace flywheel::recipe {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename F>
std::string refusal(F&& action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    return e.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

std::string toml_refusal(const std::string& text) {
  return refusal([&] { recipe_from_toml(text, "r.toml"); });
}

// The first context in which the field may take another value.
Recipe with_other_value(const RecipeField& field) {
  for (const std::vector<std::string>& context : testing::recipe_contexts()) {
    Recipe changed = apply_patches(Recipe(), context);
    field.set(changed, testing::other_value(field, changed));
    try {
      validate(changed, "changed");
      return changed;
    } catch (const Error&) {
    }
  }
  ADD_FAILURE() << field.full_name() << " is always refused";
  return Recipe();
}

TEST(Recipe, HashOfTheDefaultIsKnown) {
  EXPECT_EQ(recipe_hash(Recipe()), "dbf2f1fea1eec7f10c294d96f9437404fac1cadf8c25f4cf8b2d12c362e6f7e0");
}

TEST(Recipe, TableCoversEveryFieldOnce) {
  std::set<std::string> names;
  for (const RecipeField& field : recipe_fields()) {
    EXPECT_TRUE(names.insert(field.full_name()).second) << field.full_name();
    EXPECT_FALSE(field.doc.empty());
  }
  EXPECT_EQ(names.size(), 66u);
}

TEST(Recipe, EveryFieldSurvivesTomlJsonAndPatchAndChangesTheHash) {
  for (const RecipeField& field : recipe_fields()) {
    if (field.choices.size() == 1) continue;
    SCOPED_TRACE(field.full_name());
    const Recipe changed = with_other_value(field);
    EXPECT_NE(recipe_hash(changed), recipe_hash(Recipe()));
    EXPECT_EQ(recipe_hash(recipe_from_toml(to_toml(changed), "t")), recipe_hash(changed));
    EXPECT_EQ(recipe_hash(recipe_from_json(to_json(changed), "j")), recipe_hash(changed));
    std::vector<std::string> patches, differences;
    for (const RecipeField& other : recipe_fields()) {
      if (other.get(changed) == other.get(Recipe())) continue;
      patches.push_back(testing::set_patch(other, other.get(changed)));
      differences.push_back(other.full_name() + ": " + field_text(other, Recipe()) + " -> " +
                            field_text(other, changed));
    }
    EXPECT_EQ(recipe_hash(apply_patches(Recipe(), patches)), recipe_hash(changed));
    EXPECT_EQ(recipe_difference(Recipe(), changed), differences);
  }
}

TEST(Recipe, NotationDoesNotChangeTheHash) {
  const Recipe a = recipe_from_toml("[optimizer]\nweight_decay = 0\n[scaling]\nbase_flops = 1_000_000_000_000\n", "a");
  const Recipe b = recipe_from_toml("scaling.base_flops = 1e12\noptimizer.weight_decay = -0.0\n", "b");
  EXPECT_EQ(recipe_hash(a), recipe_hash(b));
  EXPECT_EQ(recipe_hash(recipe_from_toml("", "empty")), recipe_hash(Recipe()));
}

TEST(Recipe, DifferenceNamesFieldOldAndNew) {
  const Recipe changed = apply_patch(apply_patch(Recipe(), "optimizer.learning_rate=0.01"), "model.norm=layernorm");
  EXPECT_THAT(recipe_difference(Recipe(), changed),
              ElementsAre("model.norm: rmsnorm -> layernorm", "optimizer.learning_rate: 0.02 -> 0.01"));
}

TEST(Recipe, RefusalsNameFileLineFieldExpectedAndFound) {
  EXPECT_THAT(toml_refusal("[model]\nhead_dim = 16\nhaed_dim = 3\n"),
              AllOf(HasSubstr("r.toml:3"), HasSubstr("model.haed_dim"), HasSubstr("did you mean \"model.head_dim\"")));
  EXPECT_THAT(toml_refusal("[model]\nlearning_rate = 3\n"), HasSubstr("did you mean \"optimizer.learning_rate\""));
  EXPECT_THAT(toml_refusal("learning_rate = 3\n"), HasSubstr("did you mean \"optimizer.learning_rate\""));
  EXPECT_THAT(toml_refusal("[optimiser]\nkind = \"muon\"\n"), HasSubstr("did you mean \"optimizer\""));
  EXPECT_THAT(toml_refusal("\n[model]\ncontext = 1\n"),
              AllOf(HasSubstr("r.toml:3"), HasSubstr("whole number from 2"), HasSubstr("found 1")));
  EXPECT_THAT(toml_refusal("[optimizer]\nlearning_rate = -1\n"), HasSubstr("optimizer.learning_rate"));
  EXPECT_THAT(toml_refusal("[optimizer]\nlearning_rate = nan\n"), HasSubstr("found \"nan\""));
  EXPECT_THAT(toml_refusal("[optimizer]\nkind = \"sgd\"\n"),
              AllOf(HasSubstr("one of adamw, muon"), HasSubstr("found \"sgd\"")));
  EXPECT_THAT(toml_refusal("[model]\nqk_norm = 1\n"), HasSubstr("true or false"));
  EXPECT_THAT(toml_refusal("[model]\nhead_dim = 16.5\n"), HasSubstr("whole number"));
  EXPECT_THAT(toml_refusal("[model]\nhead_dim = [16]\n"), HasSubstr("found []"));
  EXPECT_THAT(toml_refusal("model = 3\n"), HasSubstr("expected a section"));
  EXPECT_THAT(toml_refusal("[data]\ntokenizer = \"bpe\"\n"), HasSubstr("\"byte\""));
  EXPECT_THAT(toml_refusal("[model\n"), AllOf(HasSubstr("r.toml:1"), HasSubstr("not valid TOML")));
}

TEST(Recipe, FieldsThatDoNotFitTogetherAreRefused) {
  EXPECT_THAT(toml_refusal("[model]\nhead_dim = 15\n"), HasSubstr("model.head_dim"));
  EXPECT_EQ(recipe_from_toml("[model]\nhead_dim = 15\npositions = \"learned\"", "ok").model.head_dim, 15);
  const std::string schedule_free = "[schedule]\nkind = \"constant\"\n[optimizer]\nkind = \"schedule_free\"\n";
  EXPECT_EQ(recipe_from_toml(schedule_free, "r").optimizer.kind, OptimizerKind::kScheduleFree);
  EXPECT_THAT(toml_refusal("[optimizer]\nkind = \"schedule_free\"\n"),
              AllOf(HasSubstr("schedule.kind"), HasSubstr("optimizer.kind")));
  for (const char* averaging : {"exponential", "tail"})
    EXPECT_THAT(toml_refusal(schedule_free + "averaging = \"" + averaging + "\"\n"),
                AllOf(HasSubstr("optimizer.averaging"), HasSubstr("optimizer.kind")));
  EXPECT_THAT(toml_refusal(schedule_free + "cautious = true\n"),
              AllOf(HasSubstr("optimizer.cautious"), HasSubstr("optimizer.kind")));
  EXPECT_THAT(toml_refusal("[optimizer]\naveraging = \"tail\"\naverage_fraction = 0\n"),
              AllOf(HasSubstr("optimizer.average_fraction"), HasSubstr("optimizer.averaging")));
  EXPECT_THAT(toml_refusal("[optimizer]\ndecay_form = \"independent\"\nweight_decay = 1.5\n"),
              AllOf(HasSubstr("optimizer.weight_decay"), HasSubstr("optimizer.decay_form")));
  EXPECT_THAT(toml_refusal("[initialisation]\ntransfer = \"completep\"\n[model]\nresidual_scaling = \"depth\"\n"),
              AllOf(HasSubstr("model.residual_scaling"), HasSubstr("initialisation.transfer")));
  Recipe bad;
  bad.model.context = -5;
  EXPECT_THAT(refusal([&] { validate(bad, "code"); }), HasSubstr("model.context"));
}

TEST(Recipe, AttentionThatMakesNoSenseIsRefusedNamingTheFields) {
  const auto refused = [](const auto& change) {
    Recipe recipe;
    change(recipe.model);
    return refusal([&] { validate(recipe, "r.toml"); });
  };
  using M = Recipe::Model;
  for (double fraction : {0.0, 0.05, 0.2})  // of 16: nothing, 1 and 3
    EXPECT_THAT(refused([&](M& m) { m.rope_fraction = fraction; }),
                AllOf(HasSubstr("r.toml"), HasSubstr("model.rope_fraction"), HasSubstr("model.head_dim")));
  EXPECT_THAT(refused([](M& m) {
                m.mixers = "attention,latent";
                m.head_dim = 2;
              }),
              AllOf(HasSubstr("model.head_dim"), HasSubstr("latent")));
  for (const char* mixers : {"latent", "window,latent"})
    EXPECT_THAT(refused([&](M& m) {
                  m.mixers = mixers;
                  m.value_residual = true;
                }),
                AllOf(HasSubstr("model.value_residual"), HasSubstr("model.mixers")));
  EXPECT_THAT(refused([](M& m) {
                m.mixers = "latent";
                m.kv_group = 2;
              }),
              AllOf(HasSubstr("model.kv_group"), HasSubstr("model.mixers")));
  Recipe fine;
  fine.model.head_dim = 15;
  fine.model.rope_fraction = 0.4;  // 6 of an odd width
  fine.model.mixers = "window,latent,attention";
  fine.model.kv_group = 2;
  fine.model.attention_sink = fine.model.attention_gate = true;
  validate(fine, "fine");
}

TEST(Recipe, RecurrencesThatMakeNoSenseAreRefusedNamingTheFields) {
  const auto refused = [](const char* mixers, int state_dim, int head_dim, int taps) {
    Recipe recipe;
    recipe.model.mixers = mixers;
    recipe.model.state_dim = state_dim;
    recipe.model.head_dim = head_dim;
    recipe.model.short_convolution = taps;
    return refusal([&] { validate(recipe, "r.toml"); });
  };
  for (const char* mixers : {"gated_linear", "attention,mamba2", "gated_delta", "rwkv7"}) {
    EXPECT_THAT(refused(mixers, 300, 16, 0), AllOf(HasSubstr("model.state_dim"), HasSubstr(mixers)));
    EXPECT_THAT(refused(mixers, 16, 512, 0), AllOf(HasSubstr("model.head_dim"), HasSubstr(mixers)));
    EXPECT_THAT(refused(mixers, 0, 16, 1), HasSubstr("model.short_convolution"));
  }
  for (const char* mixers : {"latent", "rwkv7", "gated_delta,rwkv7"})
    EXPECT_THAT(refused(mixers, 0, 16, 4), AllOf(HasSubstr("model.short_convolution"), HasSubstr("model.mixers")));
  Recipe fine;
  fine.model.mixers = "gated_delta,gated_delta,gated_delta,attention";
  fine.model.state_dim = 256;
  fine.model.short_convolution = 4;
  validate(fine, "fine");
}

TEST(Recipe, ExpertsStreamsAndEndsThatMakeNoSenseAreRefusedNamingTheFields) {
  const auto refused = [](const auto& change) {
    Recipe recipe;
    change(recipe);
    return refusal([&] { validate(recipe, "r.toml"); });
  };
  EXPECT_THAT(refused([](Recipe& r) {
                r.model.experts = 4;
                r.model.experts_active = 5;
              }),
              AllOf(HasSubstr("model.experts_active"), HasSubstr("model.experts (4)"), HasSubstr("found 5")));
  EXPECT_THAT(refused([](Recipe& r) {
                r.model.experts = 4;
                r.model.expert_balance_rate = 0;
              }),
              AllOf(HasSubstr("model.expert_balance_rate"), HasSubstr("model.expert_balance none")));
  EXPECT_THAT(refused([](Recipe& r) { r.model.ngram_embeddings = 1; }), HasSubstr("model.ngram_embeddings"));
  EXPECT_THAT(refused([](Recipe& r) {
                r.model.context = 4;
                r.model.predicted_tokens = 5;
              }),
              AllOf(HasSubstr("model.predicted_tokens"), HasSubstr("model.context (4)")));
  Recipe fine;
  fine.model.experts = fine.model.experts_active = 4;
  fine.model.experts_shared = 2;
  fine.model.residual_streams = 4;
  fine.model.skips = Skips::kUnet;
  fine.model.predicted_tokens = fine.model.context = 8;
  validate(fine, "fine");
}

TEST(Recipe, BadPatchesAreRefused) {
  for (const char* patch :
       {"", "=", ".", "a=b", "model.context", "model.context=", "model.context=12x", "model.context=1e99", "model.=3",
        "model.qk_norm=yes", "optimizer.learning_rate=inf", "nothing.at=all"})
    EXPECT_THAT(refusal([&] { apply_patch(Recipe(), patch); }), HasSubstr("patch")) << patch;
}

TEST(Recipe, JsonOfTheWrongShapeIsRefused) {
  for (const char* text :
       {"[]", "3", "null", R"({"model":3})", R"({"model":{"context":null}})", R"({"model":{"context":{}}})"})
    refusal([&] { recipe_from_json(Json::parse(text), text); });
}

TEST(Recipe, MissingFileIsRefused) {
  EXPECT_THAT(refusal([] { load_recipe("/nonexistent/recipe.toml"); }), HasSubstr("/nonexistent/recipe.toml"));
  EXPECT_THAT(refusal([] { load_recipe("/"); }), HasSubstr("expected a TOML file"));
}

}  // namespace
}  // namespace flywheel::recipe
