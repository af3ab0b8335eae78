#include "testing/page_types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flywheel::report {
namespace {

using ::testing::HasSubstr;

std::string errors_of(const char* json) {
  return flywheel::testing::type_errors(json, "src/fit/data.ts", "FrontierPoint");
}

TEST(PageTypes, WhatThePageReadsHasNoErrors) {
  EXPECT_EQ(errors_of(R"({"flops": 1e12, "loss": 2.5, "low": null, "high": 3})"), "");
}

TEST(PageTypes, UnknownMissingAndMistypedFieldsAreNamed) {
  EXPECT_THAT(errors_of(R"({"flops": 1, "loss": 2, "low": null, "high": 3, "other": 1})"), HasSubstr("'\"other\"'"));
  EXPECT_THAT(errors_of(R"({"flops": 1, "low": null, "high": 3})"), HasSubstr("'loss' is missing"));
  EXPECT_THAT(errors_of(R"({"flops": "1", "loss": 2, "low": null, "high": 3})"), HasSubstr("at \"flops\""));
}

}  // namespace
}  // namespace flywheel::report
