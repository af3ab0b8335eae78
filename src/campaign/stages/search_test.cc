// The campaign's search on made-up runs: what it adopts, what it does not, and that a kill changes nothing.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rng.h"
#include "campaign/campaign.h"
#include "campaign/document_sums.h"
#include "campaign/points.h"
#include "protocol/run_events.h"
#include "testing/engine_workload.h"
#include "testing/fake_clock.h"
#include "testing/fake_engine.h"
#include "testing/temporary_folder.h"

namespace flywheel::campaign {
namespace {

using flywheel::testing::EngineWorkload;
using flywheel::testing::FakeClock;
using flywheel::testing::FakeEngine;
using flywheel::testing::Script;
using flywheel::testing::TemporaryFolder;

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
  FakeEngine runner{clock};
  EngineWorkload workload;
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
    options.configuration = workload::make_configuration(recipe::Recipe{});
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
    Campaign campaign(*ledger, runner, workload, clock, options);
    campaign.stop_when([this] { return stop(); });
    campaign.on_line([this](const std::string& line) { said += line + "\n"; });
    return campaign.run();
  }
  // From now on runs say what they scored on each document: a change's effect differs from document to document by
  // `spread`, and its mean is untouched.
  void score_documents(double spread) {
    runner.bits_per_byte_of = [this, spread, before = runner.bits_per_byte_of](const recipe::RunSpec& spec) {
      const double loss = before(spec);
      const bool changed = spec.recipe.model.rope_base == 20000;
      workload::Evaluation evaluation;
      evaluation.by_document = documents(loss, changed ? spread : 0);
      const Path run = folder.path() / "runs" / spec.id;
      keep_document_sums(run, protocol::Split::kAudit, evaluation);
      std::filesystem::rename(run / "documents-audit.json", run / protocol::kDocumentsFile);
      return loss;
    };
  }
  static std::vector<workload::Evaluation::Document> documents(double loss, double spread) {
    constexpr int kDocuments = 40;
    std::vector<workload::Evaluation::Document> documents;
    for (int d = 0; d < kDocuments; ++d)
      documents.push_back({d, 1000, 1000 * (loss + 0.2 * std::sin(d) + (d % 2 == 0 ? spread : -spread))});
    return documents;
  }
  std::unique_ptr<ledger::Ledger> read() const { return ledger::Ledger::open_read_only(folder.path()); }
};

TEST(CampaignSearch, AdoptsWhatIsRealAndClimbsTheLadderWithIt) {
  SearchedLab lab;
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
  const auto ledger = lab.read();
  std::map<std::string, std::string> became;
  for (const auto& record : ledger->all<ledger::ProposalRecord>())
    became[record.value.label] = name(record.value.outcome);
  EXPECT_EQ(became["real"], "adopted") << lab.said;
  EXPECT_NE(became["nothing"], "adopted");
  EXPECT_EQ(became["harmful"], "not tested");  // its first runs were enough
  EXPECT_EQ(became["diverges"], "failed");
  EXPECT_EQ(became["no change at all"], "failed");
  const auto findings = ledger->all<ledger::FindingRecord>();
  ASSERT_EQ(findings.size(), 1u);
  // However much a further proposal might bring, a ladder that forecasts is left.
  std::set<double> rungs;
  for (const auto& row : ledger->runs())
    if (row.stage == protocol::Stage::kLadder || row.stage == protocol::Stage::kTop) rungs.insert(row.rung_flops);
  EXPECT_GE(rungs.size(), 5u);
  const ledger::FindingRecord& finding = findings[0].value;
  EXPECT_GT(finding.multiplier.value, 1);
  EXPECT_GT(finding.multiplier.low, 1);
  EXPECT_EQ(finding.rungs.size(), 2u);
  EXPECT_NEAR(finding.difference.value, -lab.gain, 0.02);
  for (const auto& row : ledger->runs())
    if (on_the_ladder(row)) {
      const recipe::RunSpec spec = recipe::load_run_spec(lab.folder.path() / "runs" / row.run / "spec.json");
      EXPECT_EQ(spec.recipe.model.rope_base, 20000) << row.run;
    }
}

// Looks at a model with a longer context cost several times as much, those of the end too.
// A campaign must not end worse than the recipe that the program ships without having tried it.
TEST(CampaignSearch, FromAnotherRecipeTheDefaultOneIsTriedFirstAsAWhole) {
  SearchedLab lab;
  recipe::Recipe plain;
  plain.model.norm = recipe::NormKind::kLayerNorm;
  plain.model.feed_forward = recipe::FeedForward::kGelu;
  lab.options.configuration = workload::make_configuration(plain);
  lab.runner.bits_per_byte_of = [before = lab.runner.bits_per_byte_of](const recipe::RunSpec& spec) {
    const bool old = spec.recipe.model.norm == recipe::NormKind::kLayerNorm ||
                     spec.recipe.model.feed_forward == recipe::FeedForward::kGelu;
    return before(spec) + (old ? 0.3 : 0);
  };
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
  const auto ledger = lab.read();
  const auto proposals = ledger->all<ledger::ProposalRecord>();
  ASSERT_FALSE(proposals.empty());
  EXPECT_EQ(proposals[0].value.label, "default-recipe");
  EXPECT_EQ(proposals[0].value.outcome, protocol::Outcome::kAdopted) << lab.said;
  const auto findings = ledger->all<ledger::FindingRecord>();
  ASSERT_GE(findings.size(), 1u);
  EXPECT_EQ(findings[0].value.test, 1);
  // The next best was tested on top of it.
  ASSERT_GE(findings.size(), 2u) << lab.said;
  EXPECT_EQ(findings[1].value.label, "real");
  EXPECT_NEAR(findings[1].value.difference.value, -lab.gain, 0.02);
}

TEST(CampaignSearch, AFlopBudgetIsKeptWhereALongerContextIsAdopted) {
  SearchedLab lab;
  lab.options.list = "[[change]]\nid = \"longer\"\npatches = [\"model.context=512\"]\n";
  const auto bits_of = lab.runner.bits_per_byte_of;
  lab.runner.bits_per_byte_of = [=](const recipe::RunSpec& spec) {
    return bits_of(spec) - (spec.recipe.model.context == 512 ? 0.3 : 0);
  };
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
  const auto ledger = lab.read();
  ASSERT_EQ(ledger->all<ledger::FindingRecord>().size(), 1u) << lab.said;
  EXPECT_LE(ledger->spend().flops(), lab.options.budget.flops) << lab.said;
  double looks = 0;
  for (const auto& record : ledger->all<ledger::EvaluationRecord>()) looks += record.value.evaluation_flops.value_or(0);
  EXPECT_GT(looks, 0);
  EXPECT_LT(looks, 0.15 * lab.options.budget.flops);
  EXPECT_TRUE(final_evaluation(*ledger, protocol::Split::kLocked)) << lab.said;
}

// One step of it takes more than the rung.
TEST(CampaignSearch, AChangeWhoseRunsTakeManyTimesTheirRungIsNotRun) {
  SearchedLab lab;
  lab.options.list = "[[change]]\nid = \"vast\"\npatches = [\"model.context=32768\"]\n";
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
  const auto proposals = lab.read()->all<ledger::ProposalRecord>();
  ASSERT_EQ(proposals.size(), 1u) << lab.said;
  EXPECT_EQ(proposals[0].value.outcome, protocol::Outcome::kFailed);
  EXPECT_NE(proposals[0].value.reason.find("times what the base's takes"), std::string::npos)
      << proposals[0].value.reason;
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
    for (const auto& record : lab.read()->all<ledger::ProposalRecord>()) {
      if (record.value.label != "real") continue;
      EXPECT_EQ(record.value.outcome, slow ? protocol::Outcome::kRejected : protocol::Outcome::kAdopted)
          << record.value.reason;
      if (slow) {
        EXPECT_NE(record.value.reason.find("the time for"), std::string::npos);
      }
    }
  }
}

// What is printed beside a finding is what it was adopted by, after kills as well.
TEST(CampaignSearch, ASlowerChangeIsAdoptedByTheTimeIntervalThatIsPrinted) {
  for (const auto& [spread, outcome] :
       {std::pair{0.02, protocol::Outcome::kAdopted}, std::pair{0.5, protocol::Outcome::kUndecided}})
    for (const bool kills : {false, true}) {
      SearchedLab lab;
      lab.options.budget.flops = 0;
      lab.options.budget.seconds = 1800;
      lab.score_documents(spread);
      const auto seconds_of = lab.runner.seconds_of;
      lab.runner.seconds_of = [=](const recipe::RunSpec& spec) {
        return seconds_of(spec) * (spec.recipe.model.rope_base == 20000 ? 1.15 : 1);
      };
      int polls = 0, allowed = 400;
      if (kills) lab.stop = [&] { return ++polls > allowed; };
      int interruptions = 0;
      while (lab.run() == CampaignEnd::kInterrupted) {
        polls = 0, allowed += 400;
        ASSERT_LT(++interruptions, 200);
      }
      EXPECT_EQ(interruptions > 0, kills);
      const auto ledger = lab.read();
      for (const auto& record : ledger->all<ledger::ProposalRecord>())
        if (record.value.label == "real") {
          EXPECT_EQ(record.value.outcome, outcome) << record.value.reason;
        }
      for (const auto& record : ledger->all<ledger::FindingRecord>()) {
        EXPECT_TRUE(record.value.sampling);
        ASSERT_TRUE(record.value.time_multiplier);
        EXPECT_GT(record.value.time_multiplier->low, 1);
      }
      EXPECT_EQ(ledger->all<ledger::FindingRecord>().size(), outcome == protocol::Outcome::kAdopted ? 1u : 0u);
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
  const auto ledger = lab.read();
  for (const ledger::RunRow& row : ledger->runs()) {
    const bool rung = row.stage == protocol::Stage::kLadder || row.stage == protocol::Stage::kNoise ||
                      row.stage == protocol::Stage::kTop;
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
  const auto ledger = lab.read();
  for (const auto& row : ledger->runs()) {
    const recipe::RunSpec spec = recipe::load_run_spec(lab.folder.path() / "runs" / row.run / "spec.json");
    if (row.stage == protocol::Stage::kScreen || row.stage == protocol::Stage::kBase) screened.insert(spec.seed);
    const bool confirms = row.stage == protocol::Stage::kConfirm || row.stage == protocol::Stage::kAblate ||
                          row.stage == protocol::Stage::kGain;
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
  for (const auto& record : lab.read()->all<ledger::ProposalRecord>()) {
    adopted += record.value.outcome == protocol::Outcome::kAdopted ? 1 : 0;
    if (record.value.outcome == protocol::Outcome::kNotTested) {
      EXPECT_NE(record.value.reason, "") << record.value.id;
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
  EXPECT_TRUE(lab.read()->all<ledger::FindingRecord>().empty()) << lab.said;
  const ledger::SearchRecord search = lab.read()->last<ledger::SearchRecord>()->value;
  EXPECT_EQ(search.tried, 30);
  // What a claim would have taken is said.
  EXPECT_NEAR(search.needed->noise_floor, lab.noise_sd, 0.7 * lab.noise_sd);
  EXPECT_GT(search.needed->pairs, 8);
}

TEST(CampaignSearch, AKillAnywhereChangesNoDecision) {
  SearchedLab whole;
  std::string harmful;  // enough of them that some are stopped half way
  for (int i = 0; i < 40; ++i)
    harmful += fmt::format("[[change]]\npatches = [\"optimizer.beta1=0.8\", \"optimizer.epsilon=1.{:02}e-8\"]\n", i);
  whole.options.list = harmful + whole.options.list;
  whole.options.search_tokens = 20'000;  // cheap evaluations, so that a look half way pays
  ASSERT_EQ(whole.run(), CampaignEnd::kFinished);
  EXPECT_GT(whole.read()->last<ledger::SearchRecord>()->value.stopped, 5);
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
  // What was adopted is known while the search goes on, with what it was adopted by.
  const auto adopted = killed.read()->all<ledger::AdoptionDecision>();
  ASSERT_EQ(adopted.size(), 1u);
  EXPECT_EQ(adopted.front().value.patches, std::vector<std::string>{"model.rope_base=20000"});
  EXPECT_LT(adopted.front().value.high, 0);
  EXPECT_LT(adopted.front().sequence, killed.read()->last<ledger::SearchRecord>()->sequence);
  const ledger::RecordKind kind = ledger::kKindOf<ledger::ProposalRecord>;
  const auto a = whole.read()->raw_records(kind), b = killed.read()->raw_records(kind);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].payload, b[i].payload);
  // Seconds are measured: what was interrupted takes longer.
  const auto found = [](const SearchedLab& lab) {
    Json finding = parse_json(lab.read()->raw_records(ledger::kKindOf<ledger::FindingRecord>).at(0).payload, "finding");
    for (const char* measured : {"cpu_share", "time_multiplier"}) finding.erase(measured);
    finding.at("costs").erase("seconds");
    return finding;
  };
  EXPECT_EQ(found(whole), found(killed));
}

TEST(CampaignSearch, SaysWhatAllIsWorthTogetherOnTheAuditAndOnceOnTheLockedSplit) {
  SearchedLab lab;
  int locked = 0;
  lab.workload.bits_per_byte_of = [&](const Path& run, protocol::Split split) {
    locked += split == protocol::Split::kLocked ? 1 : 0;
    // As on the audit split: what the run itself reached.
    return protocol::read_outcome(run / protocol::kEventsFile).bits_per_byte.value_or(0);
  };
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
  ASSERT_EQ(lab.run(), CampaignEnd::kFinished);  // and not again
  const auto gains = lab.read()->all<ledger::GainRecord>();
  ASSERT_EQ(gains.size(), 2u);
  EXPECT_EQ(locked, 1 + static_cast<int>(gains[0].value.runs.size()));
  EXPECT_EQ(gains[0].value.split, protocol::Split::kAudit);
  EXPECT_EQ(gains[1].value.split, protocol::Split::kLocked);
  EXPECT_FALSE(gains[1].value.inside);  // nothing is known of the documents
  for (const auto& gain : gains)
    for (const ledger::GainRecord::Rung& rung : gain.value.rungs) {
      EXPECT_NEAR(rung.effect.difference.value, -lab.gain, 0.02);
      EXPECT_GT(rung.effect.multiplier.low, 1);
    }
}

TEST(CampaignSearch, TheLockedGainHasItsOwnSamplingErrorAndAgreesWithinTheErrorsOfBothSplits) {
  // The audit split's own interval is about 0.014 either way, of both splits with seeds 0.03.
  for (const auto& [apart, agrees] : {std::pair{0.018, true}, std::pair{0.1, false}}) {
    SearchedLab lab;
    lab.score_documents(0.05);
    const auto locked_loss = [apart = apart](const Path& run) {
      const recipe::RunSpec spec = recipe::load_run_spec(run / protocol::kSpecFile);
      return protocol::read_outcome(run / protocol::kEventsFile).bits_per_byte.value_or(0) +
             (spec.recipe.model.rope_base == 20000 ? apart : 0);
    };
    lab.workload.bits_per_byte_of = [&](const Path& run, protocol::Split) { return locked_loss(run); };
    lab.workload.documents_of = [&](const Path& run, protocol::Split) {
      const recipe::RunSpec spec = recipe::load_run_spec(run / protocol::kSpecFile);
      return SearchedLab::documents(locked_loss(run), spec.recipe.model.rope_base == 20000 ? 0.08 : 0);
    };
    ASSERT_EQ(lab.run(), CampaignEnd::kFinished) << lab.said;
    const auto gains = lab.read()->all<ledger::GainRecord>();
    ASSERT_EQ(gains.size(), 2u);
    ASSERT_EQ(gains[1].value.split, protocol::Split::kLocked);
    for (size_t r = 0; r < gains[1].value.rungs.size(); ++r) {
      const ledger::RungEffect &audit = gains[0].value.rungs[r].effect, &locked = gains[1].value.rungs[r].effect;
      EXPECT_NEAR(audit.sampling.value().sd, 0.05 / std::sqrt(39), 1e-6);
      EXPECT_NEAR(locked.sampling.value().sd, 0.08 / std::sqrt(39), 1e-6);
      EXPECT_GT(locked.difference.high - locked.difference.value, locked.sampling->half_width(0.9));
      EXPECT_GT(locked.difference.value, audit.difference.high);  // the audit split's interval alone would not do
    }
    EXPECT_EQ(gains[1].value.inside, std::optional(agrees)) << lab.said;
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
  const ledger::SearchRecord search = ledger->last<ledger::SearchRecord>()->value;
  int stopped = 0;
  for (const auto& row : ledger->runs()) {
    if (!row.gave_up()) continue;
    ++stopped;
    EXPECT_EQ(row.stage, protocol::Stage::kScreen);
    EXPECT_NEAR(row.spent_flops / row.flops, 0.5, 0.02) << row.run;
    EXPECT_EQ(ledger->run_curve(row.run).size(), 2u);
  }
  EXPECT_GE(stopped, 20);
  EXPECT_EQ(search.stopped, stopped);
  EXPECT_NEAR(search.saved_flops / search.screen_flops, 0.5 * stopped, 0.5);
  EXPECT_EQ(ledger->all<ledger::FindingRecord>().size(), 1u);
}

}  // namespace
}  // namespace flywheel::campaign
