// What a made-up lab used of its machine, by hand.
#include "report/utilisation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/temporary_folder.h"

namespace flywheel::report {
namespace {

using namespace ledger;  // its records
using ::testing::HasSubstr;

struct UsedLab {
  flywheel::testing::TemporaryFolder folder;
  std::unique_ptr<Ledger> ledger = Ledger::open(folder.path());
  explicit UsedLab(double peak_gflops = 200) {
    ledger->append(MachineRecord{.cpu = "x", .threads = 2, .peak_gflops_fp32 = peak_gflops});
  }
  void run(const char* id, double seconds, double flops, std::map<std::string, double> seconds_by) {
    RunPlanned planned{.run = id};
    planned.flops = flops;
    RunFinished finished{.run = id, .seconds = seconds};
    RunFinished::Measured& measured = finished.measured.emplace();
    measured.flops = flops;
    measured.optimizer_flops = flops / 4;
    measured.seconds_by = std::move(seconds_by);
    ledger->append_all({planned, finished});
  }
  std::map<std::string, double> parts() const {
    std::map<std::string, double> parts;
    const Utilisation used = *utilisation(*ledger);
    for (const SlotSeconds& part : used.parts) parts[part.name] = part.seconds;
    return parts;
  }
};

TEST(Utilisation, IsFlopsOfModelsAndOptimizersOverTheBusySecondsOfCores) {
  UsedLab lab;
  lab.run("a", 4, 8e10, {{"sequences", 2}, {"optimizer", 1}, {"start", 0.5}});
  lab.run("b", 6, 8e10, {{"sequences", 3}, {"evaluation", 1}});
  const Utilisation used = *utilisation(*lab.ledger);
  EXPECT_DOUBLE_EQ(used.core_peak_gflops, 100);
  EXPECT_DOUBLE_EQ(used.of_fp32_peak, 1.25 * 16e10 / (10 * 100e9));
  EXPECT_DOUBLE_EQ(used.slot_seconds, 10);
  EXPECT_FALSE(used.idle_seconds);
  EXPECT_EQ(lab.parts(), (std::map<std::string, double>{
                             {"sequences", 5}, {"optimizer", 1}, {"start", 0.5}, {"evaluation", 1}, {"process", 2.5}}));
  lab.ledger->append(ReportRecord{.seconds = 8, .slot_seconds = 10, .slots = 2});
  EXPECT_DOUBLE_EQ(*utilisation(*lab.ledger)->idle_seconds, 6);
  EXPECT_THAT(utilisation_text(*utilisation(*lab.ledger)), HasSubstr("20% of a core's float32 peak of 100 GFLOP/s"));
  EXPECT_THAT(utilisation_text(*utilisation(*lab.ledger)), HasSubstr("(62% of the time)"));
}

TEST(Utilisation, BelievesNoRunThatTellsOfMoreTimeThanItHad) {
  UsedLab lab;
  lab.run("a", 4, 1e10, {{"sequences", 3}});
  lab.run("b", 1, 1e10, {{"sequences", 1.7e308}, {"start", 1.7e308}});
  lab.run("c", 1, 1e10, {{"sequences", 5}, {"start", -5}});
  EXPECT_EQ(lab.parts(), (std::map<std::string, double>{{"sequences", 3}, {"process", 3}}));
}

TEST(Utilisation, IsNotKnownWithoutAPeakOrASecond) {
  UsedLab unused;
  EXPECT_FALSE(utilisation(*unused.ledger));
  UsedLab slow(0);
  slow.run("a", 4, 1e10, {});
  EXPECT_FALSE(utilisation(*slow.ledger));
  UsedLab silent;  // of an earlier program: the share is known, its parts are not
  silent.run("a", 4, 8e10, {});
  EXPECT_GT(utilisation(*silent.ledger)->of_fp32_peak, 0);
  EXPECT_TRUE(silent.parts().empty());
}

}  // namespace
}  // namespace flywheel::report
