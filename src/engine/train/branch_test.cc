// Runs that branch from another's stable phase, and runs whose batch grows: whole runs of a tiny model, in process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <map>

#include "engine/train/checkpoint.h"
#include "engine/train/run.h"
#include "protocol/run_events.h"
#include "recipe/phases.h"
#include "testing/temporary_folder.h"
#include "testing/tiny_run.h"

namespace flywheel::train {
namespace {

using ::testing::HasSubstr;

// Runs in one folder, on one corpus.
struct Bench {
  testing::TemporaryFolder folder;
  int signal = 0;
  std::string message;

  recipe::RunSpec spec(recipe::OptimizerKind optimizer, int64_t steps, int warmup_steps) const {
    recipe::RunSpec spec = testing::tiny_spec(folder.path(), optimizer, 1, steps);
    spec.recipe.schedule.warmup_steps = warmup_steps;
    return spec;
  }
  // `spec`, going on from where `trunk` begins its decay.
  recipe::RunSpec branched(recipe::RunSpec spec, const recipe::RunSpec& trunk, const std::string& trunk_name) const {
    spec.recipe = trunk.recipe;
    spec.size = recipe::branched_size(spec.recipe, spec.size, trunk.size).value();
    spec.branch = folder.path() / trunk_name;
    return spec;
  }
  Path directory(const std::string& name) const { return folder.path() / name; }

  // Its exit code; stopped after `stop_at` steps when that is not 0.
  int run(const std::string& name, const recipe::RunSpec& spec, int64_t stop_at = 0, bool repeat_trunk = false) {
    signal = 0;
    RunOptions options;
    options.repeat_trunk = repeat_trunk;
    options.spec = spec;
    options.directory = directory(name);
    options.stop_signal = [this] { return signal; };
    options.progress = [&](const RunProgress& p) {
      if (p.step == stop_at) signal = SIGTERM;
    };
    try {
      run_training(options);
      return 0;
    } catch (const Error& e) {
      message = e.what();
      return static_cast<int>(e.code());
    }
  }
  std::vector<protocol::RunEvent> events(const std::string& name) const {
    return protocol::EventTail(directory(name) / protocol::kEventsFile).poll();
  }
  std::map<int64_t, double> losses(const std::string& name, int64_t after = 0) const {
    std::map<int64_t, double> by_step;
    for (const protocol::RunEvent& event : events(name))
      if (event.type == "step" && event.fields["step"] > after) by_step[event.fields["step"]] = event.fields["loss"];
    return by_step;
  }
  std::vector<float> parameters(const std::string& name) const {
    const Checkpoint checkpoint = open_checkpoint(directory(name) / protocol::kCheckpointFile);
    return {checkpoint.parameters.begin(), checkpoint.parameters.end()};
  }
  double done(const std::string& name, const char* field) const { return events(name).back().fields.at(field); }
};

TEST(Branch, AtTheTrunksBatchItEqualsTheUninterruptedRunBitForBit) {
  using Kind = std::pair<recipe::OptimizerKind, recipe::Averaging>;
  for (const auto& [optimizer, averaging] : {Kind{recipe::OptimizerKind::kMuon, recipe::Averaging::kNone},
                                             Kind{recipe::OptimizerKind::kAdamw, recipe::Averaging::kExponential},
                                             Kind{recipe::OptimizerKind::kLion, recipe::Averaging::kTail},
                                             Kind{recipe::OptimizerKind::kSoap, recipe::Averaging::kNone}}) {
    SCOPED_TRACE(static_cast<int>(optimizer));
    Bench bench;
    recipe::RunSpec trunk = bench.spec(optimizer, 20, 2), longer = bench.spec(optimizer, 40, 2);
    trunk.recipe.optimizer.averaging = longer.recipe.optimizer.averaging = averaging;
    trunk.keep_stable = true;
    ASSERT_EQ(bench.run("trunk", trunk), 0) << bench.message;
    ASSERT_EQ(bench.run("whole", longer), 0) << bench.message;
    ASSERT_EQ(bench.run("branch", bench.branched(longer, trunk, "trunk")), 0) << bench.message;
    EXPECT_EQ(bench.events("branch").front().fields["resumed_step"], 12);
    EXPECT_EQ(bench.losses("branch"), bench.losses("whole", 12));
    EXPECT_EQ(bench.parameters("branch"), bench.parameters("whole"));
    for (const char* field : {"step", "tokens", "flops", "loss", "bits_per_byte"})
      EXPECT_EQ(bench.done("branch", field), bench.done("whole", field)) << field;
  }
}

TEST(Branch, AChainOfLongerAndLongerRunsCountsAllItsTokensAndChargesTheNewOnes) {
  Bench bench;
  recipe::RunSpec spec = bench.spec(recipe::OptimizerKind::kMuon, 20, 2);
  spec.keep_stable = true;
  ASSERT_EQ(bench.run("r0", spec), 0) << bench.message;
  double spent = bench.done("r0", "spent_flops");
  EXPECT_EQ(spent, bench.done("r0", "flops"));
  for (int link = 1; link <= 3; ++link) {
    recipe::RunSpec longer = spec;
    longer.size.trunk_steps = longer.size.trunk_sequences = 0;
    longer.size.batch_sequences = spec.size.batch_sequences + 2;
    longer.size.steps = 30 * link;
    const std::string name = fmt::format("r{}", link), below = fmt::format("r{}", link - 1);
    longer = bench.branched(longer, spec, below);
    ASSERT_EQ(bench.run(name, longer), 0) << bench.message;
    EXPECT_EQ(bench.done(name, "tokens"), static_cast<double>(longer.size.tokens()));
    EXPECT_EQ(bench.done(name, "flops"), recipe::training_flops(longer.recipe, longer.size));
    EXPECT_EQ(bench.done(name, "spent_flops"), recipe::new_training_flops(longer.recipe, longer.size));
    // Its first step reads on where the trunk's last stable one ended.
    const protocol::RunEvent first = bench.events(name).at(1);
    EXPECT_EQ(first.fields["step"], longer.size.trunk_steps + 1);
    EXPECT_EQ(first.fields["tokens"],
              (longer.size.trunk_sequences + longer.size.batch_sequences) * longer.size.context);
    spec = longer;
  }
}

TEST(Branch, ResumedAtAnyPointItEndsBitIdentically) {
  Bench bench;
  recipe::RunSpec trunk = bench.spec(recipe::OptimizerKind::kMuon, 20, 2);
  trunk.keep_stable = true;
  ASSERT_EQ(bench.run("trunk", trunk, 15), 75);  // stable.bin outlives a stop, and the end
  ASSERT_EQ(bench.run("trunk", trunk), 0) << bench.message;
  recipe::RunSpec spec = bench.spec(recipe::OptimizerKind::kMuon, 40, 2);
  spec.size.batch_sequences = 3;
  spec.keep_stable = true;
  spec = bench.branched(spec, trunk, "trunk");
  ASSERT_EQ(bench.run("straight", spec), 0) << bench.message;
  for (const int64_t stop : {13, 20, 31}) {
    const std::string name = fmt::format("stopped-{}", stop);
    ASSERT_EQ(bench.run(name, spec, stop), 75) << bench.message;
    if (stop == 20) std::filesystem::rename(bench.directory("trunk"), bench.directory("gone"));
    ASSERT_EQ(bench.run(name, spec), 0) << bench.message;  // its own checkpoint is enough
    if (stop == 20) std::filesystem::rename(bench.directory("gone"), bench.directory("trunk"));
    EXPECT_EQ(bench.losses(name), bench.losses("straight"));
    EXPECT_EQ(bench.parameters(name), bench.parameters("straight"));
    EXPECT_EQ(bench.done(name, "spent_flops"), bench.done("straight", "spent_flops"));
    EXPECT_EQ(open_checkpoint(bench.directory(name) / protocol::kStableFile).progress.step,
              recipe::stable_steps(spec.recipe.schedule, spec.size));
  }
}

TEST(Branch, AMissingDamagedOrWrongTrunkIsNamed) {
  Bench bench;
  recipe::RunSpec trunk = bench.spec(recipe::OptimizerKind::kAdamw, 20, 2);
  trunk.keep_stable = true;
  ASSERT_EQ(bench.run("trunk", trunk), 0);
  const recipe::RunSpec spec = bench.branched(bench.spec(recipe::OptimizerKind::kAdamw, 40, 2), trunk, "trunk");
  const auto refusal = [&](const recipe::RunSpec& asked) {
    static int n = 0;
    const std::string name = fmt::format("refused-{}", n++);
    EXPECT_EQ(bench.run(name, asked), 1);
    const protocol::RunEvent last = bench.events(name).back();
    EXPECT_EQ(last.type, "failed");
    const auto reason = last.fields["reason"].get<std::string>();
    EXPECT_TRUE(reason.starts_with("input: branch")) << reason;
    return reason;
  };
  recipe::RunSpec other = spec;
  other.data_seed = 9;
  EXPECT_THAT(refusal(other), HasSubstr("data_seed"));
  other = spec;
  other.recipe.optimizer.beta2 = 0.99;
  EXPECT_THAT(refusal(other), HasSubstr("beta2"));
  other = spec;
  other.size.trunk_sequences -= 1;
  EXPECT_THAT(refusal(other), HasSubstr("the spec expects step 12 after 59"));
  const Path stable = bench.directory("trunk") / protocol::kStableFile;
  std::string bytes = real_file_system().read(stable);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  real_file_system().write_atomic(stable, bytes);
  EXPECT_THAT(refusal(spec), HasSubstr("damaged"));
  std::filesystem::remove(stable);
  EXPECT_THAT(refusal(spec), HasSubstr("no such file"));
}

TEST(Branch, ItIsRepeatedBitForBitByRepeatingItsTrunks) {
  Bench bench;
  recipe::RunSpec first = bench.spec(recipe::OptimizerKind::kMuon, 20, 2);
  first.keep_stable = true;
  ASSERT_EQ(bench.run("first", first), 0) << bench.message;
  recipe::RunSpec second = bench.branched(bench.spec(recipe::OptimizerKind::kMuon, 30, 2), first, "first");
  second.keep_stable = true;
  ASSERT_EQ(bench.run("second", second), 0) << bench.message;
  const recipe::RunSpec third = bench.branched(bench.spec(recipe::OptimizerKind::kMuon, 45, 2), second, "second");
  ASSERT_EQ(bench.run("third", third), 0) << bench.message;
  for (const char* trunk : {"first", "second"}) std::filesystem::remove(bench.directory(trunk) / protocol::kStableFile);
  EXPECT_EQ(bench.run("refused", third), 1);
  ASSERT_EQ(bench.run("repeated", third, 0, /*repeat_trunk=*/true), 0) << bench.message;
  EXPECT_EQ(bench.losses("repeated"), bench.losses("third"));
  EXPECT_EQ(bench.parameters("repeated"), bench.parameters("third"));
  EXPECT_EQ(bench.losses("repeated/trunk/trunk"), bench.losses("first"));
}

TEST(BatchRamp, CountsEverySequenceOnceAndResumesBitIdentically) {
  for (const int threads : {1, 2}) {
    Bench bench;
    recipe::RunSpec spec = bench.spec(recipe::OptimizerKind::kMuon, 30, 3);
    spec.threads = threads;
    spec.size.ramp_steps = 12;
    spec.size.ramp_sequences = 1;
    ASSERT_EQ(bench.run("straight", spec), 0) << bench.message;
    // 18 full batches of 5, and 12 that grow from 1 in steps of 4 / 12: 12 + 4 * 12 * 11 / 24 sequences.
    EXPECT_EQ(bench.done("straight", "tokens"), (18 * 5 + 12 + 22) * 24);
    for (const int64_t stop : {7, 20}) {
      const std::string name = fmt::format("stopped-{}", stop);
      ASSERT_EQ(bench.run(name, spec, stop), 75) << bench.message;
      ASSERT_EQ(bench.run(name, spec), 0) << bench.message;
      EXPECT_EQ(bench.losses(name), bench.losses("straight"));
      EXPECT_EQ(bench.parameters(name), bench.parameters("straight"));
    }
  }
}

}  // namespace
}  // namespace flywheel::train
