#include "campaign/proposal_source.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <set>

#include "recipe/recipe.h"

namespace flywheel::campaign {
namespace {

SourceOptions options_of(const std::string& proposer) {
  SourceOptions options;
  options.seed = 3;
  options.proposers = {proposer};
  options.rung_flops = {1e10};
  options.target_flops = 1e12;
  return options;
}

// A proposer that searches around the best of today means a point of the space: the patches lead there from the recipe
// of now, also back to what an adoption changed.
TEST(ProposalSource, PointsAreReachedFromTheRecipeOfNow) {
  const recipe::Recipe base;
  ProposalSource source(base, options_of("local"));
  const recipe::Recipe adopted = recipe::apply_patches(base, {"model.feed_forward=gelu", "optimizer.weight_decay=0"});
  source.adopt(adopted, 2);
  bool back = false;
  std::set<std::string> seen = {recipe::recipe_hash(adopted)};
  for (int i = 0; i < 400; ++i) {
    const auto asked = source.ask();
    ASSERT_TRUE(asked.has_value());
    ASSERT_EQ(asked->failure, "");
    ASSERT_FALSE(asked->patches.empty());
    // One field at a time, as long as there are such: nothing else of what was adopted is undone.
    if (i < 20) {
      EXPECT_LE(asked->patches.size(), 4u) << fmt::format("{}", fmt::join(asked->patches, ", "));
    }
    EXPECT_TRUE(seen.insert(recipe::recipe_hash(recipe::apply_patches(adopted, asked->patches))).second);
    for (const std::string& patch : asked->patches) back = back || patch == "model.feed_forward=swiglu";
    source.observe(asked->trial, 2.1, 2, 0, 1e10);
  }
  EXPECT_TRUE(back);
}

TEST(ProposalSource, AListedChangeIsAChangeWhateverWasAdopted) {
  SourceOptions options = options_of("list");
  options.list = "[[change]]\npatches = [\"model.norm=layernorm\"]\n";
  options.list_source = "changes.toml";
  ProposalSource source(recipe::Recipe(), options);
  source.adopt(recipe::apply_patches(recipe::Recipe(), {"model.feed_forward=gelu"}), 2);
  const auto asked = source.ask();
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->patches, std::vector<std::string>{"model.norm=layernorm"});
  EXPECT_FALSE(source.ask().has_value());
}

TEST(ProposalSource, ProposersHearOfATrialOnce) {
  ProposalSource source(recipe::Recipe(), options_of("local"));
  const auto asked = source.ask();
  ASSERT_TRUE(asked.has_value());
  source.stopped(asked->trial, 2.5, 0.1, {{0.5, 2.7}}, 2, 5e9);
  source.observe(asked->trial, 2.4, 2, 0.2, 1e10);
  source.failed(asked->trial, "later", 1e10);
  EXPECT_EQ(source.accounts()[0].stopped, 1);
  EXPECT_EQ(source.accounts()[0].done, 0);
  EXPECT_EQ(source.accounts()[0].failed, 0);
}

}  // namespace
}  // namespace flywheel::campaign
