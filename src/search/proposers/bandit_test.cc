#include "search/proposers/bandit.h"

#include <gtest/gtest.h>

#include <map>

namespace flywheel::search {
namespace {

TEST(ProposerBandit, MovesTheBudgetToWhoGainsAndDropsWhoDoesNot) {
  ProposerBandit bandit({"rich", "poor", "costly"});
  Rng rng(4);
  std::map<int, int> asked;
  for (int i = 0; i < 400; ++i) {
    const int who = bandit.choose(rng, {false, false, false});
    ASSERT_GE(who, 0);
    if (i >= 200) ++asked[who];
    auto& account = bandit.accounts()[static_cast<size_t>(who)];
    ++account.done;
    const bool lucky = rng.uniform() < 0.3;
    bandit.observe(static_cast<size_t>(who), who != 1 && lucky ? 0.01 : 0, who == 2 ? 10 : 1);
  }
  EXPECT_GT(asked[0], 150);
  EXPECT_NE(bandit.accounts()[1].dropped, "");
  EXPECT_EQ(asked[1], 0);
  EXPECT_EQ(bandit.accounts()[0].dropped, "");
}

TEST(ProposerBandit, TheLastOneIsNeverDropped) {
  ProposerBandit bandit({"only"});
  Rng rng(4);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(bandit.choose(rng, {false}), 0);
    ++bandit.accounts()[0].done;
    bandit.observe(0, i == 0 ? 1 : 0, 1);
  }
  EXPECT_EQ(bandit.choose(rng, {true}), -1);
}

}  // namespace
}  // namespace flywheel::search
