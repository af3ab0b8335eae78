// Tables as people have them: dialects, derived columns, and what is refused, noted, reduced or merged.
#include "scaling/tables/runs_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "scaling/tables/runs_clean.h"

namespace flywheel::scaling {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <class Work>
std::string refusal(Work work) {
  try {
    work();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    return e.what();
  }
  return "accepted";
}
std::string refused(const std::string& text) {
  return refusal([&] { parse_runs(text, "x.csv"); });
}
RunsTable parse(const std::string& text) {
  return parse_runs(text, "x.csv");
}

TEST(RunsTable, TakesTheUsualDialects) {
  const RunsTable a = parse("\xEF\xBB\xBFparams;tokens;val_loss\r\n1.3B;20e9;2.5\r\n\r\n70M;1T;3\r\n");
  ASSERT_EQ(a.points.size(), 2u);
  EXPECT_DOUBLE_EQ(a.points[0].N, 1.3e9);
  EXPECT_DOUBLE_EQ(a.points[1].D, 1e12);
  EXPECT_EQ(a.rows[1], 4);
  EXPECT_EQ(a.unit, "nats per token");
  const RunsTable b = parse("Model Size,FLOPs,bpb\n1e6,6e13,1.5");
  EXPECT_DOUBLE_EQ(b.points[0].D, 1e7);
  EXPECT_EQ(b.unit, "bits per byte");
  const RunsTable c = parse("train_tokens\tcompute\tperplexity\n# a comment\n\"1e7\"\t6e13\t20\n");
  EXPECT_DOUBLE_EQ(c.points[0].N, 1e6);
  EXPECT_DOUBLE_EQ(c.points[0].L, std::log(20.0));
}

TEST(RunsTable, KnowsUniqueTokensByColumnOrEpochs) {
  EXPECT_DOUBLE_EQ(parse("N,D,L,unique_tokens\n1e6,1e7,2,2e6\n").points[0].U, 2e6);
  EXPECT_DOUBLE_EQ(parse("N,D,L,epochs\n1e6,1e7,2,4\n").points[0].U, 2.5e6);
  EXPECT_DOUBLE_EQ(parse("N,D,L,epochs\n1e6,1e7,2,\n").points[0].U, 0);
}

TEST(RunsTable, TakesAnyAmountOfCompute) {
  const RunsTable a = parse("N,C,L\n1e12,1e30,1.5\n");
  EXPECT_DOUBLE_EQ(a.points[0].D, 1e30 / 6e12);
}

TEST(RunsTable, NamesLineAndColumnOfAMistake) {
  EXPECT_THAT(refused("N,D,L\n1e6,1e7,2\n1e6,abc,2\n"), AllOf(HasSubstr("x.csv"), HasSubstr("line 3"), HasSubstr("D"),
                                                              HasSubstr("abc"), HasSubstr("--skip-bad-rows")));
  EXPECT_THAT(refused("N,D,L\n1e6,1e7,-2\n"), HasSubstr("column L"));
  EXPECT_THAT(refused("N,D,L\n0,1e7,2\n"), HasSubstr("column N"));
  EXPECT_THAT(refused("N,D,L\n1e6,1e7,nan\n"), HasSubstr("nan"));
  EXPECT_THAT(refused("N,D,L\n1e6,inf,2\n"), HasSubstr("inf"));
  EXPECT_THAT(refused("N,D,L\n1e6,1e7\n"), HasSubstr("3 cells"));
  EXPECT_THAT(refused("N,D,ppl\n1e6,1e7,0.5\n"), HasSubstr("perplexity"));
  EXPECT_THAT(refused("N,D,L\n2.1,1e7,1e6\n"), HasSubstr("swapped"));
  EXPECT_THAT(refused("N,D,L,val_loss\n1,2,3,4\n"), HasSubstr("both look like L"));
  EXPECT_THAT(refused("N,params,D,L\n1,2,3,4\n"), HasSubstr("both look like N"));
  EXPECT_THAT(refused("N,L\n1,2\n"), HasSubstr("header"));
  EXPECT_THAT(refused("N,D\n1,2\n"), HasSubstr("loss"));
  EXPECT_THAT(refused("N,D,L\n"), HasSubstr("no runs"));
  EXPECT_THAT(refused(""), HasSubstr("empty"));
}

TEST(RunsTable, ListsTheFirstBadRowsOrLeavesThemOutAsTold) {
  std::string text = "N,D,L\n";
  for (int i = 0; i < 20; ++i) text += std::to_string(i + 1) + (i % 2 == 0 ? "e6,1e7,2\n" : "e6,oops,2\n");
  const std::string message = refused(text);
  EXPECT_THAT(message, AllOf(HasSubstr("10 bad rows"), HasSubstr("line 3"), HasSubstr("line 11")));
  EXPECT_THAT(message, testing::Not(HasSubstr("line 13")));
  TableOptions skip;
  skip.skip_bad_rows = true;
  const RunsTable table = parse_runs(text, "x.csv", skip);
  EXPECT_EQ(table.points.size(), 10u);
  EXPECT_EQ(table.skipped.size(), 10u);
  EXPECT_THAT(refusal([&] { parse_runs("N,D,L\nx,1,2\n", "x.csv", skip); }), HasSubstr("line 2"));
}

TEST(RunsTable, GroupsByAColumn) {
  TableOptions options;
  options.group = "Data Set";
  const RunsTable table = parse_runs("N,D,L,data_set\n1e6,1e7,2,c4\n1e6,1e8,2,pile\n", "x.csv", options);
  EXPECT_THAT(table.groups, testing::ElementsAre("c4", "pile"));
  options.group = "nothing";
  EXPECT_THAT(refusal([&] { parse_runs("N,D,L\n1,2,3\n", "x.csv", options); }), HasSubstr("nothing"));
}

TEST(RunsTable, RowsThatRepeatAnotherAreOneRun) {
  const RunsTable table = parse("N,D,L\n1e6,1e7,3\n2e6,1e7,2.9\n1e6,1e7,3\n1e6,1e7,3\n1e6,2e7,3\n");
  EXPECT_THAT(table.rows, testing::ElementsAre(2, 3, 6));
  ASSERT_EQ(table.warnings.size(), 1u);
  EXPECT_THAT(table.warnings[0], AllOf(HasSubstr("2 row(s)"), HasSubstr("line 4 repeats line 2")));
  EXPECT_TRUE(parse("N,D,L\n1e6,1e7,3\n1e6,1e7,3.0001\n").warnings.empty());
  // A column that counts the rows is no run's.
  EXPECT_EQ(parse(",N,D,L\n0,1e6,1e7,3\n1,1e6,1e7,3\n").points.size(), 1u);
  EXPECT_EQ(parse_runs("N,D\n1e6,1e7\n1e6,1e7\n", "x.csv", false).points.size(), 2u) << "predictions are answered";
}

TEST(RunsTable, HalfOfAShapeIsNoneAndSaidToBe) {
  const RunsTable table = parse("N,D,L,n_layers\n1e6,1e7,3,4\n2e6,1e7,2.9,6\n");
  EXPECT_THAT(table.warnings, testing::ElementsAre(HasSubstr("layers of the model and none of width")));
  EXPECT_EQ(table.points[0].aspect, 0);
  EXPECT_TRUE(parse("N,D,L,n_layers,d_model\n1e6,1e7,3,4,64\n2e6,1e7,2.9,6,80\n").warnings.empty());
}

TEST(RunsTable, ReplicatesThatLookAlikeAreRuns) {
  EXPECT_EQ(parse("N,D,L,seed\n1e6,1e7,3.12345,1\n1e6,1e7,3.12345,2\n").points.size(), 2u);
  EXPECT_EQ(parse("N,D,L,lr\n1e6,1e7,3.12345,1\n1e6,1e7,3.12345,2\n").points.size(), 2u);
  // Two decimals, and replicates that differ: two that agree may be chance.
  const char* rounded = "N,D,L\n1e6,1e7,3.12\n1e6,1e7,3.12\n1e6,1e7,3.13\n";
  const RunsTable table = parse(rounded);
  EXPECT_EQ(table.points.size(), 3u);
  ASSERT_EQ(table.warnings.size(), 1u);
  EXPECT_THAT(table.warnings[0], HasSubstr("by chance"));
  EXPECT_THAT(suspicions(table, "x.csv"), testing::ElementsAre(HasSubstr("several losses"))) << "said once";
  EXPECT_THAT(suspicions(parse("N,D,L,lr\n1e6,1e7,3.12,1\n1e6,1e7,3.12,1\n1e6,1e7,3.12,2\n1e6,1e7,3.13,3\n"), "x.csv"),
              testing::Contains(HasSubstr("1 row(s) have the N, D and loss of another one (line 4 repeats line 2)")));
  EXPECT_EQ(parse("N,D,L\n1e6,1e7,3.1234\n1e6,1e7,3.1234\n1e6,1e7,3.1235\n").points.size(), 2u);
  EXPECT_EQ(parse("N,D,L,seed\n1e6,1e7,3.12,1\n1e6,1e7,3.12,1\n1e6,1e7,3.13,2\n").points.size(), 2u);
}

TEST(RunsClean, ReducesSeveralLossesOfOneRun) {
  const std::string text = "N,D,L\n1e6,1e7,3\n1e6,1e8,9\n1e6,1e7,1\n1e6,1e7,2.5\n";
  const auto loss = [&](const char* how) {
    RunsTable table = parse(text);
    reduce_runs(table, reduce_by_name(how));
    EXPECT_EQ(table.points.size(), std::string(how) == "none" ? 4u : 2u);
    EXPECT_EQ(table.rows[0], 2);
    return table.points[0].L;
  };
  EXPECT_DOUBLE_EQ(loss("none"), 3);
  EXPECT_DOUBLE_EQ(loss("mean"), 6.5 / 3);
  EXPECT_DOUBLE_EQ(loss("median"), 2.5);
  EXPECT_DOUBLE_EQ(loss("min"), 1);
  EXPECT_DOUBLE_EQ(loss("last"), 2.5);
  EXPECT_THAT(refusal([] { reduce_by_name("mode"); }), HasSubstr("mode"));
}

TEST(RunsClean, NotesWhatIsSuspicious) {
  const auto notes = [](const std::string& text) { return testing::PrintToString(suspicions(parse(text), "x.csv")); };
  EXPECT_THAT(notes("N,D,L\n1e9,1e6,3\n2e9,1e6,2\n"), HasSubstr("swapped"));
  EXPECT_THAT(notes("N,D,C,L\n1e6,1e7,1e20,3\n"), HasSubstr("units"));
  EXPECT_THAT(notes("N,D,L,lr\n1e6,1e7,3,1\n1e6,1e7,3,2\n"), HasSubstr("line 3 repeats line 2"));
  EXPECT_THAT(notes("N,D,L\n1e6,1e7,3\n1e6,1e7,2\n"), HasSubstr("--reduce min"));
  EXPECT_EQ(suspicions(parse("N,D,L\n1e6,1e7,3\n1e6,1e8,2\n"), "x.csv").size(), 0u);
  EXPECT_THAT(refusal([] { suspicions(parse("N,D,L\n1e9,2.5,900\n1e9,2.4,800\n"), "x.csv"); }), HasSubstr("swapped"));
}

TEST(RunsClean, MergedRunsGiveTheSameLaw) {
  Rng rng(11);
  std::vector<Point> points;
  for (int i = 0; i < 40000; ++i) {
    Point p;
    p.N = 1e7 * std::pow(2.0, static_cast<double>(rng.below(6)));
    p.D = 1e8 * std::exp(6 * rng.uniform());
    p.L = (1.8 + 480 * std::pow(p.N, -0.35) + 2100 * std::pow(p.D, -0.37)) * std::exp(0.005 * rng.normal());
    points.push_back(p);
  }
  const std::vector<Point> few = merge_alike(points);
  EXPECT_LE(few.size(), kMergeAbove);
  double runs = 0;
  for (const Point& p : few) runs += p.count;
  EXPECT_DOUBLE_EQ(runs, 40000);
  FitOptions options = published_options();
  options.bootstrap = 0;
  const Fit f = fit(few, options);
  EXPECT_NEAR(f.law.parameters.at("alpha"), 0.35, 0.01);  // the noise of 40,000 runs leaves about 0.003
  EXPECT_NEAR(f.law.parameters.at("beta"), 0.37, 0.01);
  EXPECT_EQ(merge_alike({points.begin(), points.begin() + 100}).size(), 100u);
}

TEST(RunsTable, WidthAndDepthBecomeTheAspect) {
  for (const char* names :
       {"d_model,n_layers", "hidden_size,num_layers", "n_embd,n_layer", "width,depth", "dim,layers"}) {
    const RunsTable table =
        parse_runs(std::string("N,D,L,") + names + "\n1e6,2e7,3.5,512,8\n2e6,4e7,3.2,768,\n", "runs.csv");
    ASSERT_EQ(table.points.size(), 2u) << names;
    EXPECT_DOUBLE_EQ(table.points[0].aspect, 64) << names;
    EXPECT_DOUBLE_EQ(table.points[1].aspect, 0) << names;
  }
}

TEST(RunsTable, ShapesNeverRefuseATable) {
  const RunsTable table = parse_runs("N,D,L,width,hidden_size,depth\n1e6,2e7,3.5,512,2048,many\n", "runs.csv");
  EXPECT_DOUBLE_EQ(table.points[0].aspect, 0);
}

TEST(RunsClean, FindsRunsFarOffTheLaw) {
  std::vector<Point> points;
  Rng rng(5);
  for (int n = 0; n < 6; ++n)
    for (int d = 0; d < 6; ++d) {
      const double N = 1e7 * std::pow(2.0, n), D = 1e8 * std::pow(3.0, d);
      points.push_back(
          {N, D, (1.8 + 480 * std::pow(N, -0.35) + 2100 * std::pow(D, -0.37)) * std::exp(0.003 * rng.normal())});
    }
  points[17].L *= 1.3;
  FitOptions options = published_options();
  options.bootstrap = 0;
  const std::vector<Outlier> found = outliers(points, fit(points, options).law);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].index, 17u);
  EXPECT_NEAR(points[17].L / found[0].expected, 1.3, 0.02);
}

}  // namespace
}  // namespace flywheel::scaling
