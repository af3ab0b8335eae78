// flywheel plan as a user calls it: its JSON, its words, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "cli/cli.h"
#include "ledger/json_record.h"
#include "ledger/ledger.h"
#include "recipe/recipe.h"
#include "testing/temporary_folder.h"

namespace flywheel::cli {
namespace {

using ::testing::HasSubstr;

struct Plan : ::testing::Test {
  flywheel::testing::TemporaryFolder folder;
  std::string csv = (folder.path() / "runs.csv").string(), errors;

  void SetUp() override {
    std::string text = "N,D,L\n";
    for (const double C : {1e18, 3e18, 1e19, 3e19, 1e20})
      for (const double ratio : {0.25, 0.5, 1.0, 2.0, 4.0}) {
        const double N = ratio * 0.25 * std::sqrt(C / 6), D = C / (6 * N);
        text += fmt::format("{},{},{}\n", N, D, 1.8 + 480 * std::pow(N, -0.35) + 2000 * std::pow(D, -0.366));
      }
    real_file_system().write_atomic(csv, text);
  }

  int flywheel(std::vector<std::string> arguments, std::string* output = nullptr) {
    arguments.insert(arguments.begin(), {"flywheel", "plan"});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = run(static_cast<int>(argv.size()), argv.data());
    std::fflush(stdout);
    std::fflush(stderr);
    const std::string text = ::testing::internal::GetCapturedStdout();
    errors = ::testing::internal::GetCapturedStderr();
    if (output != nullptr) *output = text;
    return code;
  }
};

TEST_F(Plan, SaysSizeTokensLossTimeAndTheCostOfBeingOff) {
  std::string text;
  ASSERT_EQ(flywheel({"--csv", csv, "--flops", "1e21", "--seconds", "1d", "--mfu", "0.4", "--peak", "9.89e14", "--gpus",
                      "64", "--inference-tokens", "1e12", "--bootstrap", "20", "--json"},
                     &text),
            0)
      << errors;
  const Json json = Json::parse(text);
  ASSERT_EQ(json.at("plans").size(), 2u);
  const Json& plan = json.at("plans")[0];
  const double N = plan.at("params").at("value"), D = plan.at("tokens").at("value");
  EXPECT_NEAR(6 * N * D / 1e21, 1, 1e-6);
  EXPECT_NEAR(plan.at("seconds").get<double>(), 1e21 / (0.4 * 9.89e14 * 64), 1);
  EXPECT_NEAR(plan.at("gpu_hours").get<double>(), 1e21 / (0.4 * 9.89e14) / 3600, 0.1);
  EXPECT_NEAR(json.at("plans")[1].at("flops").get<double>(), 86400 * 0.4 * 9.89e14 * 64, 1e12);
  EXPECT_EQ(plan.at("off").size(), 4u);
  EXPECT_EQ(json.at("approaches").size(), 4u);
  EXPECT_LT(plan.at("inference").at("same_loss").at("params").at("value"), N);
  EXPECT_GT(plan.at("inference").at("saving"), 0);
  EXPECT_LT(plan.at("low"), plan.at("high"));
  ASSERT_EQ(flywheel({"--csv", csv, "--flops", "1e21", "--bootstrap", "20"}, &text), 0);
  EXPECT_THAT(text, HasSubstr("parameters (90%"));
  EXPECT_THAT(text, HasSubstr("4x larger"));
}

TEST_F(Plan, WhatIsOddInTheTableIsSaidOnceAndAsByFit) {
  std::string table = real_file_system().read(csv), text;
  table += table.substr(table.rfind('\n', table.size() - 2) + 1);  // its last row once more
  real_file_system().write_atomic(csv, table);
  ASSERT_EQ(flywheel({"--csv", csv, "--flops", "1e21", "--bootstrap", "20"}, &text), 0);
  EXPECT_THAT(errors, HasSubstr("repeat another in every cell"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("repeat another in every cell")));
  std::string shortened = "N,D,L\n";
  for (const double C : {1e18, 3e18, 1e19, 3e19, 1e20})
    for (const double ratio : {0.25, 0.5, 1.0, 2.0, 4.0}) {
      const double N = ratio * 0.25 * std::sqrt(C / 6), D = C / (6 * N);
      shortened += fmt::format("{},{},{}\n", N / 1e6, D, 1.8 + 480 * std::pow(N, -0.35) + 2000 * std::pow(D, -0.366));
    }
  real_file_system().write_atomic(csv, shortened);
  ASSERT_EQ(flywheel({"--csv", csv, "--flops", "1e14", "--bootstrap", "20", "--json"}, &text), 0) << errors;
  EXPECT_THAT(Json::parse(text).at("notes").dump(), HasSubstr("N looks stated in millions"));
  EXPECT_THAT(errors, ::testing::Not(HasSubstr("N looks stated")));
}

TEST_F(Plan, RefusesWhatIsNoBudgetRateOrSource) {
  const auto refuses = [&](std::vector<std::string> arguments, const char* words) {
    EXPECT_EQ(flywheel(std::move(arguments)), 2) << words;
    EXPECT_THAT(errors, HasSubstr(words));
  };
  refuses({"--flops", "1e21"}, "--csv");
  refuses({"--csv", csv}, "--flops");
  for (const char* budget : {"abc", "1e30", "nan", "-5", "0", "1e21x"})
    refuses({"--csv", csv, "--flops", budget}, "budget");
  refuses({"--csv", csv, "--flops", "1e10"}, "below the data");
  refuses({"--csv", csv, "--seconds", "1d"}, "needs a rate");
  refuses({"--csv", csv, "--flops", "1e21", "--mfu", "0.4"}, "--peak");
  refuses({"--csv", csv, "--flops", "1e21", "--mfu", "4", "--peak", "1e15"}, "--mfu");
  refuses({"--csv", csv, "--flops", "1e21", "--gpus", "0"}, "--gpus");
  refuses({"--csv", csv, "--flops", "1e21", "--inference-tokens", "many"}, "--inference-tokens");
  refuses({"--csv", csv, "--flops", "1e21", "--form", "astrology"}, "astrology");
  refuses({"--csv", (folder.path() / "none.csv").string(), "--flops", "1e21"}, "no such file");
  const std::string lab = (folder.path() / "lab").string();
  refuses({"--law", lab, "--flops", "1e21"}, "no such lab");
  EXPECT_FALSE(std::filesystem::exists(lab));
  std::filesystem::create_directory(lab);
  refuses({"--law", lab, "--flops", "1e21"}, "ledger");
  ledger::Ledger::open(lab)->append("lab", {{"seed", 1}});
  refuses({"--law", lab, "--flops", "1e21"}, "0 finished runs");
}

TEST_F(Plan, OfALabNamesTheRecipesOwnSize) {
  const Path lab = folder.path() / "lab";
  std::filesystem::create_directory(lab);
  {
    auto ledger = ledger::Ledger::open(lab);
    ledger->append("lab", {{"seed", 1}});
    ledger->append("recipe", {{"hash", "x"}, {"recipe", recipe::to_json(recipe::Recipe{})}});
    int id = 0;
    for (const double C : {1e11, 3e11, 1e12})
      for (const double ratio : {0.5, 1.0, 2.0}) {
        const double N = ratio * 0.25 * std::sqrt(C / 6), D = C / (6 * N);
        const std::string name = fmt::format("r{}", id++);
        ledger->append(
            "run",
            {{"run", name}, {"stage", "ladder"}, {"rung_flops", C}, {"parameters", N}, {"tokens", D}, {"flops", C}});
        ledger->append("finish", {{"run", name},
                                  {"state", "done"},
                                  {"bits_per_byte", 1 + 30 * std::pow(N, -0.35) + 50 * std::pow(D, -0.33)},
                                  {"tokens", D},
                                  {"flops", C},
                                  {"seconds", C / 1e10}});
      }
  }
  std::string text;
  ASSERT_EQ(flywheel({"--law", lab.string(), "--flops", "1e13", "--bootstrap", "10", "--json"}, &text), 0) << errors;
  const Json plan = Json::parse(text).at("plans")[0];
  const Json& size = plan.at("concrete");
  EXPECT_GT(size.at("layers"), 0);
  EXPECT_NEAR(size.at("flops").get<double>() / 1e13, 1, 0.1);
  EXPECT_NEAR(plan.at("flops_per_second").get<double>(), 1e10, 1e4);
}

}  // namespace
}  // namespace flywheel::cli
