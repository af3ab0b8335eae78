// The campaign's search on made-up runs: what it adopts, what it does not, and that a kill changes nothing.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "campaign/campaign.h"
#include "campaign/points.h"
#include "protocol/run_events.h"
#include "testing/fake_clock.h"
#include "testing/fake_runner.h"
#include "testing/temporary_folder.h"

namespace flywheel::campaign {
namespace {

using flywheel::testing::FakeClock;
using flywheel::testing::FakeRunner;
using flywheel::testing::Script;
using flywheel::testing::TemporaryFolder;

class NoTools : public Tools {
 public:
  std::function<double(const Path&, const std::string&)> evaluated = [](const Path&, const std::string&) {
    return 1.5;
  };
  Evaluation evaluate(const Path& run, const std::string& split, int64_t tokens) override {
    return {1.0, evaluated(run, split), tokens};
  }
  std::string sample(const Path&, int) override { return "text"; }
  uint64_t predict_memory_bytes(const recipe::RunSpec&) override { return 1 << 20; }
};

const char* kChanges = R"toml(
[[change]]
id = "real"
patches = ["model.rope_base=20000"]
[[change]]
id = "nothing"
patches = ["optimizer.epsilon=1e-7"]
[[change]]
id = "harmful"
patches = ["optimizer.beta1=0.8"]
[[change]]
id = "diverges"
patches = ["optimizer.momentum=0.5"]
[[change]]
id = "no change at all"
patches = ["model.nonsense=3"]
)toml";

struct SearchedLab {
  double gain = 0.1, noise_sd = 0.005;
  TemporaryFolder folder;
  FakeClock clock;
  FakeRunner runner{clock};
  NoTools tools;
  CampaignOptions options;
  std::function<bool()> stop = [] { return false; };
  std::string said;

  SearchedLab() {
    runner.seconds_of = [](const recipe::RunSpec& spec) {
      return 0.08 + recipe::new_training_flops(spec.recipe, spec.size) / 40e9;
    };
    runner.bits_per_byte_of = [this](const recipe::RunSpec& spec) {
      const recipe::Recipe& r = spec.recipe;
      const auto n = static_cast<double>(count(r, spec.size).matrix_parameters);
      const auto d = static_cast<double>(spec.size.tokens());
      double loss = 0.9 + 40 / std::pow(n, 0.42) + 160 / std::pow(d, 0.42);
      const double off = std::log(r.optimizer.learning_rate / recipe::Recipe{}.optimizer.learning_rate);
      loss *= 1 + 0.01 * off * off;
      if (r.model.rope_base == 20000) loss -= gain;
      if (r.optimizer.beta1 == 0.8) loss += 0.1;
      Rng rng(spec.seed, hash64(spec.id));
      return r.optimizer.momentum == 0.5 ? std::nan("") : loss + noise_sd * rng.normal();
    };
    options.lab = folder.path();
    options.budget.flops = 1.5e14;
    options.slots = 2;
    options.train_tokens = 100'000'000;
    options.search_tokens = 1'000'000;
    options.proposers = {"list"};
    options.list = kChanges;
    options.list_source = "changes.toml";
  }
  CampaignEnd run() {
    runner.forget();
    options.started_clock_seconds = clock.now_seconds();
    const auto ledger = ledger::Ledger::open(folder.path());
    Campaign campaign(
        *ledger, runner, tools, clock, options, [this] { return stop(); },
        [this](const std::string& line) { said += line + "\n"; }, [](const scheduler::Progress&, double) {});
    return campaign.run();
  }
  std::unique_ptr<ledger::Ledger> read() const { return ledger::Ledger::open_read_only(folder.path()); }
};

TEST(CampaignSearch, AdoptsWhatIsRealAndClimbsTheLadderWithIt) {
  SearchedLab lab;
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
  const auto ledger = lab.read();
  std::map<std::string, std::string> became;
  for (const auto& record : ledger->records("proposal"))
    became[record.payload.at("label").get<std::string>()] = record.payload.at("outcome").get<std::string>();
  EXPECT_EQ(became["real"], "adopted") << lab.said;
  EXPECT_NE(became["nothing"], "adopted");
  EXPECT_EQ(became["harmful"], "rejected");
  EXPECT_EQ(became["diverges"], "failed");
  EXPECT_EQ(became["no change at all"], "failed");
  const auto findings = ledger->records("finding");
  ASSERT_EQ(findings.size(), 1u);
  // However much a further proposal might bring, a ladder that forecasts is left.
  std::set<double> rungs;
  for (const auto& row : ledger->runs())
    if (row.stage == "ladder" || row.stage == "top") rungs.insert(row.rung_flops);
  EXPECT_GE(rungs.size(), 5u);
  const Json& finding = findings[0].payload;
  EXPECT_GT(finding.at("compute_multiplier").get<double>(), 1);
  EXPECT_GT(finding.at("low").get<double>(), 1);
  EXPECT_EQ(finding.at("rungs").size(), 2u);
  EXPECT_NEAR(finding.at("difference").at("value").get<double>(), -lab.gain, 0.02);
  for (const auto& row : ledger->runs())
    if (on_the_ladder(row)) {
      const recipe::RunSpec spec = recipe::load_run_spec(lab.folder.path() / "runs" / row.run / "spec.json");
      EXPECT_EQ(spec.recipe.model.rope_base, 20000) << row.run;
    }
}

TEST(CampaignSearch, WhereTheBudgetIsTimeAChangeMustBeWorthItsTime) {
  for (const bool slow : {false, true}) {
    SearchedLab lab;
    lab.options.budget.flops = 0;
    lab.options.budget.seconds = 1800;
    const auto seconds_of = lab.runner.seconds_of;
    lab.runner.seconds_of = [=](const recipe::RunSpec& spec) {
      return seconds_of(spec) * (slow && spec.recipe.model.rope_base == 20000 ? 5 : 1);
    };
    ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
    for (const auto& record : lab.read()->records("proposal")) {
      if (record.payload.at("label") != "real") continue;
      EXPECT_EQ(record.payload.at("outcome"), slow ? "rejected" : "adopted") << record.payload.dump();
      if (slow) {
        EXPECT_NE(record.payload.at("reason").get<std::string>().find("the time for"), std::string::npos);
      }
    }
  }
}

TEST(CampaignSearch, LeavesTheLadderAThirdOfTheBudgetHoweverMuchThereIsToFind) {
  SearchedLab lab;
  lab.options.budget.flops = 0;
  lab.options.budget.seconds = 90;
  lab.options.proposers = {"random", "local"};
  const auto loss = lab.runner.bits_per_byte_of;
  lab.runner.bits_per_byte_of = [loss](const recipe::RunSpec& spec) {  // every recipe does something
    Rng rng(1, hash64(recipe::recipe_hash(spec.recipe)));
    return loss(spec) - 0.1 * rng.normal();
  };
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished);
  double searched = 0, ladder = 0;
  for (const ledger::RunRow& row : lab.read()->runs()) {
    const bool rung = row.stage == "ladder" || row.stage == "noise" || row.stage == "top";
    (rung ? ladder : searched) += row.seconds;
  }
  const double all = lab.options.budget.seconds * lab.options.slots;
  EXPECT_GT(searched, 0.3 * all);
  EXPECT_GT(ladder, 0.15 * all);  // a third, less the evaluations at the end and what runs took beyond their FLOPs
}

TEST(CampaignSearch, SelectionSeesTheSearchSplitConfirmationFreshSeedsAndTheAuditSplit) {
  SearchedLab lab;
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished);
  std::set<uint64_t> screened, confirmed;
  for (const auto& row : lab.read()->runs()) {
    const recipe::RunSpec spec = recipe::load_run_spec(lab.folder.path() / "runs" / row.run / "spec.json");
    if (row.stage == "screen" || row.stage == "base") screened.insert(spec.seed);
    const bool confirms = row.stage == "confirm" || row.stage == "ablate" || row.stage == "gain";
    if (confirms) confirmed.insert(spec.seed);
    EXPECT_EQ(spec.eval_split, confirms ? "audit" : "search") << row.run;
  }
  EXPECT_FALSE(confirmed.empty());
  for (const uint64_t seed : confirmed) EXPECT_FALSE(screened.contains(seed));
}

TEST(CampaignSearch, TheSameRecipeIsNotTestedTwice) {
  SearchedLab lab;
  lab.options.list = R"toml(
[[change]]
patches = ["model.rope_base=20000"]
[[change]]
patches = ["model.rope_base=20000", "optimizer.beta1=0.9"]
[[change]]
patches = ["model.rope_base=20000", "optimizer.epsilon=1e-7"]
)toml";
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
  int adopted = 0;
  for (const auto& record : lab.read()->records("proposal")) {
    adopted += record.payload.at("outcome") == "adopted" ? 1 : 0;
    if (record.payload.at("outcome") == "rejected") {
      EXPECT_NE(record.payload.at("reason"), "") << record.payload.dump();
    }
  }
  EXPECT_EQ(adopted, 1);
}

TEST(CampaignSearch, OfChangesThatDoNothingNoneIsAdopted) {
  SearchedLab lab;
  lab.options.list.clear();
  for (int i = 0; i < 30; ++i)
    lab.options.list +=
        fmt::format("[[change]]\nid = \"null-{0}\"\npatches = [\"optimizer.epsilon=1.{0:02}e-8\"]\n", i + 1);
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished);
  EXPECT_TRUE(lab.read()->records("finding").empty()) << lab.said;
  const Json search = lab.read()->last("search")->payload;
  EXPECT_EQ(search.at("tried").get<int>(), 30);
  // What a claim would have taken is said.
  EXPECT_NEAR(search.at("needed").at("noise_floor").get<double>(), lab.noise_sd, 0.7 * lab.noise_sd);
  EXPECT_GT(search.at("needed").at("pairs").get<double>(), 8);
}

TEST(CampaignSearch, AKillAnywhereChangesNoDecision) {
  SearchedLab whole;
  std::string harmful;  // enough of them that some are stopped half way
  for (int i = 0; i < 40; ++i)
    harmful += fmt::format("[[change]]\npatches = [\"optimizer.beta1=0.8\", \"optimizer.epsilon=1.{:02}e-8\"]\n", i);
  whole.options.list = harmful + whole.options.list;
  whole.options.search_tokens = 20'000;  // cheap evaluations, so that a look half way pays
  ASSERT_EQ(whole.run(), CampaignEnd::kFinished);
  EXPECT_GT(whole.read()->last("search")->payload.at("stopped").get<int>(), 5);
  SearchedLab killed;
  killed.options.list = whole.options.list;
  killed.options.search_tokens = whole.options.search_tokens;
  int polls = 0, allowed = 100;
  killed.stop = [&] { return ++polls > allowed; };
  int interruptions = 0;
  while (killed.run() == CampaignEnd::kInterrupted) {
    polls = 0, allowed += 150;
    ASSERT_LT(++interruptions, 200);
  }
  EXPECT_GT(interruptions, 2);
  const auto a = whole.read()->records("proposal"), b = killed.read()->records("proposal");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].payload, b[i].payload);
  EXPECT_EQ(whole.read()->records("finding")[0].payload, killed.read()->records("finding")[0].payload);
}

TEST(CampaignSearch, SaysWhatAllIsWorthTogetherOnTheAuditAndOnceOnTheLockedSplit) {
  SearchedLab lab;
  int locked = 0;
  lab.tools.evaluated = [&](const Path& run, const std::string& split) {
    locked += split == "locked" ? 1 : 0;
    // As on the audit split: what the run itself reached.
    return protocol::read_outcome(run / protocol::kEventsFile).bits_per_byte.value_or(0);
  };
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished);  // and not again
  const auto gains = lab.read()->records("gain");
  ASSERT_EQ(gains.size(), 2u);
  EXPECT_EQ(locked, 1 + static_cast<int>(gains[0].payload.at("runs").size()));
  EXPECT_EQ(gains[0].payload.at("split"), "audit");
  EXPECT_EQ(gains[1].payload.at("split"), "locked");
  EXPECT_TRUE(gains[1].payload.at("inside").get<bool>());
  for (const auto& gain : gains)
    for (const Json& rung : gain.payload.at("rungs")) {
      EXPECT_NEAR(rung.at("difference").get<double>(), -lab.gain, 0.02);
      EXPECT_GT(rung.at("compute_multiplier").at("low").get<double>(), 1);
    }
}

TEST(CampaignSearch, RunsThatCannotWinAreStoppedHalfWayAndChargedForThat) {
  SearchedLab lab;
  lab.options.search_tokens = 20'000;
  lab.options.list.clear();
  for (int i = 0; i < 40; ++i)
    lab.options.list +=
        fmt::format("[[change]]\npatches = [\"optimizer.beta1=0.8\", \"optimizer.epsilon=1.{:02}e-8\"]\n", i);
  lab.options.list += "[[change]]\nid = \"real\"\npatches = [\"model.rope_base=20000\"]\n";
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
  const auto ledger = lab.read();
  const Json search = ledger->last("search")->payload;
  int stopped = 0;
  for (const auto& row : ledger->runs()) {
    if (!row.gave_up()) continue;
    ++stopped;
    EXPECT_EQ(row.stage, "screen");
    EXPECT_NEAR(row.spent_flops / row.flops, 0.5, 0.02) << row.run;
    EXPECT_EQ(ledger->run_curve(row.run).size(), 2u);
  }
  EXPECT_GE(stopped, 20);
  EXPECT_EQ(search.at("stopped"), stopped);
  EXPECT_NEAR(search.at("saved_flops").get<double>() / search.at("screen_flops").get<double>(), 0.5 * stopped, 0.5);
  EXPECT_EQ(ledger->records("finding").size(), 1u);
}

TEST(CampaignCompare, SaysBetterWorseAndUndecided) {
  for (const auto& [gain, verdict] :
       {std::pair{0.05, "better"}, std::pair{-0.05, "worse"}, std::pair{0.0, "undecided"}}) {
    SearchedLab lab;
    lab.gain = gain;
    lab.options.proposers.clear();
    lab.options.budget.flops = 3e13;
    const auto ledger = ledger::Ledger::open(lab.folder.path());
    Campaign campaign(
        *ledger, lab.runner, lab.tools, lab.clock, lab.options, [] { return false; }, [](const std::string&) {},
        [](const scheduler::Progress&, double) {});
    recipe::Recipe candidate = lab.options.recipe;
    candidate.model.rope_base = 20000;
    const Json result = campaign.compare(candidate);
    EXPECT_EQ(result.at("verdict"), verdict);
    EXPECT_EQ(result.at("rungs").size(), 2u);
    if (gain > 0) {
      EXPECT_LT(result.at("high").get<double>(), 0);
      EXPECT_GT(result.at("compute_multiplier").at("low").get<double>(), 1);
    }
  }
}

}  // namespace
}  // namespace flywheel::campaign
