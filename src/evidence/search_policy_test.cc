// The search's decisions, by simulation where they are about chance.
#include "evidence/search_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <string>

#include "base/rng.h"

namespace flywheel::evidence {
namespace {

using Kind = SearchPolicy::Action::Kind;

// Runs the search on proposals of these effects with normal noise of standard deviation 1, the base being at 0.
struct MadeUpWorld {
  std::vector<double> effects;
  uint64_t seed = 1;
  PolicyOptions options = {};
  std::vector<SearchRun> given = {};
  bool listed = true;
  // What a run measures, where it is not the effect and noise.
  std::function<double(const SearchRun&, Rng&)> measure = [this](const SearchRun& run, Rng& rng) {
    return (run.proposal == kTheBase ? 0 : effects[static_cast<size_t>(run.proposal)]) + rng.normal();
  };

  SearchPolicy run() {
    Rng rng(seed);
    SearchPolicy search(options);
    go_on(search, rng);
    return search;
  }
  void go_on(SearchPolicy& search, Rng& rng) {
    while (true) {
      search.set_listed_left(listed && search.standings().size() < effects.size());
      const SearchPolicy::Action action = search.next();
      if (!search.take_adopted().empty()) continue;
      if (action.kind == Kind::kPropose) {
        search.standings().size() < effects.size() ? void(search.propose(listed)) : search.no_more_proposals();
        continue;
      }
      if (action.kind != Kind::kRun) break;
      given.push_back(action.run);
      search.result(action.run, measure(action.run, rng));
    }
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
  EXPECT_LT(search.reported(1).difference.high, 0);
}

TEST(SearchPolicy, SelectionAndConfirmationShareNoRunAndTheEvidenceSuffices) {
  MadeUpWorld world{{0, -4, -3, 0, -5, 0, -2, 0}};
  world.options = campaign_policy();
  SearchPolicy search = world.run();
  std::set<std::tuple<int, int, int>> seen;
  for (const SearchRun& run : world.given)
    EXPECT_TRUE(seen.emplace(run.proposal, static_cast<int>(run.stage), run.number).second);
  std::set<int> tests;
  int found = 0;
  for (const Standing& p : search.standings()) found += p.outcome == Outcome::kAdopted;
  EXPECT_GE(found, 2);
  for (const Standing& p : search.standings()) {
    if (p.test == 0) continue;
    tests.insert(p.test);
    if (p.outcome != Outcome::kAdopted) continue;
    ASSERT_EQ(p.confirmed->rungs().size(), 2u);
    for (const RankTest& rung : p.confirmed->rungs()) EXPECT_GE(rung.log_e_better(), -std::log(p.level));
  }
  EXPECT_EQ(static_cast<int>(tests.size()), search.tests());
}

// e-BH within a batch and the shares of batches: the levels of all tests sum to no more than alpha where nothing is
// found.
TEST(SearchPolicy, LevelsSpendNoMoreThanAlpha) {
  double sum = 0;
  for (int batch = 1; batch <= 200; ++batch) sum += 7 * discovery_level(0.05, batch, 7, 1, 0);
  EXPECT_LE(sum, 0.05 + 1e-12);
  EXPECT_GT(sum, 0.049);
  EXPECT_DOUBLE_EQ(discovery_level(0.05, 1, 10, 4, 0), 4 * discovery_level(0.05, 1, 10, 1, 0));
  EXPECT_DOUBLE_EQ(discovery_level(0.05, 2, 10, 1, 3), 4 * discovery_level(0.05, 2, 10, 1, 0));
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

TEST(SearchPolicy, WhatCannotBeAdoptedTogetherIsLookedAtAgain) {
  MadeUpWorld world{{-6, -8, 0}};
  world.options.fits = [](int, const std::vector<int>& with) { return with.empty(); };
  const SearchPolicy search = world.run();
  EXPECT_EQ(search.standings()[1].outcome, Outcome::kAdopted);  // the larger gain comes first
  EXPECT_EQ(search.standings()[0].outcome, Outcome::kAdopted);
  EXPECT_EQ(search.standings()[1].batch, 1);
  EXPECT_EQ(search.standings()[0].batch, 2);
}

TEST(SearchPolicy, SaysWhatAClaimTakes) {
  const SearchPolicy search(campaign_policy());
  EXPECT_GT(search.runs_for(0.5), search.runs_for(1));
  EXPECT_GT(search.runs_for(1), search.runs_for(2));
  for (const double gain : {0.5, 1.0, 1.5}) EXPECT_NEAR(search.gain_for(search.runs_for(gain)), gain, 1e-9);
  EXPECT_EQ(search.gain_for(3), INFINITY);
  EXPECT_EQ(search.runs_for(0), INFINITY);
}

TEST(SearchPolicy, WhatHelpsOnOneRungOnlyIsNotAdopted) {
  for (const double above : {0.0, 0.5}) {
    MadeUpWorld world{{-8, -8}};
    world.options = campaign_policy();
    world.measure = [=](const SearchRun& run, Rng& rng) {
      if (run.proposal == kTheBase) return rng.normal();
      const bool upper = run.stage == Stage::kConfirm && run.rung == 1;
      return (run.proposal == 0 && upper ? above : -8) + rng.normal();
    };
    const SearchPolicy search = world.run();
    EXPECT_NE(search.standings()[0].outcome, Outcome::kAdopted) << above;
    EXPECT_EQ(search.standings()[0].confirmed->rungs()[0].log_e_better() > 3, true);
    EXPECT_LT(search.standings()[0].confirmed->rungs()[1].runs(), 60);
    EXPECT_EQ(search.standings()[1].outcome, Outcome::kAdopted);
  }
}

TEST(SearchPolicy, DoesNotClaimForOtherDocumentsWhatASampleShows) {
  for (const double sd : {0.0, 0.5, 20.0}) {
    MadeUpWorld world{{-6, 0}};
    world.options = campaign_policy();
    world.options.sampling_sd = [=](int) { return sd; };
    const SearchPolicy search = world.run();
    EXPECT_EQ(search.standings()[0].outcome, sd < 1 ? Outcome::kAdopted : Outcome::kUndecided) << sd;
  }
}

// Effects of the screening scale that are worth nothing where they are confirmed: the search learns not to go there.
TEST(SearchPolicy, LearnsHowMuchOfAScreenedEffectIsLeftWhereItIsConfirmed) {
  int runs[2] = {0, 0};
  for (const bool shrinks : {false, true}) {
    MadeUpWorld world{std::vector<double>(60, -2.5), 11};
    world.listed = false;
    world.options = campaign_policy();
    world.options.looking = 0;
    world.measure = [=](const SearchRun& run, Rng& rng) {
      const double effect = run.proposal == kTheBase || (shrinks && run.stage != Stage::kScreen) ? 0 : -2.5;
      return effect + rng.normal();
    };
    runs[shrinks] = world.run().tests();
  }
  EXPECT_GE(runs[false], 55);
  EXPECT_LT(runs[true], 45);
  EXPECT_GT(runs[true], 0);
}

TEST(SearchPolicy, AnAdoptionHasWhatLookedPromisingScreenedAnew) {
  MadeUpWorld world{{-2.5, -2.5, -2.5, -2.5, 0, 0, -2.5, -2.5}};
  world.listed = false;
  world.options.wave = 3;
  world.options.looking = 0;
  SearchPolicy search = world.run();
  ASSERT_GE(search.batches(), 2);
  for (size_t i = 0; i < search.standings().size(); ++i) {
    const Standing& c = search.standings()[i];
    int given = 0;
    for (const SearchRun& run : world.given)
      given += run.proposal == static_cast<int>(i) && run.stage == Stage::kScreen ? 1 : 0;
    EXPECT_EQ(c.screened_from + static_cast<int>(c.screened.size()), given);
  }
}

// What looks promising may be too little for a pool of its own: the search goes on with another wave, and does not end.
TEST(SearchPolicy, AWaveThatIsNotWorthItsPoolIsFollowedByAnother) {
  MadeUpWorld world{std::vector<double>(30, 0.0)};
  for (size_t i = 0; i < world.effects.size(); ++i) world.effects[i] = i < 3 ? -1.3 : -5;
  world.listed = false;
  world.options = campaign_policy();
  world.options.wave = 3;
  world.options.gain_flops = 15;
  const SearchPolicy search = world.run();
  EXPECT_EQ(search.standings().size(), world.effects.size());
  EXPECT_GT(search.adoptions(), 10);
}

// Proposers build on what was screened, confirmed or not: confirming is put off until screening has taken several times
// its FLOPs, or only what it takes is left.
TEST(SearchPolicy, LooksForLongerThanConfirmingTakesAndKeepsWhatThatTakes) {
  MadeUpWorld world{std::vector<double>(200, 0.0)};
  for (size_t i = 0; i < world.effects.size(); i += 5) world.effects[i] = -6;
  world.listed = false;
  world.options = campaign_policy();
  const auto looks_before_the_first_batch = [&](double flops_left) {
    SearchPolicy search(world.options);
    search.set_costs(world.options.screen_cost, world.options.run_costs, 60, flops_left);
    Rng rng(5);
    for (int looks = 0;; ++looks) {
      const SearchPolicy::Action action = search.next();
      if (action.kind == Kind::kPropose) {
        search.propose(), --looks;
        continue;
      }
      if (action.kind != Kind::kRun || action.run.stage != Stage::kScreen) return looks;
      flops_left -= world.options.screen_cost;
      search.result(action.run, world.measure(action.run, rng));
      search.set_costs(world.options.screen_cost, world.options.run_costs, 60, flops_left);
    }
  };
  const int unlimited = looks_before_the_first_batch(INFINITY), little = looks_before_the_first_batch(50);
  SearchPolicy fresh(world.options);
  EXPECT_GE(unlimited * world.options.screen_cost, 0.9 * world.options.looking * fresh.smallest_batch_cost());
  EXPECT_LT(little, unlimited);
  EXPECT_GE(50 - little * world.options.screen_cost, fresh.smallest_batch_cost());
}

// A screening where runs are as long as on the upper rung says more about that rung than a few runs on the lower one.
TEST(SearchPolicy, ALargeScreenedGainIsNotGivenUpAfterTwoRunsThatShowLittle) {
  for (const bool there : {false, true}) {
    PolicyOptions options = campaign_policy();
    options.screen_cost = there ? options.run_costs[1] : options.run_costs[1] / kScreenBelow;
    SearchPolicy search(options);
    Rng rng(3);
    search.propose(/*listed=*/true);
    search.no_more_proposals();
    int confirmations = 0;
    while (search.standings()[0].outcome == Outcome::kOpen) {
      const SearchPolicy::Action action = search.next();
      if (!search.take_adopted().empty()) continue;
      ASSERT_EQ(action.kind, Kind::kRun);
      if (action.run.stage == Stage::kScreen) {
        search.result(action.run, -9);
        continue;
      }
      if (action.run.proposal == kTheBase) {
        search.result(action.run, rng.normal());
        continue;
      }
      ++confirmations;
      search.result(action.run, action.run.rung == 0 ? (confirmations <= 2 ? -1.2 : -3) + 0.1 * rng.normal() : -9);
    }
    EXPECT_EQ(search.standings()[0].outcome, Outcome::kAdopted) << there << " " << search.standings()[0].reason;
  }
}

// What others do to the base of now says little about what they do to a whole configuration.
TEST(SearchPolicy, AWholeConfigurationIsConfirmedAtOnceAndAlone) {
  SearchPolicy search(campaign_policy());
  Rng rng(7);
  search.set_listed_left(true);
  std::vector<SearchRun> given;
  while (true) {
    const SearchPolicy::Action action = search.next();
    if (action.kind == Kind::kPropose) {
      if (search.standings().size() == 2) break;
      search.propose(/*listed=*/true, /*whole=*/search.standings().empty());
      continue;
    }
    if (action.kind != Kind::kRun) break;
    given.push_back(action.run);
    search.result(action.run, (action.run.proposal == 0 ? -8 : 0) + rng.normal());
    if (!search.take_adopted().empty()) search.set_noise_sd(1);
  }
  EXPECT_EQ(search.standings()[0].outcome, Outcome::kAdopted);
  EXPECT_EQ(search.standings()[0].test, 1);
  ASSERT_FALSE(given.empty());
  const auto later = std::find_if(given.begin(), given.end(), [](const SearchRun& run) { return run.proposal == 1; });
  for (auto run = later; run != given.end(); ++run) EXPECT_NE(run->stage, Stage::kConfirm);
}

TEST(SearchPolicy, WhatCannotBeAdoptedBesideASurelyStrongerOneIsNotTestedBesideIt) {
  MadeUpWorld world{{-4, -9, 0}};
  world.options.fits = [](int, const std::vector<int>& with) { return with.empty(); };
  const SearchPolicy search = world.run();
  EXPECT_EQ(search.standings()[1].batch, 1);
  EXPECT_EQ(search.standings()[1].outcome, Outcome::kAdopted);
  EXPECT_GT(search.standings()[0].batch, 1);
}

// Screening must leave what a confirmation takes: a gain that is seen and not confirmed is none.
TEST(SearchPolicy, WhatIsLeftIsKeptForConfirmingWhatLooksPromising) {
  int adopted = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    const PolicyOptions usual = campaign_policy();
    SearchPolicy search(usual);
    double left = 40;  // in runs of a confirmation, of which a batch of one takes about 25
    while (left > 0) {
      search.set_costs(usual.screen_cost, usual.run_costs, 60, left);
      const SearchPolicy::Action action = search.next();
      if (!search.take_adopted().empty()) {
        ++adopted;
        break;
      }
      if (action.kind == Kind::kPropose) {
        search.propose(/*listed=*/true);  // a list without an end
        search.set_listed_left(true);
        continue;
      }
      ASSERT_EQ(action.kind, Kind::kRun);
      const bool confirms = action.run.stage == Stage::kConfirm;
      left -= confirms ? usual.run_costs[static_cast<size_t>(action.run.rung)] : usual.screen_cost;
      search.result(action.run, (action.run.proposal == 4 ? -8 : 0) + rng.normal());
    }
  }
  EXPECT_GE(adopted, 16);
}

TEST(SearchPolicy, AFailureIsKeptWithItsReasonAndTheSearchGoesOn) {
  SearchPolicy search({});
  search.next();
  const int bad = search.propose(), good = search.propose();
  search.no_more_proposals();
  SearchRun first = search.next().run;
  EXPECT_EQ(first.proposal, bad);
  search.failed(first, "diverged");
  EXPECT_EQ(search.standings()[0].outcome, Outcome::kFailed);
  EXPECT_EQ(search.standings()[0].reason, "diverged");
  SearchPolicy::Action action = search.next();
  ASSERT_EQ(action.kind, Kind::kRun);
  EXPECT_EQ(action.run.proposal, good);
  search.result(action.run, NAN);
  EXPECT_EQ(search.standings()[1].outcome, Outcome::kFailed);
  EXPECT_EQ(search.next().kind, Kind::kDone);
}

// Runs of its confirmation that diverge are its worst ranks; those that the machine fails are nobody's.
TEST(SearchPolicy, AFailedRunIsTheWorstRankAndALostOneIsNone) {
  for (const bool machine : {false, true}) {
    SearchPolicy search({});
    Rng rng(8);
    search.propose();
    search.no_more_proposals();
    int confirmations = 0;
    for (SearchPolicy::Action a = search.next(); a.kind == Kind::kRun; a = search.next()) {
      if (a.run.proposal != kTheBase && a.run.stage == Stage::kConfirm && confirmations++ % 2 == 0)
        machine ? search.lost(a.run) : search.failed(a.run, "diverged: loss is nan");
      else
        search.result(a.run, (a.run.proposal == kTheBase ? 0 : -8) + rng.normal());
    }
    EXPECT_EQ(search.standings()[0].outcome, machine ? Outcome::kAdopted : Outcome::kUndecided);
    EXPECT_EQ(search.standings()[0].reason.find("ruined") != std::string::npos, !machine);
  }
}

TEST(SearchPolicy, RunsInFlightCountOnceHoweverTheyArrive) {
  PolicyOptions options;
  options.parallel = 4;
  SearchPolicy search(options);
  Rng rng(2);
  search.propose();
  search.no_more_proposals();
  while (true) {
    std::vector<SearchRun> batch;
    for (SearchPolicy::Action more = search.next(); more.kind == Kind::kRun; more = search.next())
      batch.push_back(more.run);
    ASSERT_FALSE(batch.empty());
    if (batch[0].proposal == 0 && batch[0].stage == Stage::kConfirm) {
      ASSERT_EQ(batch.size(), 2u);  // as many as are looked at first
      search.result(batch[1], -3);
      EXPECT_EQ(search.standings()[0].confirmed->runs(), 0);  // its turn has not come
      search.result(batch[0], -1);
      const auto losses = search.standings()[0].confirmed->rungs()[0].losses();
      EXPECT_EQ(std::vector<double>(losses.begin(), losses.end()), (std::vector<double>{-1, -3}));
      return;
    }
    for (const SearchRun& run : batch) search.result(run, (run.proposal == kTheBase ? 0 : -6) + 0.1 * rng.normal());
  }
}

// A whole configuration is what the others were built on, and what was adopted alone and last was just compared with
// the recipe without it.
TEST(SearchPolicy, LeavesOutOnlyWhatThatSaysSomethingNewAbout) {
  MadeUpWorld together{{-4, -5, -4}}, alone{{-6}};
  EXPECT_EQ(together.run().to_leave_out(), (std::vector<int>{0, 1, 2}));
  EXPECT_TRUE(alone.run().to_leave_out().empty());
  MadeUpWorld one_by_one{{-6, -8, -9}};
  one_by_one.options.fits = [](int, const std::vector<int>& with) { return with.empty(); };
  const SearchPolicy search = one_by_one.run();
  ASSERT_EQ(search.adoptions(), 3);
  ASSERT_EQ(search.standings()[0].batch, 3);
  EXPECT_EQ(search.to_leave_out(), (std::vector<int>{1, 2}));
}

TEST(SearchPolicy, LeaveOneOutDropsWhatNoLongerCarriesItsWeight) {
  SearchPolicy search = MadeUpWorld{{-4, -5, -4}}.run();
  ASSERT_EQ(search.adoptions(), 3);
  search.ablate();
  Rng rng(4);
  const double loss_without[] = {3.0, -0.8, 2.5};  // the second one has become a burden
  for (SearchPolicy::Action a = search.next(); a.kind == Kind::kRun; a = search.next()) {
    EXPECT_EQ(a.run.stage, Stage::kAblate);
    search.result(a.run, loss_without[a.run.proposal] + 0.5 * rng.normal());
  }
  EXPECT_EQ(search.standings()[0].outcome, Outcome::kAdopted);
  EXPECT_EQ(search.standings()[1].outcome, Outcome::kDropped);
  EXPECT_EQ(search.standings()[2].outcome, Outcome::kAdopted);
}

// One run in twenty is ruined by the second change: the runs of the recipe found show it, and its own runs whose it is.
TEST(SearchPolicy, AChangeThatRuinsARunNowAndThenDoesNotEndure) {
  MadeUpWorld world{{-5, -5, -5}};
  SearchPolicy search = world.run();
  ASSERT_EQ(search.adoptions(), 3);
  search.close("nothing left is worth its FLOPs");
  ASSERT_TRUE(search.endure());
  Rng rng(4);
  int runs = 0;
  for (SearchPolicy::Action a = search.next(); a.kind == Kind::kRun; a = search.next(), ++runs) {
    const bool ruinous = a.run.proposal == kTheBase || a.run.proposal == 1;
    search.result(a.run, rng.normal() + (ruinous && a.run.number % 20 == 7 ? 30 : 0));
  }
  EXPECT_EQ(runs, 4 * 60);
  EXPECT_EQ(search.endured(), 60);
  EXPECT_EQ(search.ruined(), 3);
  EXPECT_EQ(search.standings()[0].outcome, Outcome::kAdopted);
  EXPECT_EQ(search.standings()[1].outcome, Outcome::kDropped);
  EXPECT_EQ(search.standings()[1].ruined, 3);
  EXPECT_EQ(search.standings()[2].outcome, Outcome::kAdopted);
}

// What has its evidence when the budget ends is found all the same.
TEST(SearchPolicy, AnEndInTheMiddleOfABatchKeepsWhatIsShown) {
  MadeUpWorld world{{-9, -9, -1}};
  Rng rng(6);
  SearchPolicy search(campaign_policy());
  int reached = 0;
  for (int runs = 0;; ++runs) {
    ASSERT_LT(runs, 1000);
    search.set_listed_left(search.standings().size() < 3);
    const SearchPolicy::Action action = search.next();
    if (action.kind == Kind::kPropose) {
      search.standings().size() < 3 ? void(search.propose(true)) : search.no_more_proposals();
      continue;
    }
    ASSERT_EQ(action.kind, Kind::kRun);
    search.result(action.run, world.measure(action.run, rng));
    reached = 0;
    for (const Standing& p : search.standings()) reached += p.confirmed && p.confirmed->log_e_better() > 3.7;
    if (reached > 0) break;
  }
  search.close("the budget is spent");
  EXPECT_EQ(search.adoptions(), reached);
  EXPECT_EQ(static_cast<int>(search.take_adopted().size()), reached);
  EXPECT_NE(search.standings()[2].outcome, Outcome::kOpen);
}

}  // namespace
}  // namespace flywheel::evidence
