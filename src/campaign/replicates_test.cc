#include "campaign/replicates.h"

#include <gtest/gtest.h>

#include "recipe/recipe.h"
#include "testing/engine_workload.h"
#include "testing/fake_clock.h"
#include "testing/temporary_folder.h"

namespace flywheel::campaign {
namespace {

// What an earlier process planned is known again by the ids in the ledger, and numbers go on after it.
TEST(Replicates, ThoseOfAnEarlierProcessAreRecalledAlsoWhereTheyLostTheirTrunk) {
  testing::TemporaryFolder folder;
  testing::EngineWorkload workload;
  testing::FakeClock clock;
  const auto ledger = ledger::Ledger::open(folder.path());
  for (const char* id : {"ladder-s1", "ladder-s2", "ladder-s2-full", "ladder-s7-full", "ladder-s", "ladder-s3x"})
    ledger->append(ledger::RunPlanned{.run = id, .stage = protocol::Stage::kReplicate});
  ledger->append(ledger::RunPlanned{.run = "ladder-s4", .stage = protocol::Stage::kLadder});
  const CampaignOptions options;
  const Lab lab{
      .ledger = *ledger, .workload = workload, .clock = clock, .options = options, .say = {}, .should_stop = {}};
  RunBook book(lab);
  const Branches branches(lab, book);
  Replicates replicates(lab, book, branches);
  PlannedRun run;
  run.id = "ladder";
  run.configuration = workload::make_configuration(recipe::Recipe{});
  run.rung_flops = 1e10;
  run.size = workload.prior_size(*run.configuration, run.rung_flops);
  replicates.allow(run);
  for (const char* known : {"ladder-s1", "ladder-s2", "ladder-s2-full", "ladder-s7-full"})
    EXPECT_TRUE(book.knows(known)) << known;
  for (const char* not_one : {"ladder-s", "ladder-s3x", "ladder-s3", "ladder-s4", "ladder-s7"})
    EXPECT_FALSE(book.knows(not_one)) << not_one;
  EXPECT_TRUE(book.find("ladder-s7-full")->trunk.empty());
  EXPECT_EQ(book.find("ladder-s7-full")->replicate, 7);
}

}  // namespace
}  // namespace flywheel::campaign
