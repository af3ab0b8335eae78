#include "scaling/tables/curve_table.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace flywheel::scaling {
namespace {

TEST(CurveTable, ReadsRunsThatAreInterleavedAndEndsThatAreOnlyPlanned) {
  const std::vector<Curve> curves = parse_curves(
      "\xEF\xBB\xBF# curves\r\nRun,step,learning_rate,val_loss,params,tokens\r\n"
      "a,10,0.1,3.5,1e5,5120\r\n\"b\",10,0.2,3.4,2e5,5120\r\n\r\na,20,0.1,3.1,1e5,10240\r\na,30,0,,1e5,15360\r\n",
      "curves.csv");
  ASSERT_EQ(curves.size(), 2u);
  EXPECT_EQ(curves[0].name, "a");
  EXPECT_EQ(curves[0].N, 1e5);
  EXPECT_EQ(curves[0].tokens_per_step, 512);
  EXPECT_EQ(curves[0].losses.size(), 2u);
  EXPECT_EQ(curves[0].last_step(), 30);
  EXPECT_EQ(curves[1].rates[0].rate, 0.2);
}

struct Bad {
  const char* text;
  const char* named;  // part of the message
};

TEST(CurveTable, NamesWhatIsWrong) {
  const Bad cases[] = {
      {"", "empty"},
      {"run,step,lr,loss\n", "no rows"},
      {"run,step,loss\na,1,3\n", "column lr is missing"},
      {"run,step,lr\na,1,0.1\n", "column loss is missing"},
      {"step,lr,loss\n1,0.1,3\n", "column run is missing"},
      {"run,step,lr,loss,rate\na,1,0.1,3,2\n", "both look like lr"},
      {"run,step,lr,loss\na,1,0.1\n", "expected 4 cells"},
      {"run,step,lr,loss\na,5,0.1,3\na,5,0.1,3\n", "line 3: run \"a\": step 5 comes after step 5"},
      {"run,step,lr,loss\na,5,0.1,nan\n", "column loss: expected a number above 0, found \"nan\""},
      {"run,step,lr,loss\na,5,-0.1,3\n", "column lr"},
      {"run,step,lr,loss\na,x,0.1,3\n", "column step"},
      {"run,step,lr,loss\na,5,inf,3\n", "column lr"},
      {"run,step,lr,loss\na,5,0,3\na,6,0,3\n", "zero throughout"},
      {"run,step,lr,loss\na,5,0.1,\n", "no row has a loss"},
      {"run,step,lr,loss\n,5,0.1,3\n", "column run is empty"},
      {"run,step,lr,loss,N\na,5,0.1,3,10\na,6,0.1,3,20\n", "one size a run"},
  };
  for (const Bad& bad : cases) {
    try {
      parse_curves(bad.text, "curves.csv");
      FAIL() << bad.text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      EXPECT_NE(std::string(error.what()).find(bad.named), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("curves.csv"), std::string::npos) << error.what();
    }
  }
}

TEST(CurveTable, LossesMayBeMissingWhereOnlySchedulesAreWanted) {
  const std::vector<Curve> curves = parse_curves("run,step,lr\na,1,0.1\na,100,0\n", "plans.csv", false);
  EXPECT_TRUE(curves[0].losses.empty());
  EXPECT_EQ(curves[0].last_step(), 100);
}

}  // namespace
}  // namespace flywheel::scaling
