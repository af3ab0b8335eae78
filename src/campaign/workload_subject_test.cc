#include "campaign/workload_subject.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <set>

#include "recipe/recipe.h"
#include "search/proposal_desk.h"
#include "testing/engine_workload.h"
#include "testing/fake_clock.h"
#include "testing/temporary_folder.h"

namespace flywheel::campaign {
namespace {

search::DeskOptions options_of(const std::string& proposer) {
  search::DeskOptions options;
  options.seed = 3;
  options.proposers = {proposer};
  options.rung_flops = {1e10};
  options.target_flops = 1e12;
  return options;
}

// The engine's workload around the default recipe, and a list of changes.
struct TestedSubject {
  explicit TestedSubject(const std::string& list)
      : ledger(ledger::Ledger::open(folder.path())),
        lab{.ledger = *ledger,
            .workload = workload,
            .clock = clock,
            .options = options(list),
            .say = {},
            .should_stop = {}},
        book(lab) {}
  static CampaignOptions options(const std::string& list) {
    CampaignOptions options;
    options.list = list;
    return options;
  }
  WorkloadSubject subject() const { return WorkloadSubject(lab, book, workload::make_configuration(recipe::Recipe{})); }

  testing::TemporaryFolder folder;
  mutable testing::EngineWorkload workload;
  mutable testing::FakeClock clock;
  std::unique_ptr<ledger::Ledger> ledger;
  Lab lab;
  RunBook book;
};

// A proposer that searches around the incumbent names a point of the space: the patches lead there from the present
// recipe, including back to what an adoption changed.
TEST(WorkloadSubject, PointsAreReachedFromTheRecipeOfNow) {
  const TestedSubject tested("");
  WorkloadSubject subject = tested.subject();
  search::ProposalDesk desk(subject, options_of("local"));
  desk.take(subject.base()->identity());
  const auto now = subject.changed(*subject.base(), {"model.feed_forward=gelu", "optimizer.weight_decay=0"});
  const recipe::Recipe& adopted = workload::recipe_of(*now);
  desk.set_incumbent(*now, 2);
  bool back = false;
  std::set<std::string> seen = {recipe::recipe_hash(adopted)};
  for (int i = 0; i < 400; ++i) {
    const auto asked = desk.ask();
    ASSERT_TRUE(asked.has_value());
    ASSERT_EQ(desk.trials()[*asked].failure, "");
    const std::vector<std::string> patches = desk.changes(*asked, *now);
    ASSERT_FALSE(patches.empty());
    // One field at a time, as long as there are such: nothing else of what was adopted is undone.
    if (i < 20) {
      EXPECT_LE(patches.size(), 4u) << fmt::format("{}", fmt::join(patches, ", "));
    }
    EXPECT_TRUE(seen.insert(recipe::recipe_hash(recipe::apply_patches(adopted, patches))).second);
    for (const std::string& patch : patches) back = back || patch == "model.feed_forward=swiglu";
    desk.done(*asked, 2.1, 0, 1e10);
  }
  EXPECT_TRUE(back);
}

TEST(WorkloadSubject, AListedChangeIsAChangeWhateverWasAdopted) {
  search::DeskOptions options = options_of("list");
  options.proposer_options.list = "[[change]]\npatches = [\"model.norm=layernorm\"]\n";
  options.proposer_options.list_source = "changes.toml";
  const TestedSubject tested(options.proposer_options.list);
  WorkloadSubject subject = tested.subject();
  search::ProposalDesk desk(subject, options);
  const auto now = subject.changed(*subject.base(), {"model.feed_forward=gelu"});
  desk.set_incumbent(*now, 2);
  const auto asked = desk.ask();
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(desk.changes(*asked, *now), std::vector<std::string>{"model.norm=layernorm"});
  EXPECT_FALSE(desk.ask().has_value());
}

TEST(WorkloadSubject, ProposersHearOfATrialOnce) {
  const TestedSubject tested("");
  WorkloadSubject subject = tested.subject();
  search::ProposalDesk desk(subject, options_of("local"));
  desk.take(subject.base()->identity());
  const auto asked = desk.ask();
  ASSERT_TRUE(asked.has_value());
  desk.set_first_incumbent(2);
  desk.stopped(*asked, 2.5, 0.1, {{0.5, 2.7}}, 5e9);
  desk.done(*asked, 2.4, 0.2, 1e10);
  desk.failed(*asked, "later", 1e10);
  EXPECT_EQ(desk.accounts()[0].stopped, 1);
  EXPECT_EQ(desk.accounts()[0].done, 0);
  EXPECT_EQ(desk.accounts()[0].failed, 0);
}

}  // namespace
}  // namespace flywheel::campaign
