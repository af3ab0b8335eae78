#include "evidence/same_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/error_of.h"

namespace flywheel::evidence {
namespace {

TEST(SameText, RunsOfOneListOrWithoutOneAreComparableAndOthersAreRefusedByName) {
  ledger::RunRow one, other;
  one.run = "a";
  other.run = "b";
  check_same_text(one, other);
  one.segments = other.segments = "11";
  check_same_text(one, other);
  other.segments = "22";
  EXPECT_THAT(testing::error_of([&] { check_same_text(one, other); }).what(),
              ::testing::AllOf(::testing::HasSubstr("a and b"), ::testing::HasSubstr("list 11 and list 22")));
  other.segments = "";
  EXPECT_THAT(testing::error_of([&] { check_same_text(one, other); }).what(), ::testing::HasSubstr("no recorded list"));
}

}  // namespace
}  // namespace flywheel::evidence
