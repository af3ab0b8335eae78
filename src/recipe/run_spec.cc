#include "recipe/run_spec.h"

#include "base/json.h"
#include "base/json_reader.h"
#include "base/path_text.h"
#include "recipe/phases.h"

namespace flywheel::recipe {

const char* precision_name(Precision precision) {
  switch (precision) {
    case Precision::kFloat32:
      return "fp32";
    case Precision::kBfloat16:
      return "bf16";
    case Precision::kAuto:
      break;
  }
  return "auto";
}

namespace {

void check_branch(const RunSpec& spec, const std::string& where) {
  if (spec.branch.empty() != (spec.size.trunk_steps == 0))
    throw_bad_input(
        "{}: field \"branch\": a run branches with all of branch, size.trunk_steps and size.trunk_sequences", where);
  const bool needed = spec.keep_stable || !spec.branch.empty();
  if (needed && !can_branch(spec.recipe))
    throw_bad_input("{}: field \"{}\": expected a recipe whose runs can branch (schedule.kind wsd with a decay)", where,
                    spec.branch.empty() ? "keep_stable" : "branch");
  if (spec.size.trunk_steps > stable_steps(spec.recipe.schedule, spec.size))
    throw_bad_input("{}: field \"size.trunk_steps\": expected at most the {} steps before the decay begins, found {}",
                    where, stable_steps(spec.recipe.schedule, spec.size), spec.size.trunk_steps);
}

}  // namespace

int64_t evaluation_interval(const RunSpec& spec) {
  if (spec.eval_every_fraction <= 0) return spec.size.steps;
  return std::max<int64_t>(1, std::llround(spec.eval_every_fraction * static_cast<double>(spec.size.steps)));
}

Json to_json(const RunSpec& spec) {
  Json json{{"schema", 1},
            {"id", spec.id},
            {"recipe", to_json(spec.recipe)},
            {"size", to_json(spec.size)},
            {"corpus", path_text(spec.corpus)},
            {"seed", spec.seed},
            {"data_seed", spec.data_seed},
            {"threads", spec.threads},
            {"precision", precision_name(spec.precision)},
            {"eval",
             {{"split", spec.eval_split}, {"tokens", spec.eval_tokens}, {"every_fraction", spec.eval_every_fraction}}},
            {"checkpoint_seconds", spec.checkpoint_seconds},
            {"log_every_fraction", spec.log_every_fraction}};
  if (!spec.eval_segments.empty()) json["eval"]["segments"] = spec.eval_segments;
  if (!spec.branch.empty()) json["branch"] = path_text(spec.branch);
  if (spec.keep_stable) json["keep_stable"] = true;
  if (spec.stop_above)
    json["stop_above"] = {{"fraction", spec.stop_above->fraction}, {"bits_per_byte", spec.stop_above->bits_per_byte}};
  return json;
}

RunSpec run_spec_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  if (const int64_t schema = reader.integer("schema", 1, INT32_MAX); schema != 1)
    throw_bad_input("{}: field \"schema\": expected 1, found {}: written by a newer version of Flywheel", where,
                    schema);
  RunSpec spec;
  spec.id = reader.text("id");
  if (spec.id.empty()) reader.fail("id", "a name");
  spec.recipe = recipe_from_json(reader.object("recipe"), where + ": recipe");
  spec.size = size_from_json(reader.object("size"), where);
  validate(spec.recipe, spec.size, where);
  spec.corpus = path_of_text(reader.text("corpus"));
  if (spec.corpus.empty() || spec.corpus.string().find('\0') != std::string::npos)
    reader.fail("corpus", "the path of a corpus folder");
  spec.seed = reader.unsigned_integer("seed");
  spec.data_seed = reader.unsigned_integer("data_seed");
  if (reader.has("threads")) spec.threads = static_cast<int>(reader.integer("threads", 1, 256));
  if (reader.has("precision")) {
    const std::string name = reader.text("precision");
    if (name == "fp32") {
      spec.precision = Precision::kFloat32;
    } else if (name == "bf16") {
      spec.precision = Precision::kBfloat16;
    } else if (name != "auto") {
      reader.fail("precision", "one of auto, fp32, bf16");
    }
  }
  if (reader.has("eval")) {
    JsonReader eval(reader.object("eval"), where, "eval.");
    if (eval.has("split")) {
      spec.eval_split = eval.text("split");
      const std::string& s = spec.eval_split;
      if (s != "train" && s != "search" && s != "audit" && s != "locked")
        eval.fail("split", "one of train, search, audit, locked");
    }
    if (eval.has("tokens")) spec.eval_tokens = eval.integer("tokens", 1, INT64_MAX / 4);
    if (eval.has("every_fraction")) spec.eval_every_fraction = eval.real("every_fraction", 0, 1);
    if (eval.has("segments")) spec.eval_segments = eval.text("segments");
    eval.refuse_unknown();
  }
  if (reader.has("checkpoint_seconds")) spec.checkpoint_seconds = reader.real("checkpoint_seconds", 0, 1e9);
  if (reader.has("log_every_fraction")) spec.log_every_fraction = reader.real("log_every_fraction", 0, 1);
  if (reader.has("branch")) spec.branch = path_of_text(reader.text("branch"));
  if (reader.has("keep_stable")) spec.keep_stable = reader.boolean("keep_stable");
  if (reader.has("stop_above")) {
    JsonReader rule(reader.object("stop_above"), where, "stop_above.");
    spec.stop_above = StopAbove{rule.real("fraction", 0, 1), rule.real("bits_per_byte", 0, 1e9)};
    rule.refuse_unknown();
  }
  reader.refuse_unknown();
  check_branch(spec, where);
  return spec;
}

namespace {

// Where a path of a spec leads. A relative one begins at the spec's folder, so that a lab can be moved; by hand it may
// be meant from the working directory. An absolute one of an older lab that has moved since is found `beside`.
Path placed(const Path& path, const Path& folder, const Path& beside) {
  std::error_code ignored;
  if (path.is_relative()) {
    const Path here = (folder / path).lexically_normal();
    return std::filesystem::exists(here, ignored) || !std::filesystem::exists(path, ignored)
               ? here
               : std::filesystem::absolute(path);
  }
  return !std::filesystem::exists(path, ignored) && std::filesystem::exists(beside, ignored) ? beside : path;
}

}  // namespace

RunSpec load_run_spec(const Path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) throw_bad_input("spec {}: no such file", path.string());
  std::string text;
  try {
    text = real_file_system().read(path);
  } catch (const Error& e) {
    throw Error(ErrorCode::kBadInput, e.what());
  }
  RunSpec spec = run_spec_from_json(parse_json(text, path.string()), path.string());
  const Path folder = std::filesystem::absolute(path).parent_path();
  spec.corpus = placed(spec.corpus, folder, folder.parent_path().parent_path() / spec.corpus.filename());
  if (!spec.branch.empty()) spec.branch = placed(spec.branch, folder, folder.parent_path() / spec.branch.filename());
  return spec;
}

}  // namespace flywheel::recipe
