// flywheel fit --curves as a user calls it, and run directories as curves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/run_curves.h"
#include "protocol/run_events.h"
#include "recipe/run_spec.h"
#include "scaling/curves/synthetic_curves.h"
#include "testing/temporary_folder.h"

namespace flywheel::cli {
namespace {

using ::testing::HasSubstr;

struct FitCurves : ::testing::Test {
  flywheel::testing::TemporaryFolder folder;

  std::string write(const std::string& name, const std::string& text) {
    const Path path = folder.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }

  // Exit code; stdout and stderr in `out` and `err`.
  int fit(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"flywheel", "fit"});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = run(static_cast<int>(argv.size()), argv.data());
    std::fflush(stdout);
    out = ::testing::internal::GetCapturedStdout();
    err = ::testing::internal::GetCapturedStderr();
    return code;
  }

  static std::string rows(const scaling::Curve& curve) {
    std::string text;
    for (const scaling::LossPoint& point : curve.losses)
      text += fmt::format("{},{},{},{}\n", curve.name, point.step,
                          curve.rates[static_cast<size_t>(point.step) - 1].rate, point.loss);
    return text;
  }

  std::string out, err;
};

TEST_F(FitCurves, PrintsTheFormsTheHeldOutTestAndWhatAPlannedRunWillGive) {
  Rng rng(1);
  std::string text = "run,step,lr,loss\n";
  for (const int steps : {1000, 2000}) {
    text +=
        rows(scaling::made_curve(fmt::format("cosine-{}", steps), {}, scaling::kCosine, steps, 0.001, rng, 0, 1, 100));
    text += rows(
        scaling::made_curve(fmt::format("wsd-{}", steps), {}, scaling::kStableDecay, steps, 0.001, rng, 0, 1, 100));
  }
  const std::string curves = write("curves.csv", text);
  const std::string plans = write(
      "plans.csv", "run,step,lr\nplan,1,0.0002\nplan,50,0.0098\nplan,51,0.01\nplan,1465,0.01\nplan,2000,0.0005\n");
  ASSERT_EQ(fit({"--curves", curves, "--hold-out", "wsd", "--predict", plans, "--json"}), 0) << err;
  const Json json = parse_json(out, "stdout");
  EXPECT_EQ(json["curves"], 4);
  EXPECT_EQ(json["forms"][0]["name"], "multi_power");
  EXPECT_TRUE(json["forms"][0]["parameters"].contains("gamma"));
  EXPECT_EQ(json["held_out"][0]["forms"][0]["curves"].size(), 2u);
  ASSERT_EQ(json["predictions"].size(), 1u);
  const scaling::Curve truth = scaling::made_curve("truth", {}, scaling::kStableDecay, 2000, 0, rng);
  EXPECT_NEAR(json["predictions"][0]["loss"].get<double>() / truth.losses.back().loss, 1, 0.01);
}

TEST_F(FitCurves, NamesWhatIsWrong) {
  EXPECT_EQ(fit({}), 2);
  EXPECT_THAT(err, HasSubstr("--curves"));
  EXPECT_EQ(fit({"--curves", (folder.path() / "none.csv").string()}), 2);
  EXPECT_THAT(err, HasSubstr("no such file"));
  EXPECT_EQ(fit({"--curves", folder.path().string()}), 2);
  EXPECT_THAT(err, HasSubstr("no run directories"));
  const std::string one = write("one.csv", "run,step,lr,loss\na,1,0.1,3\na,2,0.1,2\n");
  EXPECT_EQ(fit({"--curves", one}), 2);
  EXPECT_THAT(err, HasSubstr("1 curve"));
  EXPECT_EQ(fit({one, "--curves", one}), 2);
  EXPECT_THAT(err, HasSubstr("give one of them"));
  const std::string warming = write("warming.csv", "run,step,lr,loss\na,1,0.1,3\na,2,0.2,2\nb,1,0.1,3\nb,2,0.2,2\n");
  EXPECT_EQ(fit({"--curves", warming}), 2);
  EXPECT_THAT(err, HasSubstr("no loss is measured after the warm-up"));
  const std::string two = write("two.csv", "run,step,lr,loss\na,1,0.1,3\na,2,0.1,2\nb,1,0.1,3\nb,2,0.1,2\n");
  EXPECT_EQ(fit({"--curves", two, "--hold-out", "c"}), 2);
  EXPECT_THAT(err, HasSubstr("--hold-out c"));
}

TEST_F(FitCurves, ARunDirectoryIsItsEvaluationsAndThePlanOfItsSpec) {
  recipe::RunSpec spec;
  spec.id = "a";
  spec.recipe.schedule.kind = recipe::ScheduleKind::kWsd;
  spec.size = {.vocabulary = 257,
               .layers = 2,
               .width = 16,
               .heads = 1,
               .kv_heads = 1,
               .feed_forward = 32,
               .context = 128,
               .batch_sequences = 2,
               .steps = 100,
               .matrix_learning_rate = 0.02,
               .embedding_learning_rate = 0.01,
               .head_learning_rate = 0.01,
               .vector_learning_rate = 0.01};
  spec.corpus = folder.path();
  write("runs/a/spec.json", to_json(spec).dump());
  const std::string events =
      R"({"t":0,"type":"start","matrix_parameters":5000}
{"t":1,"type":"step","step":30,"learning_rate":0.02,"loss":3}
{"t":1,"type":"eval","step":20,"tokens":200,"split":"search","loss":3,"bits_per_byte":4.5}
{"t":1,"type":"eval","step":40,"tokens":400,"split":"search","loss":3,"bits_per_byte":4.4}
{"t":1,"type":"start","matrix_parameters":5000,"resumed_step":30}
{"t":1,"type":"eval","step":40,"tokens":400,"split":"search","loss":3,"bits_per_byte":4.2}
{"t":1,"type":"eval","step":40,"tokens":400,"split":"audit","loss":3,"bits_per_byte":9}
)";
  write("runs/a/events.jsonl", events);
  write("runs/b/events.jsonl", events);
  const std::vector<scaling::Curve> curves = read_run_curves(folder.path() / "runs");
  ASSERT_EQ(curves.size(), 2u);
  EXPECT_EQ(curves[0].N, 5000);
  EXPECT_EQ(curves[0].tokens_per_step, 10);
  ASSERT_EQ(curves[0].losses.size(), 2u);
  EXPECT_EQ(curves[0].losses[1].loss, 4.2);
  EXPECT_EQ(curves[0].last_step(), 100);
  EXPECT_LT(curves[0].rates.back().rate, 0.001);
  EXPECT_EQ(curves[1].rates.size(), 1u);  // no spec: what was logged
  EXPECT_EQ(read_run_curves(folder.path() / "runs" / "a").size(), 1u);
}

}  // namespace
}  // namespace flywheel::cli
