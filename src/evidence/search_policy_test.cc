// The search's decisions, by simulation where they are about chance.
#include "evidence/search_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>

#include "base/rng.h"
#include "evidence/simulate_search.h"

namespace flywheel::evidence {
namespace {

using Kind = SearchPolicy::Action::Kind;

// Runs the search on proposals of these effects with normal noise of standard deviation 1.
struct MadeUpWorld {
  std::vector<double> effects;
  uint64_t seed = 1;
  PolicyOptions options = {};
  std::vector<SearchPair> given = {};
  // What a pair measures, where it is not the effect and noise.
  std::function<double(const SearchPair&, Rng&)> measure = [this](const SearchPair& pair, Rng& rng) {
    return effects[static_cast<size_t>(pair.proposal)] + rng.normal() * std::sqrt(2.0);
  };

  SearchPolicy run() {
    Rng rng(seed);
    SearchPolicy search(options);
    while (true) {
      const SearchPolicy::Action action = search.next();
      if (action.kind == Kind::kPropose) {
        search.standings().size() < effects.size() ? void(search.propose()) : search.no_more_proposals();
        continue;
      }
      if (action.kind != Kind::kRun) break;
      given.push_back(action.pair);
      search.result(action.pair, measure(action.pair, rng));
    }
    return search;
  }
};

TEST(SearchPolicy, FindsWhatIsRealAndSaysWhatBecameOfTheRest) {
  MadeUpWorld world{{0, -4, 0, 3, -5, 0}};
  SearchPolicy search = world.run();
  search.close("nothing left is worth its FLOPs");
  EXPECT_EQ(search.standings()[1].outcome, Outcome::kAdopted);
  EXPECT_EQ(search.standings()[4].outcome, Outcome::kAdopted);
  EXPECT_EQ(search.adoptions(), 2);
  for (const size_t i : {0u, 2u, 3u, 5u}) {
    EXPECT_NE(search.standings()[i].outcome, Outcome::kAdopted);
    EXPECT_NE(search.standings()[i].outcome, Outcome::kOpen);
    EXPECT_NE(search.standings()[i].reason, "");
  }
  EXPECT_LT(search.standings()[1].confirmed->interval(0.1).high, 0);
}

TEST(SearchPolicy, SelectionAndConfirmationShareNoPairAndTestsHaveTheirLevels) {
  MadeUpWorld world{{0, -4, -3, 0, -5, 0, -2, 0}};
  SearchPolicy search = world.run();
  std::set<std::tuple<int, int, int>> seen;
  for (const SearchPair& p : world.given)
    EXPECT_TRUE(seen.emplace(p.proposal, static_cast<int>(p.stage), p.number).second);
  std::set<int> tests;
  for (const Standing& p : search.standings())
    if (p.confirmed) {
      tests.insert(p.test);
      EXPECT_DOUBLE_EQ(p.level, discovery_level(0.05, p.test, p.base));
    }
  EXPECT_EQ(static_cast<int>(tests.size()), search.tests());
}

TEST(SearchPolicy, ReplayingTheSameResultsGivesTheSameDecisions) {
  MadeUpWorld one{{0, -4, 0, 3, -5, 0}}, other = one;
  one.run();
  other.run();
  ASSERT_EQ(one.given.size(), other.given.size());
  for (size_t i = 0; i < one.given.size(); ++i) {
    EXPECT_EQ(one.given[i].proposal, other.given[i].proposal);
    EXPECT_EQ(one.given[i].stage, other.given[i].stage);
    EXPECT_EQ(one.given[i].number, other.given[i].number);
  }
}

TEST(SearchPolicy, TheCallerHasTheLastWordOnAnAdoption) {
  MadeUpWorld world{{-6, -6}};
  world.options.objection = [](int proposal) {
    return proposal == 0 ? std::optional(PolicyOptions::Objection{Outcome::kRejected, "too slow"}) : std::nullopt;
  };
  const SearchPolicy search = world.run();
  EXPECT_EQ(search.standings()[0].outcome, Outcome::kRejected);
  EXPECT_EQ(search.standings()[0].reason, "too slow");
  EXPECT_EQ(search.standings()[1].outcome, Outcome::kAdopted);
  EXPECT_EQ(search.adoptions(), 1);
}

TEST(SearchPolicy, SaysWhatAClaimTakes) {
  PolicyOptions options;
  options.fewest_confirmations = 4;
  const SearchPolicy search(options);
  EXPECT_GT(search.pairs_for(0.5), search.pairs_for(1));
  EXPECT_GT(search.pairs_for(1), search.pairs_for(3));
  for (const double gain : {0.5, 1.0, 1.5}) EXPECT_NEAR(search.gain_for(search.pairs_for(gain)), gain, 1e-9);
  EXPECT_EQ(search.gain_for(3), INFINITY);
  EXPECT_EQ(search.pairs_for(0), INFINITY);
}

TEST(SearchPolicy, WhatHelpsOnOneRungOnlyIsNotAdopted) {
  MadeUpWorld world{{-8, -8}};
  world.options.rungs = 2;
  world.options.fewest_confirmations = 8;
  // The first helps on the lower rung much more than it hurts on the upper one, the second on both.
  world.measure = [](const SearchPair& pair, Rng& rng) {
    const bool upper = pair.stage == Stage::kConfirm && pair.number % 2 == 1;
    return (pair.proposal == 0 && upper ? 0.15 : -8) + 0.1 * rng.normal();
  };
  const SearchPolicy search = world.run();
  EXPECT_EQ(search.standings()[0].outcome, Outcome::kRejected);
  EXPECT_NE(search.standings()[0].reason.find("worse on one rung"), std::string::npos);
  EXPECT_LE(search.standings()[0].confirmed->pairs(), 12);
  EXPECT_EQ(search.standings()[1].outcome, Outcome::kAdopted);
}

// Effects of the screening scale that are worth nothing where they are confirmed: the search learns not to go there.
TEST(SearchPolicy, LearnsHowMuchOfAScreenedEffectIsLeftWhereItIsConfirmed) {
  int confirmations[2] = {0, 0};
  for (const bool shrinks : {false, true}) {
    MadeUpWorld world{std::vector<double>(40, -2.5), 11};
    world.measure = [=](const SearchPair& pair, Rng& rng) {
      const bool screen = pair.stage == Stage::kScreen;
      return (shrinks && !screen ? 0 : -2.5) + rng.normal() * (screen ? 1 : std::sqrt(2.0));
    };
    confirmations[shrinks] = world.run().tests();
  }
  EXPECT_EQ(confirmations[false], 40);
  EXPECT_LT(confirmations[true], 20);
  EXPECT_GT(confirmations[true], 0);
}

TEST(SearchPolicy, AnAdoptionHasWhatLookedPromisingScreenedAnew) {
  MadeUpWorld world{{-2.5, -2.5, -2.5, -2.5, 0, 0, -2.5, -2.5}};
  SearchPolicy search = world.run();
  ASSERT_GE(search.adoptions(), 2);
  int anew = 0;
  for (size_t i = 0; i < search.standings().size(); ++i) {
    const Standing& c = search.standings()[i];
    int given = 0;
    for (const SearchPair& pair : world.given)
      given += pair.proposal == static_cast<int>(i) && pair.stage == Stage::kScreen ? 1 : 0;
    EXPECT_EQ(c.screened_from + static_cast<int>(c.screened.size()), given);
    anew += c.screened_from > 0 && !c.screened.empty() ? 1 : 0;
  }
  EXPECT_GT(anew, 0);
}

TEST(SearchPolicy, AFailureIsKeptWithItsReasonAndTheSearchGoesOn) {
  SearchPolicy search({});
  search.next();
  const int bad = search.propose(), good = search.propose();
  search.no_more_proposals();
  SearchPair first = search.next().pair;
  EXPECT_EQ(first.proposal, bad);
  search.failed(first, "diverged");
  EXPECT_EQ(search.standings()[0].outcome, Outcome::kFailed);
  EXPECT_EQ(search.standings()[0].reason, "diverged");
  SearchPolicy::Action action = search.next();
  ASSERT_EQ(action.kind, Kind::kRun);
  EXPECT_EQ(action.pair.proposal, good);
  search.result(action.pair, NAN);
  EXPECT_EQ(search.standings()[1].outcome, Outcome::kFailed);
  EXPECT_EQ(search.next().kind, Kind::kDone);
}

TEST(SearchPolicy, PairsInFlightCountOnceHoweverTheyArrive) {
  PolicyOptions options;
  options.parallel = 4;
  SearchPolicy search(options);
  search.propose();
  search.no_more_proposals();
  while (true) {
    const SearchPolicy::Action action = search.next();
    ASSERT_EQ(action.kind, Kind::kRun);
    if (action.pair.stage == Stage::kConfirm) {
      std::vector<SearchPair> batch = {action.pair};
      for (SearchPolicy::Action more = search.next(); more.kind == Kind::kRun; more = search.next())
        batch.push_back(more.pair);
      ASSERT_EQ(batch.size(), 4u);
      search.result(batch[2], -3);
      EXPECT_EQ(search.standings()[0].confirmed->pairs(), 0);  // its turn has not come
      search.result(batch[0], -1);
      search.result(batch[1], -2);
      EXPECT_EQ(search.standings()[0].confirmed->pairs(), 3);
      const auto differences = search.standings()[0].confirmed->differences();
      EXPECT_EQ(std::vector<double>(differences.begin(), differences.end()), (std::vector<double>{-1, -2, -3}));
      return;
    }
    search.result(action.pair, -6);
  }
}

TEST(SearchPolicy, LeaveOneOutDropsWhatNoLongerCarriesItsWeight) {
  SearchPolicy search = MadeUpWorld{{-4, -5, -4}}.run();
  ASSERT_EQ(search.adoptions(), 3);
  search.ablate();
  Rng rng(4);
  const double loss_without[] = {3.0, -0.8, 2.5};  // the second one has become a burden
  for (SearchPolicy::Action a = search.next(); a.kind == Kind::kRun; a = search.next()) {
    EXPECT_EQ(a.pair.stage, Stage::kAblate);
    search.result(a.pair, loss_without[a.pair.proposal] + 0.5 * rng.normal());
  }
  EXPECT_EQ(search.standings()[0].outcome, Outcome::kAdopted);
  EXPECT_EQ(search.standings()[1].outcome, Outcome::kDropped);
  EXPECT_EQ(search.standings()[2].outcome, Outcome::kAdopted);
}

TEST(SimulatedSearch, FalseFindingsAreRareForNormalHeavyAndSkewedNoise) {
  Rng rng(9);
  std::vector<double> normal, skewed;
  for (int i = 0; i < 400; ++i) normal.push_back(rng.normal()), skewed.push_back(std::exp(rng.normal()));
  for (const std::vector<double>& noise : {normal, skewed, std::vector<double>{}}) {
    SearchWorld world;
    world.campaigns = 40;
    world.proposals = 25;
    world.noise = noise;
    const SearchScore score = simulate_search(world);
    EXPECT_LE(score.with_false_findings, 5);  // at 5% a sixth has probability 1.4%
    EXPECT_GT(score.false_keeps, 1);          // keep if lower, in the same worlds
  }
}

TEST(SimulatedSearch, FindsNineOfTenAtTwoNoiseFloorsForHalfOfAFixedDesign) {
  SearchWorld world;
  world.campaigns = 25;
  world.effect = 2;
  const SearchScore score = simulate_search(world);
  EXPECT_GE(score.found_fraction, 0.9);
  EXPECT_LE(score.runs, 0.5 * one_stage_design(world.proposals, 2, 0.05, 0.9).runs);
  EXPECT_NEAR(score.reported_effect, -2, 0.2);  // no winner's curse
  EXPECT_GE(score.reported_covers, 0.9);
}

TEST(SimulatedSearch, DoesNotDependOnTheThreads) {
  SearchWorld world;
  world.campaigns = 8;
  world.proposals = 20;
  world.effect = 3;
  const SearchScore one = simulate_search(world);
  world.threads = 3;
  const SearchScore three = simulate_search(world);
  EXPECT_EQ(one.runs, three.runs);
  EXPECT_EQ(one.found_fraction, three.found_fraction);
}

TEST(FixedDesign, HasThePowerItIsSizedFor) {
  const FixedDesign one = one_stage_design(100, 2, 0.05, 0.9);
  EXPECT_EQ(one.screen, 11);  // 2 (3.29 + 1.28)^2 / 4
  const FixedDesign two = two_stage_design(100, 10, 2, 0.05, 0.9);
  EXPECT_LT(two.runs, one.runs);
}

}  // namespace
}  // namespace flywheel::evidence
