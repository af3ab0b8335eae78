#include "scheduler/runners/core_slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flywheel::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(CoreSlots, ShareTheCoresEvenly) {
  CoreSlots slots({4, 5, 6, 7});
  slots.resize(2);
  const std::vector<int> both = slots.take(2);
  EXPECT_THAT(slots.cpus_of(both), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(slots.take(1), IsEmpty());
  slots.give_back(both);
  EXPECT_THAT(slots.cpus_of(slots.take(1)), ElementsAre(4, 5));
  EXPECT_THAT(slots.cpus_of(slots.take(1)), ElementsAre(6, 7));
}

TEST(CoreSlots, MoreSlotsThanCoresShareAndNoCoresMeansAnywhere) {
  CoreSlots slots({4, 5});
  slots.resize(3);
  EXPECT_THAT(slots.cpus_of({0}), ElementsAre(4));
  EXPECT_THAT(slots.cpus_of({1}), ElementsAre(5));
  EXPECT_THAT(slots.cpus_of({2}), ElementsAre(4));
  CoreSlots anywhere({});
  anywhere.resize(2);
  EXPECT_THAT(anywhere.take(1, {0, 1}), ElementsAre(0));
  EXPECT_THAT(anywhere.cpus_of({0}), IsEmpty());
}

TEST(CoreSlots, AnAdoptedRunHoldsTheSlotWhoseCoresItIsOn) {
  CoreSlots slots({4, 5});
  slots.resize(2);
  EXPECT_THAT(slots.take(1, {5}), ElementsAre(1));
  EXPECT_THAT(slots.take(1), ElementsAre(0));
}

TEST(CoreSlots, HeldSlotsOutliveAChangeOfTheirNumber) {
  CoreSlots slots({4, 5, 6, 7});
  slots.resize(4);
  EXPECT_THAT(slots.take(3), ElementsAre(0, 1, 2));
  slots.resize(2);
  EXPECT_THAT(slots.take(2), IsEmpty());
  slots.give_back({2});
  EXPECT_THAT(slots.take(2), IsEmpty());
  slots.give_back({0});
  EXPECT_THAT(slots.take(2), ElementsAre(0));
  slots.resize(3);
  EXPECT_THAT(slots.take(2), ElementsAre(2));
}

}  // namespace
}  // namespace flywheel::scheduler
