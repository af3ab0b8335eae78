#include "report/fit/fit_page.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/json.h"
#include "testing/embedded_data.h"

namespace flywheel::report {
namespace {

using flywheel::testing::embedded;

TEST(FitPage, DataReadsBackInTheOrderItWasWritten) {
  const OrderedJson data = {{"title", "runs.csv"}, {"points", {{{"row", 2}, {"N", 1e6}, {"D", 2e7}, {"C", 1.2e14}}}}};
  EXPECT_EQ(embedded(fit_page(data)), data.dump());
}

TEST(FitPage, NamesFromTheCsvCannotBecomeMarkup) {
  const OrderedJson data = {{"title", "</script><script>alert(1)</script><!--.csv"}, {"words", {"a\xff & b"}}};
  const std::string inside = embedded(fit_page(data));
  EXPECT_EQ(inside.find_first_of("<>&"), std::string::npos);
  EXPECT_EQ(OrderedJson::parse(inside).at("title"), data.at("title"));
  EXPECT_EQ(OrderedJson::parse(inside).at("words").at(0), "a\xEF\xBF\xBD & b");
}

TEST(FitPage, NumbersThatAreNotFiniteBecomeNull) {
  const OrderedJson data = {{"forecast", {{{"loss", std::numeric_limits<double>::quiet_NaN()}}}}};
  EXPECT_TRUE(OrderedJson::parse(embedded(fit_page(data))).at("forecast").at(0).at("loss").is_null());
}

TEST(FitPage, IsItsOwnPageAndNeedsNoNetwork) {
  const std::string html = fit_page(OrderedJson::object());
  EXPECT_NE(html.find("<title>Flywheel fit</title>"), std::string::npos);
  EXPECT_EQ(html.find("<link rel=\"stylesheet\""), std::string::npos);
  EXPECT_EQ(html.find(" src=\""), std::string::npos);
  EXPECT_EQ(html.find("@import"), std::string::npos);
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos) << "the page's own policy forbids every fetch";
}

}  // namespace
}  // namespace flywheel::report
