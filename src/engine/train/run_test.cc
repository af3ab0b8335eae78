// Whole runs of a tiny model, in process.
#include "engine/train/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <set>

#include "engine/train/checkpoint.h"
#include "engine/train/precision.h"
#include "engine/train/run_model.h"
#include "engine/train/trainer.h"
#include "protocol/run_events.h"
#include "testing/allocation_counter.h"
#include "testing/faulty_file_system.h"
#include "testing/temporary_folder.h"
#include "testing/tiny_run.h"

namespace flywheel::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Session {
  testing::TemporaryFolder folder;
  RunOptions options;
  std::vector<std::string> warnings;
  int signal = 0;
  int64_t stop_at = 0;  // 0: never
  int stop_with = SIGTERM;

  explicit Session(recipe::OptimizerKind optimizer = recipe::OptimizerKind::kMuon, int threads = 1,
                   int64_t steps = 24) {
    options.spec = testing::tiny_spec(folder.path(), optimizer, threads, steps);
    options.directory = folder.path() / "run";
    options.program = "test";
    options.stop_signal = [this] { return signal; };
    options.warn = [this](const std::string& text) { warnings.push_back(text); };
    options.progress = [this](const RunProgress& p) {
      if (p.step == stop_at) signal = stop_with;
    };
  }
  OrderedJson run(FileSystem& files = real_file_system()) {
    signal = 0;
    return run_training(options, files);
  }
  // The exit code that the error asks for; 0: none.
  int code(FileSystem& files = real_file_system()) {
    try {
      run(files);
      return 0;
    } catch (const Error& e) {
      message = e.what();
      return static_cast<int>(e.code());
    }
  }
  std::string message;
  std::vector<protocol::RunEvent> events() const {
    return protocol::EventTail(options.directory / protocol::kEventsFile).poll();
  }
  // By step, what the last word about each was.
  std::map<int64_t, double> losses(const char* type = "step") const {
    std::map<int64_t, double> by_step;
    for (const protocol::RunEvent& event : events())
      if (event.type == type) by_step[event.fields["step"]] = event.fields["loss"];
    return by_step;
  }
  std::vector<float> parameters() const {
    const Checkpoint checkpoint = open_checkpoint(options.directory / protocol::kCheckpointFile);
    return {checkpoint.parameters.begin(), checkpoint.parameters.end()};
  }
  std::string last_event() const { return events().back().type; }
};

// Every kind and every average.
struct OptimizerCase {
  recipe::OptimizerKind kind;
  recipe::Averaging averaging = recipe::Averaging::kNone;
};
constexpr OptimizerCase kOptimizers[] = {{recipe::OptimizerKind::kMuon},
                                         {recipe::OptimizerKind::kAdamw},
                                         {recipe::OptimizerKind::kLion},
                                         {recipe::OptimizerKind::kSoap},
                                         {recipe::OptimizerKind::kScheduleFree},
                                         {recipe::OptimizerKind::kAdamw, recipe::Averaging::kExponential},
                                         {recipe::OptimizerKind::kMuon, recipe::Averaging::kTail}};

TEST(Run, LearnsAndSaysWhatTheProtocolPromises) {
  Session s(recipe::OptimizerKind::kAdamw, 1, 60);
  const OrderedJson done = s.run();
  const auto events = s.events();
  EXPECT_EQ(events.front().type, "start");
  EXPECT_EQ(events.front().fields["steps"], 60);
  EXPECT_FALSE(events.front().fields.contains("resumed_step"));
  EXPECT_EQ(events[1].type, "step");
  EXPECT_EQ(events[1].fields["step"], 1);
  EXPECT_NEAR(events[1].fields["loss"].get<double>(), std::log(257), 0.05) << "starts at the uniform distribution";
  EXPECT_EQ(events.back().type, "done");
  EXPECT_EQ(done["step"], 60);
  EXPECT_EQ(done["tokens"], 60 * 5 * 24);
  EXPECT_LT(done["bits_per_byte"].get<double>(), 4.5);
  const protocol::RunOutcome outcome = protocol::read_outcome(s.options.directory / protocol::kEventsFile);
  EXPECT_EQ(outcome.state, protocol::RunOutcome::State::kDone);
  EXPECT_EQ(outcome.curve.size(), 10u);
}

void expect_resumed_as_straight(const OptimizerCase& c, int threads, const std::vector<std::vector<int64_t>>& stops) {
  SCOPED_TRACE(::testing::Message() << "optimizer " << static_cast<int>(c.kind) << " averaging "
                                    << static_cast<int>(c.averaging) << " threads " << threads);
  Session straight(c.kind, threads);
  straight.options.spec.recipe.optimizer.averaging = c.averaging;
  const OrderedJson done = straight.run();
  for (const std::vector<int64_t>& stops_of_one : stops) {
    Session stopped(c.kind, threads);
    stopped.options.spec.recipe.optimizer.averaging = c.averaging;
    for (const int64_t stop : stops_of_one) {
      stopped.stop_at = stop;
      ASSERT_EQ(stopped.code(), 75) << stopped.message;
    }
    stopped.stop_at = 0;
    const OrderedJson resumed = stopped.run();
    ASSERT_EQ(stopped.losses(), straight.losses());
    ASSERT_EQ(stopped.losses("eval"), straight.losses("eval"));
    ASSERT_EQ(stopped.parameters(), straight.parameters());
    ASSERT_EQ(resumed["bits_per_byte"], done["bits_per_byte"]);
  }
}

TEST(Run, ResumedAtAnyPointItEndsBitIdentically) {
  for (const int threads : {1, 2, 3})
    expect_resumed_as_straight({recipe::OptimizerKind::kMuon}, threads, {{1}, {23}, {5, 6, 17}});
}

TEST(Run, ResumedItEndsBitIdenticallyWithEveryOptimizerAndAverage) {
  for (const OptimizerCase& c : kOptimizers) expect_resumed_as_straight(c, 2, {{1, 11, 22}});
}

TEST(Run, LostToAKillItGoesOnFromItsLastCheckpoint) {
  Session straight;
  straight.run();
  Session killed;
  killed.options.spec.checkpoint_seconds = 0;  // after every step
  killed.stop_at = 9;
  ASSERT_EQ(killed.code(), 75);
  // As a kill between the checkpoint of step 8 and the events of step 9 would leave it.
  std::filesystem::rename(killed.options.directory / protocol::kPreviousCheckpointFile,
                          killed.options.directory / protocol::kCheckpointFile);
  killed.stop_at = 0;
  killed.run();
  EXPECT_EQ(killed.losses(), straight.losses());
  EXPECT_EQ(killed.parameters(), straight.parameters());
}

TEST(Run, SignalsEndItWithTheirExitCodeAndACheckpoint) {
  Session s;
  s.stop_at = 3;
  EXPECT_EQ(s.code(), 75);
  EXPECT_EQ(open_checkpoint(s.options.directory / protocol::kCheckpointFile).progress.step, 3);
  s.stop_at = 5;
  s.stop_with = SIGINT;
  EXPECT_EQ(s.code(), 130);
  EXPECT_EQ(open_checkpoint(s.options.directory / protocol::kCheckpointFile).progress.step, 5);
}

TEST(Run, AboveItsRuleItGivesUpAndWithoutItGoesOnBitIdentically) {
  Session straight;
  straight.options.spec.eval_every_fraction = 0.5;
  straight.run();
  const double bits =
      protocol::read_outcome(straight.options.directory / protocol::kEventsFile).curve.front().bits_per_byte;
  Session spared;  // just below the mark
  spared.options.spec.eval_every_fraction = 0.5;
  spared.options.spec.stop_above = recipe::StopAbove{0.5, bits + 1e-6};
  EXPECT_EQ(spared.code(), 0);
  Session s;
  s.options.spec.eval_every_fraction = 0.5;
  s.options.spec.stop_above = recipe::StopAbove{0.5, bits - 1e-6};
  EXPECT_EQ(s.code(), 75);
  const auto events = s.events();
  EXPECT_EQ(s.last_event(), "checkpoint");
  EXPECT_EQ(events[events.size() - 2].type, "stopped");
  EXPECT_EQ(events[events.size() - 2].fields["step"], 12);
  EXPECT_THAT(events[events.size() - 2].fields["reason"].get<std::string>(), HasSubstr(protocol::kGaveUp));
  s.options.spec.stop_above.reset();
  EXPECT_EQ(s.code(), 0) << s.message;
  EXPECT_EQ(s.losses(), straight.losses());
  EXPECT_EQ(s.parameters(), straight.parameters());
}

TEST(Run, FinishedItSaysSoAgainAndKeepsOnlyTheParameters) {
  Session s;
  s.options.spec.checkpoint_seconds = 0;
  const OrderedJson done = s.run();
  const size_t events = s.events().size();
  EXPECT_EQ(s.run(), done);
  EXPECT_EQ(s.events().size(), events);
  EXPECT_TRUE(open_checkpoint(s.options.directory / protocol::kCheckpointFile).optimizer_state.empty());
  EXPECT_FALSE(std::filesystem::exists(s.options.directory / protocol::kPreviousCheckpointFile));
}

TEST(Run, KilledBetweenTheLastCheckpointAndDoneItOnlyFinishes) {
  Session s;
  const OrderedJson done = s.run();
  const Path events = s.options.directory / protocol::kEventsFile;
  std::string text = real_file_system().read(events);
  text.resize(text.rfind('\n', text.size() - 2) + 1);
  real_file_system().write_atomic(events, text);
  EXPECT_EQ(s.run()["bits_per_byte"], done["bits_per_byte"]);
  EXPECT_EQ(s.last_event(), "done");
}

// "auto" becomes what is faster here once, and stays it.
TEST(Run, SettlesAutoWhenItBeginsAndKeepsIt) {
  using recipe::Precision;
  Session s;
  s.options.spec.precision = Precision::kAuto;
  s.stop_at = 7;
  EXPECT_EQ(s.code(), static_cast<int>(ErrorCode::kStoppedEarly));
  const auto there = [&] { return recipe::load_run_spec(s.options.directory / protocol::kSpecFile).precision; };
  const Precision settled = there();
  EXPECT_EQ(settled, faster_precision(s.options.spec.size.width));
  s.stop_at = 0;
  EXPECT_EQ(s.code(), 0) << s.message;
  EXPECT_EQ(there(), settled);
  Session whole;
  whole.options.spec.precision = settled;
  whole.run();
  EXPECT_EQ(s.losses(), whole.losses());

  // Of a run that goes on what its events say, whatever is faster now; its spec may be an earlier program's.
  for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
    Session earlier;
    earlier.options.spec.precision = precision;
    earlier.stop_at = 7;
    earlier.code();
    earlier.stop_at = 0;
    earlier.options.spec.precision = Precision::kAuto;
    real_file_system().write_atomic(earlier.options.directory / protocol::kSpecFile,
                                    to_json(earlier.options.spec).dump());
    EXPECT_EQ(earlier.code(), 0) << earlier.message;
    EXPECT_EQ(recipe::load_run_spec(earlier.options.directory / protocol::kSpecFile).precision, precision);
  }
}

TEST(Run, SaysWhatItsSecondsWentInto) {
  Session s;
  const OrderedJson parts = s.run()["seconds_by"];
  double sum = 0;
  for (const char* part : {"start", "sequences", "optimizer", "evaluation", "checkpoint"}) {
    EXPECT_GT(parts[part].get<double>(), 0) << part;
    sum += parts[part].get<double>();
  }
  EXPECT_LE(sum, s.events().back().t + 0.01);
}

TEST(Run, AnotherSpecInTheDirectoryIsRefusedByName) {
  Session s;
  s.run();
  s.options.spec.recipe.optimizer.momentum = 0.5;
  EXPECT_EQ(s.code(), 2);
  EXPECT_THAT(s.message, HasSubstr("recipe.optimizer.momentum: 0.95 -> 0.5"));
}

TEST(Run, ACheckpointOfAnotherSpecIsRefusedByName) {
  Session other, s;
  other.options.spec.seed = 77;
  other.stop_at = 2;
  other.code();
  s.stop_at = 2;
  s.code();
  std::filesystem::copy_file(other.options.directory / protocol::kCheckpointFile,
                             s.options.directory / protocol::kCheckpointFile,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(s.code(), 2);
  EXPECT_THAT(s.message, HasSubstr("seed: 77 -> 1"));
}

TEST(Run, ASecondProcessOnItsDirectoryIsRefused) {
  Session s;
  std::filesystem::create_directories(s.options.directory);
  const auto lock = FileLock::try_acquire(s.options.directory / protocol::kLockFile);
  ASSERT_TRUE(lock);
  EXPECT_EQ(s.code(), 76);
  EXPECT_FALSE(std::filesystem::exists(s.options.directory / protocol::kSpecFile));
}

TEST(Run, ADamagedCheckpointIsNamedAndThePreviousOneUsed) {
  Session straight;
  straight.run();
  Session s;
  s.stop_at = 4;
  s.code();
  s.stop_at = 8;
  s.code();
  const Path current = s.options.directory / protocol::kCheckpointFile;
  std::string bytes = real_file_system().read(current);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  real_file_system().write_atomic(current, bytes);
  s.stop_at = 0;
  s.run();
  EXPECT_THAT(s.warnings.at(0), HasSubstr("damaged"));
  EXPECT_EQ(s.losses(), straight.losses());
}

TEST(Run, ThatDivergesFailsWithStepAndReason) {
  Session s(recipe::OptimizerKind::kAdamw, 1, 200);
  s.options.spec.size.matrix_learning_rate = s.options.spec.size.embedding_learning_rate =
      s.options.spec.size.head_learning_rate = s.options.spec.size.vector_learning_rate = 1000;
  s.options.spec.recipe.schedule.warmup_steps = 0;
  EXPECT_EQ(s.code(), 1);
  const protocol::RunEvent last = s.events().back();
  EXPECT_EQ(last.type, "failed");
  EXPECT_TRUE(last.fields["reason"].get<std::string>().starts_with("diverged:")) << last.fields;
  EXPECT_GE(last.fields["step"].get<int64_t>(), 1);
}

TEST(Run, ThatCannotFitIsRefusedBeforeItStarts) {
  Session s;
  s.options.available_memory_bytes = 1 << 20;
  EXPECT_EQ(s.code(), 1);
  EXPECT_EQ(s.events().size(), 2u);
  EXPECT_TRUE(s.events().back().fields["reason"].get<std::string>().starts_with("memory:"));
}

TEST(Run, AFullDiskIsReportedAndHarmsNothingThatWasThere) {
  Session straight;
  straight.run();
  Session s;
  s.stop_at = 6;
  ASSERT_EQ(s.code(), 75);
  testing::FaultyFileSystem disk;
  disk.free_bytes = 4000;  // some events, no checkpoint
  s.stop_at = 9;
  EXPECT_EQ(s.code(disk), 1);
  EXPECT_THAT(s.message, HasSubstr("No space left"));
  EXPECT_GE(disk.failures, 1);
  EXPECT_EQ(open_checkpoint(s.options.directory / protocol::kCheckpointFile).progress.step, 6);
  s.stop_at = 0;
  s.run();
  EXPECT_EQ(s.losses(), straight.losses());
}

TEST(Run, ACorpusThatDoesNotServeIsRefusedAndNothingIsWritten) {
  Session s;
  s.options.spec.size.vocabulary = 256;
  EXPECT_EQ(s.code(), 2);
  EXPECT_THAT(s.message, HasSubstr("size.vocabulary"));
  s.options.spec.size.vocabulary = 257;
  s.options.spec.corpus = s.folder.path() / "none";
  EXPECT_EQ(s.code(), 2);
  EXPECT_FALSE(std::filesystem::exists(s.options.directory));
}

TEST(Run, ItsModelIsReadBackAndEvaluatesTheSame) {
  for (const auto& [optimizer, averaging] : kOptimizers) {
    Session s(optimizer);
    s.options.spec.recipe.optimizer.averaging = averaging;
    const OrderedJson done = s.run();
    const RunModel loaded = load_run_model(s.options.directory, 1, {});
    const data::Corpus corpus = data::Corpus::open(s.options.spec.corpus);
    const SampleLoss evaluation =
        loaded.model->evaluate(data::eval_sample(corpus, data::Split::kSearch, s.options.spec.eval_tokens, 24));
    EXPECT_EQ(evaluation.loss, done["loss"].get<double>());
    EXPECT_EQ(evaluation.bits_per_byte, done["bits_per_byte"].get<double>());
  }
}

TEST(Run, SaysWhichTextItWasScoredOnWhateverItsContext) {
  std::set<std::string> lists;
  for (const int context : {16, 24, 130}) {
    Session s;
    s.options.spec.recipe.model.context = s.options.spec.size.context = context;
    const OrderedJson done = s.run();
    lists.insert(done["segments"].get<std::string>());
    EXPECT_EQ(done["bytes"], 480);  // five segments, of a split of one document
    EXPECT_EQ(done["documents"], 1);
    EXPECT_TRUE(done["sampling_sd"].is_null());
    const Json scored =
        parse_json(real_file_system().read(s.options.directory / protocol::kDocumentsFile), "documents.json");
    EXPECT_EQ(scored.at("segments"), done["segments"].get<std::string>());
    ASSERT_EQ(scored.at("documents").size(), 1u);
    EXPECT_EQ(scored["documents"][0][1], 480);
    EXPECT_NEAR(scored["documents"][0][2].get<double>() / 480, done["bits_per_byte"].get<double>(), 1e-9);
    for (const protocol::RunEvent& event : s.events()) {
      if (event.type == "start" || event.type == "eval" || event.type == "done") {
        EXPECT_EQ(event.fields.at("segments"), done["segments"].get<std::string>());
      }
    }
  }
  ASSERT_EQ(lists.size(), 1u);
  Session s;
  s.options.spec.eval_segments = *lists.begin();
  s.run();
  const RunModel loaded = load_run_model(s.options.directory, 1, {}, 40);
  EXPECT_EQ(loaded.model->program().size().context, 40);
  const data::Corpus corpus = data::Corpus::open(s.options.spec.corpus);
  const data::EvalSample sample = data::eval_sample(corpus, data::Split::kSearch, s.options.spec.eval_tokens, 40);
  EXPECT_EQ(loaded.model->evaluate(sample).segments, s.options.spec.eval_segments);
}

TEST(Run, WhoseSpecNamesOtherTextIsRefused) {
  Session s;
  s.options.spec.eval_segments = "0123456789abcdef";
  EXPECT_EQ(s.code(), 2);
  EXPECT_THAT(s.message, AllOf(HasSubstr("eval.segments"), HasSubstr("0123456789abcdef")));
  EXPECT_FALSE(std::filesystem::exists(s.options.directory));
}

TEST(Run, StoppedItsModelIsTheAverageThatItsEvaluationsUsed) {
  for (const OptimizerCase& c : {OptimizerCase{recipe::OptimizerKind::kAdamw, recipe::Averaging::kExponential},
                                 OptimizerCase{recipe::OptimizerKind::kScheduleFree}}) {
    Session s(c.kind);
    s.options.spec.recipe.optimizer.averaging = c.averaging;
    s.options.spec.eval_every_fraction = 1e-9;  // every step
    s.stop_at = 9;
    ASSERT_EQ(s.code(), 75);
    const RunModel loaded = load_run_model(s.options.directory, 1, {});
    const data::Corpus corpus = data::Corpus::open(s.options.spec.corpus);
    const data::EvalSample sample = data::eval_sample(corpus, data::Split::kSearch, s.options.spec.eval_tokens, 24);
    EXPECT_EQ(loaded.model->evaluate(sample).loss, s.losses("eval").at(9));
    const std::vector<float> trained = s.parameters();
    EXPECT_FALSE(std::equal(trained.begin(), trained.end(), loaded.model->parameters().begin()));
  }
}

TEST(Trainer, AllocatesNothingInAStep) {
  testing::TemporaryFolder folder;
  for (const auto& [optimizer, averaging] : kOptimizers) {
    recipe::RunSpec spec = testing::tiny_spec(folder.path(), optimizer, 2, 10);
    spec.recipe.optimizer.averaging = averaging;
    spec.recipe.optimizer.soap_interval = 2;
    const data::Corpus corpus = data::Corpus::open(spec.corpus);
    const data::BatchSampler batches(corpus.tokens(data::Split::kTrain), 24, 5, 1);
    Trainer trainer(spec.recipe, spec.size, tensor::Dtype::kFloat32, 2, 1);
    trainer.step(batches, 0);
    const int64_t before = testing::allocation_count;
    for (int64_t step = 1; step < 4; ++step) trainer.step(batches, step);
    EXPECT_EQ(testing::allocation_count, before);
  }
}

}  // namespace
}  // namespace flywheel::train
