// Every proposer on synthetic spaces: it finds good points sooner than chance, keeps to conditions, repeats nothing,
// learns what fails, and takes the same steps for the same seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "base/statistics.h"
#include "search/point_space.h"
#include "search/proposal_desk.h"
#include "search/proposers/bayes.h"
#include "search/proposers/team.h"
#include "search/search_loop.h"

namespace flywheel::search {
namespace {

using ::testing::HasSubstr;

// A function as a subject; its runs end in the order of their start.
class FunctionWorld : public PointSubject {
 public:
  using Loss = std::function<double(const workload::Values&)>;  // NaN: the run fails
  FunctionWorld(const PointSpace& space, Loss loss, double noise = 0)
      : PointSubject(space), loss_(std::move(loss)), noise_(noise) {}
  void start(const WantedRun& wanted) {
    RunResult result;
    result.id = wanted.id;
    result.loss = loss_(values_of_point(*wanted.configuration)) + noise_ * rng_.normal();
    result.flops = result.spent_flops = wanted.flops;
    if (std::isnan(result.loss)) {
      result.state = RunResult::State::kFailed;
      result.reason = "diverged";
    }
    running_.push_back(result);
  }
  void run(SearchLoop& loop) {
    while (true) {
      for (const WantedRun& wanted : loop.next()) start(wanted);
      if (running_.empty()) return;
      const RunResult result = running_.front();
      running_.pop_front();
      loop.tell({result});
    }
  }

 private:
  Loss loss_;
  double noise_;
  Rng rng_{99};
  std::deque<RunResult> running_;
};

// A recipe in small: a categorical with an own field, a cliff in the rate, a bowl in the batch.
PointSpace recipe_like() {
  return PointSpace({{"optimizer", workload::Axis::kCategorical, 0, 1, {"a", "b", "c"}, {}, {}},
                     {"rate", workload::Axis::kLog, 1e-4, 1e-1, {}, {}, {}},
                     {"batch", workload::Axis::kOrdinal, 0, 1, {8, 16, 32, 64, 128, 256}, {}, {}},
                     {"momentum", workload::Axis::kLinear, 0.5, 1, {}, workload::Condition{0, {1}}, {}}});
}
double recipe_like_loss(const workload::Values& v) {
  const double rate = std::log(v[1] / 0.02), batch = std::log(8 * std::pow(2, v[2]) / 32);
  double loss = 2 + 0.02 * rate * rate + 0.01 * batch * batch + 0.03 * v[0];
  if (v[0] == 1) loss += -0.1 + 0.4 * std::pow(v[3] - 0.9, 2);
  return rate > 1.2 ? loss + 3 : loss;
}

LoopOptions options_of(const std::string& proposer, uint64_t seed, int trials, int slots = 1) {
  LoopOptions options;
  options.desk.proposers = {proposer};
  options.desk.seed = seed;
  options.desk.rung_flops = {1e12};
  options.max_trials = trials;
  options.slots = slots;
  return options;
}

double best_after(const std::string& proposer, uint64_t seed, int trials, int slots = 1, double noise = 0) {
  const PointSpace space = recipe_like();
  FunctionWorld world(space, recipe_like_loss, noise);
  LoopOptions options = options_of(proposer, seed, trials, slots);
  options.desk.noise_sd = noise;
  SearchLoop loop(world, options);
  world.run(loop);
  double best = 1e9;
  for (const Trial& trial : loop.trials()) best = std::min(best, recipe_like_loss(trial.values));
  return best;
}

double median_best(const std::string& proposer, int trials, int slots = 1, double noise = 0) {
  std::vector<double> bests;
  for (uint64_t seed = 1; seed <= 9; ++seed) bests.push_back(best_after(proposer, seed, trials, slots, noise));
  return quantile(bests, 0.5);
}

TEST(Proposers, FindBetterPointsThanChance) {
  const double chance = median_best("random", 40);
  for (const char* proposer : {"local", "evolve", "bayes"}) {
    const double found = median_best(proposer, 40);
    EXPECT_LT(found, chance - 0.002) << proposer;
  }
  EXPECT_LT(median_best("bayes", 40), 1.932);  // the lowest is 1.93
}

TEST(Proposers, BayesFindsItWithNoiseAndWithSeveralInFlight) {
  EXPECT_LT(median_best("bayes", 40, 4), median_best("random", 40) - 0.002);
  EXPECT_LT(median_best("bayes", 40, 1, 0.005), median_best("random", 40));
}

class EachProposer : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, EachProposer, ::testing::Values("random", "local", "evolve", "bayes"));

TEST_P(EachProposer, RepeatsNothingAndKeepsToTheConditions) {
  const PointSpace space = recipe_like();
  FunctionWorld world(space, recipe_like_loss);
  SearchLoop loop(world, options_of(GetParam(), 3, 80, 3));
  world.run(loop);
  ASSERT_EQ(loop.trials().size(), 80U);
  std::set<std::string> seen;
  for (const Trial& trial : loop.trials()) {
    EXPECT_TRUE(seen.insert(trial.identity).second) << trial.id;
    EXPECT_EQ(std::isnan(trial.values[3]), trial.values[0] != 1);
    EXPECT_EQ(space.identity(space.canonical(trial.values)), trial.identity);
  }
}

TEST_P(EachProposer, SameSeedSameTrials) {
  const PointSpace space = recipe_like();
  std::vector<std::string> runs[3];
  for (int i = 0; i < 3; ++i) {
    FunctionWorld world(space, recipe_like_loss);
    SearchLoop loop(world, options_of(GetParam(), i < 2 ? 5 : 6, 25, 2));
    world.run(loop);
    for (const Trial& trial : loop.trials()) runs[i].push_back(trial.identity);
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_NE(runs[0], runs[2]);
}

TEST_P(EachProposer, SmallSpaceIsSearchedToTheLastPointAndEnds) {
  const PointSpace space({{"x", workload::Axis::kOrdinal, 0, 1, {1, 2, 3, 4}, {}, {}},
                          {"kind", workload::Axis::kCategorical, 0, 1, {"a", "b"}, {}, {}}});
  FunctionWorld world(space, [](const workload::Values& v) { return 1 + v[0] + v[1]; });
  SearchLoop loop(world, options_of(GetParam(), 1, 100));
  world.run(loop);
  EXPECT_EQ(loop.trials().size(), 8U);
}

TEST_P(EachProposer, WhatIsKnownIsNeverTried) {
  const PointSpace space({{"x", workload::Axis::kOrdinal, 0, 1, {1, 2, 3, 4}, {}, {}}});
  FunctionWorld world(space, [](const workload::Values& v) { return 1 + v[0]; });
  LoopOptions options = options_of(GetParam(), 1, 100);
  options.desk.known = {space.identity({1}), space.identity({3})};
  SearchLoop loop(world, options);
  world.run(loop);
  ASSERT_EQ(loop.trials().size(), 2U);
  for (const Trial& trial : loop.trials()) EXPECT_TRUE(trial.values[0] == 0 || trial.values[0] == 2);
}

// Half of the space fails, and its loss would have been the best: only failures can keep a proposer away.
TEST(Proposers, BayesLearnsWhatFails) {
  const PointSpace space(
      {{"x", workload::Axis::kLinear, 0, 1, {}, {}, {}}, {"y", workload::Axis::kLinear, 0, 1, {}, {}, {}}});
  const auto loss = [](const workload::Values& v) { return v[0] > 0.6 ? std::nan("") : 3 - 0.2 * v[0] + 0.1 * v[1]; };
  int failed = 0, late = 0;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    FunctionWorld world(space, loss);
    SearchLoop loop(world, options_of("bayes", seed, 60));
    world.run(loop);
    for (const Trial& trial : loop.trials()) {
      failed += trial.state == TrialState::kFailed ? 1 : 0;
      late += trial.state == TrialState::kFailed && trial.id > 40 ? 1 : 0;
    }
  }
  EXPECT_GT(failed, 0);
  EXPECT_LT(late, 40);  // of 100; chance fails 40
}

TEST(Proposers, BayesTakesTheCheaperRungWhileItTellsEnough) {
  const PointSpace space = recipe_like();
  FunctionWorld world(space, recipe_like_loss);
  LoopOptions options = options_of("bayes", 1, 20);
  options.desk.rung_flops = {1e12, 1e13};
  SearchLoop loop(world, options);
  world.run(loop);
  int cheap = 0;
  for (const Trial& trial : loop.trials()) cheap += trial.rung_flops == 1e12 ? 1 : 0;
  EXPECT_GE(cheap, 15);
}

// Where the search began and has left is known: no proposal is spent on finding out again.
TEST(Proposers, WhatABaseMeasuredIsLearntFrom) {
  const PointSpace space = recipe_like();
  Trial good, bad;
  good.values = space.canonical({1, 0.02, 2, 0.9});
  good.state = TrialState::kDone;
  good.loss = 2;
  good.rung_flops = 1e12;
  bad.values = space.canonical({0, 0.0005, 0, std::nan("")});
  bad.state = TrialState::kDone;
  bad.loss = 4;
  bad.rung_flops = 1e12;
  const std::vector<double> rungs{1e12};
  const std::vector<Trial> trials{good}, bases{bad};
  const auto share_of_bad_side = [&](bool told) {
    SearchView view{space, trials, &trials[0], rungs, 1e12, 0.005, nullptr};
    if (told) view.bases = bases;
    ExpectedGain expected(space, std::nullopt);
    expected.learn(view);
    const std::vector<std::vector<double>> units{space.units(space.canonical({0, 0.0007, 0, std::nan("")})),
                                                 space.units(space.canonical({1, 0.02, 3, 0.9}))};
    std::vector<double> score(2);
    for (const auto& ranked : expected.rank(view, units)) score[ranked.point] = ranked.score;
    return score[0] / (score[0] + score[1]);
  };
  EXPECT_LT(share_of_bad_side(true), 0.05);
  EXPECT_GT(share_of_bad_side(false), 2 * share_of_bad_side(true));
}

// After an adoption far from the start the search goes on around what was adopted.
TEST(Proposers, BayesLooksAroundTheBaseOfNowAndNotAroundTheStart) {
  std::vector<workload::SearchField> fields;
  for (int i = 0; i < 30; ++i)
    fields.push_back({"f" + std::to_string(i), workload::Axis::kCategorical, 0, 1, {"a", "b", "c"}, {}, {}});
  fields.push_back({"x", workload::Axis::kLinear, 0, 1, {}, {}, 0.1});
  const PointSpace space(fields);
  std::vector<Trial> bases(2), trials;
  bases[0].values = space.centre();
  bases[1].values = space.centre();
  for (size_t i = 0; i < 12; ++i) bases[1].values[i] = 1;
  bases[1].values[30] = 0.8;
  for (Trial& base : bases) base.state = TrialState::kDone, base.rung_flops = 1e10;
  bases[0].loss = 4.5, bases[1].loss = 2.5;
  Rng rng(3);
  for (size_t i = 0; i < 15; ++i) {  // single changes of the base of now
    Trial& trial = trials.emplace_back(bases[1]);
    trial.id = i + 1;
    trial.values[12 + i] = 2;
    trial.loss = 2.5 + 0.01 * rng.normal();
  }
  const std::vector<double> rungs{1e10};
  std::set<std::string, std::less<>> taken;
  const auto bayes = make_proposer("bayes", space);
  const SearchView view{space, trials, &bases[1], rungs, 1e12, 0.01, &taken, bases};
  for (int i = 0; i < 20; ++i) {
    const auto proposal = bayes->propose(view, rng);
    ASSERT_TRUE(proposal);
    int reverted = 0;
    for (size_t f = 0; f < 12; ++f) reverted += proposal->values[f] == 0 ? 1 : 0;
    EXPECT_LE(reverted, 3);
    taken.insert(space.identity(proposal->values));
  }
}

TEST(Proposers, PriorMovesTheFirstPoint) {
  const PointSpace space({{"x", workload::Axis::kLinear, 0, 1, {}, {}, {}}});
  LoopOptions options = options_of("bayes", 1, 1);
  options.desk.proposer_options.prior = LandscapePrior{{0.8}, {0.05}, {0.1}};
  FunctionWorld world(space, [](const workload::Values& v) { return 2 + v[0]; });
  SearchLoop loop(world, options);
  world.run(loop);
  EXPECT_NEAR(loop.trials().at(0).values[0], 0.8, 0.05);
}

LoopOptions list_options(const std::string& text) {
  LoopOptions options = options_of("list", 1, 100);
  options.desk.proposer_options.list_source = "changes.toml";
  options.desk.proposer_options.list = text;
  return options;
}

TEST(ListProposer, AChangeThatNothingReadsYetComesAgainOnTopOfWhatIsBest) {
  const PointSpace space = recipe_like();
  FunctionWorld world(space, [](const workload::Values& v) { return v[0] == 1 ? 1.0 : 2.0; });
  const LoopOptions options = list_options(R"(
[[change]]
id = "slower"
patches = ["momentum=0.9"]
[[change]]
id = "other"
patches = ["optimizer=b"]
)");
  SearchLoop loop(world, options);
  world.run(loop);
  ASSERT_EQ(loop.trials().size(), 2u);
  EXPECT_EQ(loop.trials()[0].label, "other");
  EXPECT_EQ(loop.trials()[1].label, "slower");
  EXPECT_EQ(loop.trials()[1].state, TrialState::kDone) << loop.trials()[1].failure;
  EXPECT_EQ(loop.trials()[1].values[3], 0.9);
}

TEST(ListProposer, BadChangesFailWithTheReasonAndTheOthersRun) {
  const PointSpace space = recipe_like();
  FunctionWorld world(space, recipe_like_loss);
  const LoopOptions options = list_options(R"(
[[change]]
id = "faster"
patches = ["rate=0.02"]
[[change]]
id = "typo"
patches = ["rat=0.02"]
[[change]]
id = "torn"
patches = ["rate=0.01", "rate=0.03"]
[[change]]
patches = []
[[change]]
id = "faster"
patches = ["batch=64"]
[[change]]
id = "other"
pathces = ["batch=64"]
[[change]]
id = "again"
patches = ["rate=0.02"]
[[change]]
id = "larger"
patches = ["batch=128"]
)");
  SearchLoop loop(world, options);
  world.run(loop);
  std::vector<std::string> done, reasons;
  for (const Trial& trial : loop.trials()) {
    if (trial.state == TrialState::kDone) done.push_back(trial.label);
    if (trial.state == TrialState::kFailed) reasons.push_back(trial.failure);
  }
  EXPECT_THAT(done, ::testing::ElementsAre("faster", "larger"));
  // What is none here is asked for once more at the end, and its reason told then.
  EXPECT_THAT(reasons, ::testing::ElementsAre(HasSubstr("at least one patch"), HasSubstr("is there twice"),
                                              HasSubstr("unknown field \"pathces\""),
                                              HasSubstr("did you mean \"rate\""), HasSubstr("contradict")));
  EXPECT_EQ(loop.accounts().at(0).repeats, 1);
  EXPECT_TRUE(loop.accounts().at(0).exhausted);
}

TEST(ListProposer, AFactorIsOfWhatTheRecipeHasAndStaysWithinTheRange) {
  const PointSpace space = recipe_like();
  FunctionWorld world(space, recipe_like_loss);
  const LoopOptions options = list_options(R"(
[[change]]
id = "half"
patches = ["rate*=0.5"]
[[change]]
id = "far"
patches = ["rate*=1e9"]
[[change]]
id = "nothing"
patches = ["rate*=0"]
[[change]]
id = "typo"
patches = ["rat*=2"]
)");
  SearchLoop loop(world, options);
  size_t rate = 0;
  while (space.fields().at(rate).name != "rate") ++rate;
  const double start = space.centre()[rate];
  world.run(loop);
  std::vector<double> rates;
  std::vector<std::string> reasons;
  for (const Trial& trial : loop.trials()) {
    if (trial.state == TrialState::kDone) rates.push_back(trial.values[rate]);
    if (trial.state == TrialState::kFailed) reasons.push_back(trial.failure);
  }
  ASSERT_EQ(rates.size(), 2u);
  EXPECT_NEAR(rates[0], 0.5 * start, 1e-6 * start);
  EXPECT_DOUBLE_EQ(rates[1], space.fields()[rate].high);
  EXPECT_THAT(reasons,
              ::testing::UnorderedElementsAre(HasSubstr("a factor above 0"), HasSubstr("did you mean \"rate\"")));
}

TEST(ListProposer, AListWithAMistakeIsRefusedBeforeAnythingRuns) {
  for (const char* text :
       {"[[change]]\npatches = []\n", "[[change]]\nid = \"a\"\npathces = [\"x=1\"]\n",
        "[[change]]\nid = \"a\"\npatches = [\"x=1\"]\n[[change]]\nid = \"a\"\npatches = [\"x=2\"]\n"})
    EXPECT_THROW(check_list(text, "changes.toml", {}), Error) << text;
  check_list("[[change]]\nid = \"a\"\npatches = [\"x=1\"]\n", "changes.toml", {});
}

TEST(ListProposer, APatchThatItsCheckRefusesIsToldWithItsFileAndItsChange) {
  try {
    check_list("[[change]]\nid = \"b\"\npatches = [\"y=2\"]\n", "changes.toml",
               [](const std::string& patch) { throw_bad_input("no field in {}", patch); });
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "changes.toml: change \"b\": no field in y=2");
  }
}

TEST(ListProposer, FileThatIsNoListIsRefused) {
  const PointSpace space = recipe_like();
  for (const char* text : {"", "[[change]", "[other]\nx = 1", "change = 3", "x = 1"}) {
    ProposerOptions options;
    options.list = text;
    options.list_source = "changes.toml";
    try {
      make_proposer("list", space, options);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    }
  }
  try {
    make_proposer("bays", space);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("known are list, random, local, evolve, bayes"));
  }
}

// Teams decide by expected gain, whatever each proposer has gained so far.
using Names = std::vector<std::string>;

std::vector<Trial> searched(const PointSpace& space, const Names& names, uint64_t seed, int runs,
                            double (*loss)(const workload::Values&)) {
  PointSubject subject(space);
  DeskOptions options;
  options.seed = seed;
  options.proposers = names;
  options.rung_flops = {1e12};
  ProposalDesk desk(subject, options);
  for (int i = 0; i < runs; ++i) {
    const auto trial = desk.ask();
    if (!trial) break;
    desk.done_and_believed(*trial, loss(desk.trials()[*trial].values), 1e12);
  }
  return desk.trials();
}

double steep_bowl(const workload::Values& v) {
  double sum = 3;
  for (size_t i = 0; i < v.size(); ++i) sum += (i % 2 == 0 ? 0.4 : 0.02) * std::pow(v[i] - 0.3 - 0.05 * i, 2);
  return sum;
}

PointSpace grid() {
  const std::vector<Json> levels = {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
  return PointSpace(
      {{"x", workload::Axis::kOrdinal, 0, 1, levels, {}, {}}, {"y", workload::Axis::kOrdinal, 0, 1, levels, {}, {}}});
}

PointSpace eight_numbers() {
  std::vector<workload::SearchField> fields;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"})
    fields.push_back({name, workload::Axis::kLinear, 0, 1, {}, {}, {}});
  return PointSpace(fields);
}

double bowl_of_levels(const workload::Values& v) {
  return steep_bowl({v[0] / 10, v[1] / 10});
}

TEST(Team, OfASmallSpaceRunsWhatTheBestJudgeAmongThemWouldRunAlone) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const auto team = searched(grid(), {"random", "local", "evolve", "bayes"}, seed, 15, bowl_of_levels);
    const auto alone = searched(grid(), {"bayes"}, seed, 15, bowl_of_levels);
    ASSERT_EQ(team.size(), alone.size());
    for (size_t i = 0; i < team.size(); ++i) EXPECT_EQ(team[i].identity, alone[i].identity) << seed << " " << i;
  }
}

TEST(Team, OfALargeSpaceRunsFromEveryProposerWhatPromisesEnough) {
  std::map<std::string, int> runs;
  for (uint64_t seed = 1; seed <= 4; ++seed)
    for (const Trial& trial : searched(eight_numbers(), {"random", "local", "evolve", "bayes"}, seed, 50, steep_bowl)) {
      ++runs[trial.proposer];
      EXPECT_TRUE(trial.predicted_gain.has_value());
    }
  EXPECT_LT(runs["random"], 20);  // of 200
  for (const char* name : {"local", "evolve", "bayes"}) EXPECT_GT(runs[name], 20) << name;
}

TEST(Team, FindsSoonerThanItsMembers) {
  const auto runs_until = [](const Names& names) {
    double sum = 0;
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      const auto trials = searched(eight_numbers(), names, seed, 60, steep_bowl);
      size_t at = 0;
      while (at < trials.size() && trials[at].loss > 3.01) ++at;
      sum += static_cast<double>(at + 1) / 4;
    }
    return sum;
  };
  const double team = runs_until({"random", "local", "evolve", "bayes"});
  for (const char* name : {"random", "local", "evolve", "bayes"}) EXPECT_LT(team, runs_until({name}) + 2) << name;
}

TEST(Team, NeedsAProposer) {
  const PointSpace space = grid();
  EXPECT_THROW(ProposerTeam({}, space, {}, 1), Error);
  EXPECT_THROW(ProposerTeam({"bayes", "clairvoyant"}, space, {}, 1), Error);
}

}  // namespace
}  // namespace flywheel::search
