#include "protocol/run_events.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/rng.h"

namespace flywheel::protocol {
namespace {

class Events : public testing::Test {
 protected:
  Events() : path_(std::filesystem::temp_directory_path() / fmt::format("flywheel-events-{}.jsonl", ::getpid())) {
    std::filesystem::remove(path_);
  }
  ~Events() override { std::filesystem::remove(path_); }
  void append(const std::string& text) const { std::ofstream(path_, std::ios::app | std::ios::binary) << text; }
  void replace(const std::string& text) const { real_file_system().write_atomic(path_, text); }
  Path path_;
};

const std::string kStart =
    R"({"t":0,"type":"start","program":"p","precision":"fp32","steps":100,"predicted_memory_bytes":1000})"
    "\n";
std::string step(int number) {
  return fmt::format(R"({{"t":{0},"type":"step","step":{0},"tokens":{1},"loss":2.5}})"
                     "\n",
                     number, number * 10);
}
std::string eval(int number, double bits, const char* split = "search") {
  return fmt::format(
      R"({{"t":{0},"type":"eval","step":{0},"tokens":{1},"flops":{2},"split":"{4}","loss":{3},"bits_per_byte":{3}}})"
      "\n",
      number, number * 10, number * 1000, bits, split);
}
std::string resumed(int number) {
  return fmt::format(R"({{"t":{0},"type":"start","resumed_step":{0}}})"
                     "\n",
                     number);
}

TEST_F(Events, MissingFileIsNothingYet) {
  EventTail tail(path_);
  EXPECT_TRUE(tail.poll().empty());
  append(kStart);
  EXPECT_EQ(tail.poll().size(), 1u);
  EXPECT_EQ(read_outcome(path_.string() + ".none").state, RunOutcome::State::kNotStarted);
}

TEST_F(Events, EvaluationsOfOtherTextAreNoPartOfTheCurve) {
  const auto scored = [](int number, double bits, const std::string& rest) {
    std::string line = eval(number, bits);
    return line.substr(0, line.find_last_of('}')) + rest + "}\n";
  };
  append(kStart + eval(10, 3.0) + eval(20, 2.5) + resumed(20) +
         scored(30, 2.25,
                R"(,"segments":"a1","bytes":1000,"documents":7,"sampling_sd":0.04,"sampling_degrees":6.5)"
                R"(,"clusters":4,"cut_documents":1,"blocks":2)"));
  RunOutcome outcome = read_outcome(path_);
  ASSERT_EQ(outcome.curve.size(), 1u);
  EXPECT_EQ(outcome.curve[0].bits_per_byte, 2.25);
  EXPECT_EQ(outcome.segments, "a1");
  EXPECT_EQ(outcome.eval_bytes, 1000);
  EXPECT_EQ(outcome.eval_documents, 7);
  ASSERT_TRUE(outcome.sampling);
  EXPECT_EQ(outcome.sampling->sd, 0.04);
  EXPECT_EQ(outcome.sampling->degrees, 6.5);
  EXPECT_EQ(outcome.sampling_units, (SampledUnits{.clusters = 4, .cut_documents = 1, .blocks = 2}));
  append(scored(40, 2.0, R"(,"segments":"a1","bytes":1000,"documents":1,"sampling_sd":null)"));
  outcome = read_outcome(path_);
  EXPECT_EQ(outcome.curve.size(), 2u);
  EXPECT_FALSE(outcome.sampling);
  EXPECT_FALSE(outcome.sampling_units);  // not said: of an older version, or of a trainer of one's own
}

TEST_F(Events, TornLastLineWaitsForItsEnd) {
  EventTail tail(path_);
  const std::string line = step(7);
  append(kStart + line.substr(0, 20));
  EXPECT_EQ(tail.poll().size(), 1u);
  EXPECT_TRUE(tail.poll().empty());
  append(line.substr(20));
  const auto events = tail.poll();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].fields["step"], 7);
  EXPECT_EQ(tail.damaged_lines(), 0);
}

TEST_F(Events, GarbageLinesAreSkippedAndCounted) {
  append(kStart + "garbage\n[1]\n3\n{\"t\":1}\n{\"type\":5}\n" + std::string(100, '\0') + "\n\xff\xfe\n" + step(1));
  EventTail tail(path_);
  EXPECT_EQ(tail.poll().size(), 2u);
  EXPECT_EQ(tail.damaged_lines(), 7);
}

TEST_F(Events, ReplacedOrShrunkenFileIsReadFromItsStart) {
  EventTail tail(path_);
  RunOutcome outcome;
  auto poll = [&] {
    for (const RunEvent& event : tail.poll()) apply_event(outcome, event);
  };
  append(kStart + step(1) + eval(2, 5));
  poll();
  EXPECT_EQ(outcome.step, 2);
  replace(kStart + step(9) + eval(10, 4) + step(11));
  poll();
  EXPECT_EQ(outcome.step, 11);
  ASSERT_EQ(outcome.curve.size(), 1u);
  EXPECT_EQ(outcome.curve[0].bits_per_byte, 4);
  std::filesystem::resize_file(path_, kStart.size());
  poll();
  EXPECT_EQ(outcome.step, 0);
  EXPECT_TRUE(outcome.curve.empty());
}

TEST_F(Events, RepeatedEventsOfAResumedRunReplaceTheEarlierOnes) {
  append(kStart + step(10) + eval(10, 5) + step(20) + eval(20, 4) + step(25));
  RunOutcome outcome = read_outcome(path_);
  EXPECT_EQ(outcome.step, 25);
  append(resumed(12));
  outcome = read_outcome(path_);
  EXPECT_EQ(outcome.state, RunOutcome::State::kRunning);
  EXPECT_EQ(outcome.step, 12);
  EXPECT_DOUBLE_EQ(outcome.tokens, 120);
  EXPECT_EQ(outcome.bits_per_byte, 5);
  EXPECT_EQ(outcome.program, "p");
  append(step(20) + eval(20, 3.5) + eval(30, 3));
  append(R"({"t":31,"type":"done","step":30,"tokens":300,"flops":30000,"loss":3,"bits_per_byte":3,"train_seconds":9,)"
         R"("cpu_seconds":8,"peak_memory_bytes":77})"
         "\n");
  outcome = read_outcome(path_);
  EXPECT_EQ(outcome.state, RunOutcome::State::kDone);
  ASSERT_EQ(outcome.curve.size(), 3u);
  EXPECT_EQ(outcome.curve[1].bits_per_byte, 3.5);
  EXPECT_EQ(outcome.curve[2].flops, 30000);
  EXPECT_EQ(outcome.tokens, 300);
  EXPECT_EQ(outcome.train_seconds, 9);
  EXPECT_EQ(outcome.cpu_seconds, 8);
  EXPECT_EQ(outcome.peak_memory_bytes, 77u);
}

TEST_F(Events, SecondsByPartAreThoseOfTheLastProcess) {
  append(kStart + step(10));
  append(R"({"t":9,"type":"stopped","step":10,"reason":"gave up","seconds_by":{"sequences":2,"start":"x","a":[1]}})"
         "\n");
  EXPECT_EQ(read_outcome(path_).seconds_by, (std::map<std::string, double>{{"sequences", 2}}));
  append(resumed(10));
  EXPECT_TRUE(read_outcome(path_).seconds_by.empty());
  append(R"({"t":31,"type":"done","step":30,"seconds_by":{"sequences":3,"optimizer":1.5}})"
         "\n");
  EXPECT_EQ(read_outcome(path_).seconds_by, (std::map<std::string, double>{{"sequences", 3}, {"optimizer", 1.5}}));
}

TEST_F(Events, ResumeBeforeTheFirstEvaluationForgetsThemAll) {
  append(kStart + eval(20, 4) + resumed(5));
  const RunOutcome outcome = read_outcome(path_);
  EXPECT_TRUE(outcome.curve.empty());
  EXPECT_FALSE(outcome.bits_per_byte.has_value());
}

TEST_F(Events, OtherSplitsStayOutOfTheCurve) {
  append(kStart + eval(10, 5) + eval(10, 9, "audit") + eval(20, 4));
  const RunOutcome outcome = read_outcome(path_);
  EXPECT_EQ(outcome.curve.size(), 2u);
  EXPECT_EQ(outcome.bits_per_byte, 4);
}

TEST_F(Events, WhatAnUndoneEvaluationSaidOfItsTextIsTakenBack) {
  const auto scored = [](int number, double bits) {
    std::string line = eval(number, bits);
    return line.substr(0, line.find_last_of('}')) +
           R"(,"segments":"a1","bytes":1000,"documents":7,"sampling_sd":0.04})" + "\n";
  };
  append(kStart + scored(10, 3.0) + scored(20, 2.5) + resumed(20));
  EXPECT_TRUE(read_outcome(path_).sampling);  // nothing was undone
  append(resumed(15));
  RunOutcome outcome = read_outcome(path_);
  EXPECT_EQ(outcome.bits_per_byte, 3.0);
  EXPECT_FALSE(outcome.sampling);
  EXPECT_EQ(outcome.eval_documents, 7);
  append(resumed(5));
  outcome = read_outcome(path_);
  EXPECT_FALSE(outcome.bits_per_byte);
  EXPECT_EQ(outcome.eval_bytes, 0);
  EXPECT_EQ(outcome.eval_documents, 0);
}

TEST_F(Events, FailureKeepsItsReasonUntilTheRunResumes) {
  append(kStart + step(10) +
         R"({"t":11,"type":"failed","step":11,"reason":"diverged: loss is nan"})"
         "\n");
  RunOutcome outcome = read_outcome(path_);
  EXPECT_EQ(outcome.state, RunOutcome::State::kFailed);
  EXPECT_EQ(outcome.reason, "diverged: loss is nan");
  EXPECT_EQ(outcome.step, 11);
  append(resumed(10));
  outcome = read_outcome(path_);
  EXPECT_EQ(outcome.state, RunOutcome::State::kRunning);
  EXPECT_TRUE(outcome.reason.empty());
}

TEST_F(Events, DamagedFilesNeverCrash) {
  const std::string text = kStart + step(10) + eval(10, 5) + resumed(5) + eval(20, 4);
  Rng rng(5);
  for (int i = 0; i < 1000; ++i) {
    std::string damaged = text.substr(0, rng.below(text.size() + 1));
    for (uint64_t flips = rng.below(5); flips > 0 && !damaged.empty(); --flips)
      damaged[rng.below(damaged.size())] ^= static_cast<char>(1 << rng.below(8));
    std::ofstream(path_, std::ios::trunc | std::ios::binary) << damaged;
    const RunOutcome outcome = read_outcome(path_);
    EXPECT_LE(outcome.curve.size(), 2u);
    EXPECT_GE(outcome.step, 0);
  }
  append(R"({"t":"x","type":"eval","step":-3,"loss":null,"bits_per_byte":"?","tokens":[]})"
         "\n"
         R"({"type":"start","resumed_step":1e300,"program":3})"
         "\n");
  EXPECT_GE(read_outcome(path_).step, 0);
}

}  // namespace
}  // namespace flywheel::protocol
