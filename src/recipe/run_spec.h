// spec.json: what a run process is asked to do. Written by the lab (or by hand), read by `flywheel train` or by the
// user's own trainer. Lab and engine share nothing else but this folder's files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::recipe {

enum class Precision { kAuto, kFloat32, kBfloat16 };
const char* precision_name(Precision precision);

// File format (all fields; * may be left out):
// {"schema":1,"id":"r2-n1-s3","recipe":{..},"size":{..},"corpus":"../../corpus","seed":3,"data_seed":3,
//  *"threads":1,*"precision":"auto|fp32|bf16",
//  *"eval":{"split":"search","tokens":65536,"every_fraction":0.1,*"segments":"16 hex digits"},
//  *"checkpoint_seconds":30,
//  *"log_every_fraction":0.01,*"branch":"../ID",*"keep_stable":true,
//  *"stop_above":{"fraction":0.5,"bits_per_byte":2.4}}

// Paths as base/path_text.h writes them; relative ones begin at the folder of the file, and load_run_spec() makes them
// absolute.

// The first evaluation at or after `fraction` of the steps, the last one excepted: if it is above `bits_per_byte`, the
// run ends there with a checkpoint and a "stopped" event. The same spec without this rule resumes it.
struct StopAbove {
  double fraction = 0, bits_per_byte = 0;
};

struct RunSpec {
  std::string id;
  Recipe recipe;
  Size size;
  Path corpus;             // folder made by data/: manifest.json and one token file per split
  uint64_t seed = 1;       // initialisation
  uint64_t data_seed = 1;  // order of the data: paired runs share it
  int threads = 1;
  Precision precision = Precision::kAuto;
  std::string eval_split = "search";
  int64_t eval_tokens = 65536;       // scored: one list of segments of the split, the same for every recipe
  std::string eval_segments;         // hash of that list, of which a run refuses another; empty: any
  double eval_every_fraction = 0.1;  // of the steps; the last step is always evaluated
  double checkpoint_seconds = 30;
  double log_every_fraction = 0.01;  // of the steps, for "step" events
  Path branch;                       // directory of the trunk whose stable.bin it starts from, at size.trunk_steps
  std::optional<StopAbove> stop_above;
  bool keep_stable = false;  // leave a stable.bin where the decay begins, for runs that branch from this one
};

// Steps between evaluations; the last step is evaluated in any case.
int64_t evaluation_interval(const RunSpec& spec);

Json to_json(const RunSpec& spec);
// Throws kBadInput naming file and field.
RunSpec run_spec_from_json(const Json& json, const std::string& where);
RunSpec load_run_spec(const Path& path);

}  // namespace flywheel::recipe
