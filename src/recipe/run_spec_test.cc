#include "recipe/run_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"

namespace flywheel::recipe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

RunSpec example() {
  RunSpec spec;
  spec.id = "r2-n1-s3";
  spec.recipe = apply_patch(Recipe(), "model.kv_group=2");
  spec.size = size_for_flops(spec.recipe, 1e12);
  spec.corpus = "/lab/corpus";
  spec.seed = UINT64_MAX;
  spec.data_seed = 7;
  spec.threads = 2;
  spec.precision = Precision::kBfloat16;
  spec.eval_split = "audit";
  spec.eval_tokens = 1000;
  spec.eval_segments = "0123456789abcdef";
  spec.eval_every_fraction = 0.5;
  spec.checkpoint_seconds = 5;
  spec.log_every_fraction = 0.1;
  return spec;
}

std::string spec_refusal(const Json& json) {
  try {
    run_spec_from_json(json, "spec.json");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    return e.what();
  }
  ADD_FAILURE() << "accepted " << json.dump();
  return "";
}

TEST(RunSpec, SurvivesTheFile) {
  const Json json = to_json(example());
  EXPECT_EQ(to_json(run_spec_from_json(parse_json(json.dump(2), "s"), "s")), json);
}

RunSpec branched_example() {
  RunSpec spec = example();
  spec.branch = "/lab/runs/r1-n1-s3";
  spec.size.trunk_steps = spec.size.steps / 3;
  spec.size.trunk_sequences = 2 * spec.size.trunk_steps;
  spec.keep_stable = true;
  return spec;
}

TEST(RunSpec, ABranchSurvivesTheFile) {
  const Json json = to_json(branched_example());
  EXPECT_EQ(json.at("branch"), "/lab/runs/r1-n1-s3");
  EXPECT_EQ(to_json(run_spec_from_json(parse_json(json.dump(2), "s"), "s")), json);
}

TEST(RunSpec, ARuleForGivingUpSurvivesTheFile) {
  RunSpec spec = example();
  spec.stop_above = StopAbove{0.5, 2.25};
  const Json json = to_json(spec);
  EXPECT_EQ(to_json(run_spec_from_json(parse_json(json.dump(2), "s"), "s")), json);
  Json bad = json;
  bad["stop_above"]["fraction"] = 2;
  EXPECT_THAT(spec_refusal(bad), HasSubstr("stop_above.fraction"));
  bad["stop_above"].erase("fraction");
  EXPECT_THAT(spec_refusal(bad), HasSubstr("stop_above.fraction"));
}

TEST(RunSpec, ABranchThatCannotBeIsRefused) {
  Json json = to_json(branched_example());
  json.erase("branch");
  EXPECT_THAT(spec_refusal(json), HasSubstr("branch"));
  json = to_json(branched_example());
  json["size"].erase("trunk_steps");
  json["size"].erase("trunk_sequences");
  EXPECT_THAT(spec_refusal(json), HasSubstr("branch"));
  json = to_json(branched_example());
  json["size"]["trunk_steps"] = json["size"]["steps"].get<int64_t>() - 1;
  EXPECT_THAT(spec_refusal(json), HasSubstr("size.trunk_steps"));
  json = to_json(branched_example());
  json["recipe"]["schedule"]["kind"] = "cosine";
  EXPECT_THAT(spec_refusal(json), HasSubstr("schedule.kind"));
}

TEST(RunSpec, OptionalFieldsHaveDefaults) {
  Json json = to_json(example());
  for (const char* field : {"threads", "precision", "eval", "checkpoint_seconds", "log_every_fraction"})
    json.erase(field);
  const RunSpec spec = run_spec_from_json(json, "s");
  EXPECT_EQ(spec.threads, 1);
  EXPECT_EQ(spec.precision, Precision::kAuto);
  EXPECT_EQ(spec.eval_split, "search");
  EXPECT_EQ(spec.eval_tokens, 65536);
  EXPECT_EQ(spec.eval_segments, "");
}

TEST(RunSpec, SizesThatNoRunHasAreRefused) {
  Json json = to_json(example());
  json["size"]["layers"] = 65536;
  EXPECT_THAT(spec_refusal(json), HasSubstr("size.layers"));
  json = to_json(example());
  json["threads"] = 1024;
  EXPECT_THAT(spec_refusal(json), HasSubstr("threads"));
}

TEST(RunSpec, RefusalsNameFileAndField) {
  const Json good = to_json(example());
  for (const auto& [field, value] : good.items()) {
    for (const Json& bad : {Json(-1), Json(1.5e300), Json(Json::array())}) {
      Json json = good;
      json[field] = bad;
      EXPECT_THAT(spec_refusal(json), AllOf(HasSubstr("spec.json"), HasSubstr(field)));
    }
  }
  for (const char* field : {"schema", "id", "recipe", "size", "corpus", "seed", "data_seed"}) {
    Json json = good;
    json.erase(field);
    EXPECT_THAT(spec_refusal(json), HasSubstr(field));
  }
  Json json = good;
  json["schema"] = 2;
  EXPECT_THAT(spec_refusal(json), HasSubstr("newer version"));
  json = good;
  json["sede"] = 2;
  EXPECT_THAT(spec_refusal(json), HasSubstr("did you mean \"seed\""));
  json = good;
  json["eval"]["split"] = "test";
  EXPECT_THAT(spec_refusal(json), HasSubstr("eval.split"));
  json = good;
  json["size"]["heads"] = 3;
  EXPECT_THAT(spec_refusal(json), HasSubstr("size."));
  json = good;
  json["recipe"]["model"]["head_dim"] = 32;
  EXPECT_THAT(spec_refusal(json), HasSubstr("size.heads"));
}

TEST(RunSpec, EveryCutAndManyFlipsAreReadOrRefused) {
  const std::string text = to_json(example()).dump();
  auto attempt = [](const std::string& damaged) {
    try {
      run_spec_from_json(parse_json(damaged, "spec.json"), "spec.json");
      return true;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput);
      return false;
    }
  };
  for (size_t length = 0; length < text.size(); ++length) EXPECT_FALSE(attempt(text.substr(0, length))) << length;
  Rng rng(11);
  int refused = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string damaged = text;
    for (uint64_t flips = 1 + rng.below(4); flips > 0; --flips)
      damaged[rng.below(text.size())] ^= static_cast<char>(1 << rng.below(8));
    refused += !attempt(damaged);
  }
  EXPECT_GT(refused, 900);  // flips inside numbers stay valid specs
}

TEST(RunSpec, MissingFileIsRefused) {
  try {
    load_run_spec("/nonexistent/spec.json");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_THAT(e.what(), HasSubstr("/nonexistent/spec.json"));
  }
}

}  // namespace
}  // namespace flywheel::recipe
