#include "scaling/allocation/rate_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file_system.h"
#include "base/rng.h"
#include "scaling/tables/sweep_table.h"

namespace flywheel::scaling {
namespace {

// A sweep whose best rates follow known power laws; high learning rates diverge as they do in practice.
std::vector<SweepRun> made_up_sweep(double noise) {
  std::vector<SweepRun> runs;
  Rng rng(3);
  for (const double N : {1e8, 2e8, 5e8})
    for (const double D : {4e9, 1e10, 4e10}) {
      const double lr = 1.5 * std::pow(N, -0.6) * std::pow(D, 0.2), batch = 0.4 * std::pow(D, 0.55);
      for (int i = -3; i <= 3; ++i)
        for (int k = -3; k <= 3; ++k) {
          const double x = 0.6 * i + 0.1, y = 0.6 * k - 0.2;
          const double loss = 2.5 * std::exp(0.004 * x * x + 0.003 * y * y - 0.002 * x * y + noise * rng.normal() +
                                             (i == 3 ? 0.2 : 0.0));
          runs.push_back({N, D, lr * std::exp(x), batch * std::exp(y), loss});
        }
    }
  return runs;
}

TEST(RateRules, RecoverTheLawsThatMadeTheSweep) {
  const RateRules rules = fit_rate_rules(made_up_sweep(0.0005), 50);
  for (const RateCell& cell : rules.cells) EXPECT_EQ(cell.trouble, "");
  EXPECT_NEAR(rules.learning_rate.n.value, -0.6, 0.06);
  EXPECT_NEAR(rules.learning_rate.d.value, 0.2, 0.05);
  EXPECT_NEAR(rules.batch.d.value, 0.55, 0.06);
  EXPECT_NEAR(power_rule(rules.cells, false, true).n.value, 0, 0.08);
  for (const RateRule& rule : {rules.learning_rate, rules.batch}) {
    const Range at = rule.at(3e8, 2e10);
    EXPECT_LT(at.low, at.high);
    EXPECT_LE(rule.d.low, rule.d.value);
    EXPECT_GE(rule.d.high, rule.d.value);
  }
}

// Four noisy minima of nearly one size say little of the exponents, and the published ones hold; many that contradict
// them clearly are believed.
TEST(RateRules, FewMinimaLeanOnThePublishedExponentsAndManyDoNot) {
  Rng rng(11);
  const auto cells = [&](int count, double n, double d, double noise) {
    std::vector<RateCell> made;
    for (int i = 0; i < count; ++i) {
      RateCell cell;
      cell.N = 2e8 * (1 + 0.3 * (i % 2)), cell.D = 1e10 * std::pow(1.5, i / 2);
      cell.learning_rate = std::pow(cell.N, n) * std::pow(cell.D, d) * std::exp(noise * rng.normal());
      made.push_back(cell);
    }
    return made;
  };
  double squares = 0;
  for (int draw = 0; draw < 20; ++draw)
    squares += std::pow(power_rule(cells(6, -0.713, 0.307, 0.2), true, true).n.value + 0.713, 2) / 20;
  EXPECT_LT(std::sqrt(squares), 0.4);  // 0.53 by least squares alone
  EXPECT_NEAR(power_rule(cells(24, 0.2, 0.1, 0.01), true, true).n.value, 0.2, 0.1);
}

TEST(RateRules, OneRateThatVariesIsEnoughForItsRule) {
  std::vector<SweepRun> runs = made_up_sweep(0.0005);
  for (SweepRun& run : runs) run.batch = 0;
  const RateRules rules = fit_rate_rules(runs, 10);
  EXPECT_EQ(rules.learning_rate.missing, "");
  EXPECT_NE(rules.batch.missing, "");
}

TEST(RateRules, ABestAtTheEdgeIsLeftOutAndSaysSo) {
  std::vector<SweepRun> runs;
  for (const SweepRun& run : made_up_sweep(0))
    if (run.learning_rate > 1.5 * std::pow(run.N, -0.6) * std::pow(run.D, 0.2) * 1.3) runs.push_back(run);
  const RateRules rules = fit_rate_rules(runs, 0);
  EXPECT_NE(rules.learning_rate.missing, "");
  EXPECT_NE(rules.cells.front().trouble, "");
}

TEST(RateRules, FewRunsGiveNoRuleAndBadOnesAreRefused) {
  EXPECT_NE(fit_rate_rules({}, 10).learning_rate.missing, "");
  std::vector<SweepRun> runs = made_up_sweep(0);
  EXPECT_NE(fit_rate_rules(std::span(runs).first(5), 10).batch.missing, "");
  runs[3].learning_rate = NAN;
  EXPECT_THROW(fit_rate_rules(runs, 0), Error);
}

TEST(RateRules, AgreeWithThePublishedStepLawOnItsOwnSweep) {
  const char* folder = std::getenv("FLYWHEEL_SHARED_DATA");
  const Path file = Path(folder != nullptr ? folder : "") / "policy" / "steplaw_dense_dev.csv";
  if (folder == nullptr || !std::filesystem::exists(file))
    GTEST_SKIP() << "set FLYWHEEL_SHARED_DATA to the folder that holds policy/steplaw_dense_dev.csv";
  const std::string text = real_file_system().read(file);
  const RunsTable table = parse_runs(text, file.string());
  std::vector<SweepRun> runs = parse_sweep(text, file.string(), table);
  ASSERT_EQ(runs.size(), 1404u);
  for (SweepRun& run : runs) run.batch *= 2048;  // sequences of 2048 tokens
  const RateRules rules = fit_rate_rules(runs, 200);
  const auto published_lr = [](double N, double D) { return 1.79 * std::pow(N, -0.713) * std::pow(D, 0.307); };
  const auto published_batch = [](double D) { return 0.58 * std::pow(D, 0.571); };
  double ours = 0, theirs = 0, held_out = 0, used = 0;
  for (const RateCell& cell : rules.cells) {
    std::printf("N %.3g D %.3g: lr %.3g (Step Law %.3g), batch %.3g (Step Law %.3g) %s\n", cell.N, cell.D,
                cell.learning_rate, published_lr(cell.N, cell.D), cell.batch, published_batch(cell.D),
                cell.trouble.c_str());
    if (!cell.trouble.empty()) continue;
    std::vector<RateCell> others;
    for (const RateCell& other : rules.cells)
      if (&other != &cell) others.push_back(other);
    ours += cell.excess(rules.learning_rate.at(cell.N, cell.D).value, rules.batch.at(cell.N, cell.D).value);
    held_out += cell.excess(power_rule(others, true, true).at(cell.N, cell.D).value,
                            power_rule(others, false, false).at(cell.N, cell.D).value);
    theirs += cell.excess(published_lr(cell.N, cell.D), published_batch(cell.D));
    ++used;
  }
  const auto print = [](const char* name, const RateRule& r) {
    std::printf("%s: %.3g (%.2g to %.2g) N^%.3f (%.3f to %.3f) D^%.3f (%.3f to %.3f)\n", name, r.coefficient.value,
                r.coefficient.low, r.coefficient.high, r.n.value, r.n.low, r.n.high, r.d.value, r.d.low, r.d.high);
  };
  print("learning rate", rules.learning_rate);
  print("batch", rules.batch);
  // The largest size kept apart and predicted from the two smaller ones.
  double largest = 0;
  for (const RateCell& cell : rules.cells) largest = std::max(largest, cell.N);
  std::vector<RateCell> smaller;
  for (const RateCell& cell : rules.cells)
    if (cell.N < largest) smaller.push_back(cell);
  const RateRule rate = power_rule(smaller, true, true), batch = power_rule(smaller, false, false);
  double apart = 0, apart_published = 0, count = 0;
  for (const RateCell& cell : rules.cells) {
    if (cell.N < largest || !cell.trouble.empty()) continue;
    apart += cell.excess(rate.at(cell.N, cell.D).value, batch.at(cell.N, cell.D).value);
    apart_published += cell.excess(published_lr(cell.N, cell.D), published_batch(cell.D));
    ++count;
  }
  std::printf("largest size from smaller: %.4f%% (N^%.3f D^%.3f), Step Law %.4f%%, cells %g\n", 100 * apart / count,
              rate.n.value, rate.d.value, 100 * apart_published / count, count);
  EXPECT_LT(apart / count, 0.001);
  std::printf("batch of both: N^%.3f\n", power_rule(rules.cells, false, true).n.value);
  std::printf("mean loss over the cell's best: ours %.4f%%, cell left out %.4f%%, Step Law %.4f%%, cells %g\n",
              100 * ours / used, 100 * held_out / used, 100 * theirs / used, used);
  EXPECT_GE(used, 9);
  EXPECT_LE(rules.learning_rate.d.low, 0.307);
  EXPECT_GE(rules.learning_rate.d.high, 0.307);
  EXPECT_LE(rules.batch.d.low, 0.571);
  EXPECT_GE(rules.batch.d.high, 0.571);
  EXPECT_LT(held_out / used, 0.003);
}

TEST(SweepTable, NamesLineAndColumnAndKeepsTheBestOfEach) {
  const std::string text = "N,D,loss,lr,batch size\n1e8,1e9,3,1e-3,64\n1e8,1e9,2.9,2e-3,64\n2e8,1e9,2.8,1e-3,64\n";
  const RunsTable table = parse_runs(text, "x.csv");
  const std::vector<SweepRun> runs = parse_sweep(text, "x.csv", table);
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[1].learning_rate, 2e-3);
  EXPECT_EQ(runs[1].batch, 64);
  const std::vector<Point> best = best_of_each(runs, table);
  ASSERT_EQ(best.size(), 2u);
  EXPECT_EQ(best[0].L, 2.9);
  const std::string bad = "N,D,loss,lr\n1e8,1e9,3,1e-3\n1e8,1e9,3,fast\n";
  try {
    parse_sweep(bad, "y.csv", parse_runs(bad, "y.csv"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("y.csv: line 3: column lr: learning rate"));
  }
  const std::string plain = "N,D,loss\n1e8,1e9,3\n";
  EXPECT_TRUE(parse_sweep(plain, "z.csv", parse_runs(plain, "z.csv")).empty());
}

}  // namespace
}  // namespace flywheel::scaling
