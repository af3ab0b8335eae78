// What `flywheel fit` writes for its page, against what the page reads.
#include "report/fit/fit_page_data.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "base/json.h"
#include "testing/page_types.h"

namespace flywheel::report {
namespace {

std::string page_of(const std::string& csv, const scaling::FitRequest& request, bool group = false) {
  std::vector<scaling::FitInput> inputs = scaling::fit_inputs(csv, "runs.csv", request);
  const scaling::FitResult result =
      scaling::fit_input(request, std::move(inputs.at(group ? 1 : 0)), {{1e9, 2e10, 0}, {2e9, 4e10, 0}});
  return fit_page_data(result, {"runs.csv", "flywheel fit runs.csv", "0.0"}).dump();
}

// Six levels of compute with five sizes each, in two groups, and one run far off the law.
std::string ladder() {
  std::ostringstream csv;
  csv << "N,D,loss,group\n";
  for (const char* group : {"a", "b"})
    for (double C = 1e17; C < 2e22; C *= 10)
      for (const double ratio : {0.25, 0.5, 1.0, 2.0, 4.0}) {
        const double N = ratio * std::sqrt(C / 120), D = C / (6 * N);
        const double off = C > 5e19 && C < 5e20 && ratio == 1 ? 1.3 : 1;
        csv << N << "," << D << "," << off * (1.8 + 480 * std::pow(N, -0.35) + 2100 * std::pow(D, -0.37)) << ","
            << group << "\n";
      }
  return csv.str();
}

TEST(FitPageData, OfARichFitIsWhatThePageReads) {
  scaling::FitRequest request{.forms = scaling::form_names("all"), .group = "group", .bootstrap = 10};
  request.drop_outliers = true;
  const std::string page = page_of(ladder(), request, true);
  EXPECT_EQ(testing::type_errors(page, "src/fit/data.ts", "FitPage"), "");
  const OrderedJson data = OrderedJson::parse(page);
  EXPECT_EQ(data.at("group"), "b");
  for (const char* list : {"points", "forms", "left_out", "frontier", "forecast", "backtest", "backtest_rows", "misfit",
                           "approaches", "optima", "off", "words", "predictions"})
    EXPECT_FALSE(data.at(list).empty()) << list;
  EXPECT_FALSE(data.at("outliers").at("rows").empty());
  EXPECT_EQ(data.at("points").size(), 30U) << "dropped runs are shown";
}

TEST(FitPageData, OfAPoorFitIsWhatThePageReads) {
  scaling::FitRequest request{.forms = {"compute"}, .bootstrap = 0};
  const std::string page = page_of("N,D,L\n1e6,1e7,3\n2e6,2e7,2.9\n4e6,4e7,2.8\n8e6,8e7,2.75\n", request);
  EXPECT_EQ(testing::type_errors(page, "src/fit/data.ts", "FitPage"), "");
  const OrderedJson data = OrderedJson::parse(page);
  for (const char* list : {"backtest", "backtest_rows", "approaches", "off", "optima"})
    EXPECT_TRUE(data.at(list).empty()) << list;
  EXPECT_EQ(data.at("wall").at("verdict"), "cannot tell");
  EXPECT_FALSE(data.at("optimum").at("identified").get<bool>());
  EXPECT_TRUE(data.at("allocation").is_null());
  for (const OrderedJson& row : data.at("forecast")) {
    EXPECT_TRUE(row.at("params").is_null());
    EXPECT_EQ(row.at("along"), "ladder");
    EXPECT_NEAR(row.at("path").at("tokens").get<double>() / row.at("path").at("params").get<double>(), 10, 0.01);
  }
}

}  // namespace
}  // namespace flywheel::report
