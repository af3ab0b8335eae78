// flywheel train: one run, in its own process and directory.
#include <fmt/format.h>

#include <memory>

#include "base/clock.h"
#include "base/format.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stop_signals.h"
#include "cli/cli.h"
#include "cli/version.h"
#include "engine/train/run.h"

namespace flywheel::cli {
namespace {

constexpr double kProgressSeconds = 2;

struct TrainOptions {
  std::string spec, directory;
  bool json = false, repeat_trunk = false;
};

int train(const TrainOptions& options) {
  catch_stop_signals();
  train::RunOptions run;
  run.spec = recipe::load_run_spec(options.spec);
  run.directory = options.directory;
  run.program = "flywheel " + program_version();
  run.repeat_trunk = options.repeat_trunk;
  run.stop_signal = stop_signal;
  run.checkpoint_requests = checkpoint_requests;
  run.warn = [](const std::string& text) { log_warning(text); };
  double shown = -kProgressSeconds;
  run.progress = [&shown](const train::RunProgress& p) {
    const double now = real_clock().now_seconds();
    if (p.step != 1 && p.step != p.steps && now - shown < kProgressSeconds) return;
    shown = now;
    log_info("step {}/{}  loss {:.4f}  {} tokens/s  {} left", p.step, p.steps, p.loss,
             format_count(p.tokens_per_second), format_seconds(p.seconds_left));
  };
  const OrderedJson done = train::run_training(run);
  if (options.json) {
    fmt::print("{}\n", json_line(done));
  } else {
    fmt::print("{}: done, {:.4f} bits per byte after {} tokens\n", options.directory, done.value("bits_per_byte", 0.0),
               format_count(done.value("tokens", 0.0)));
  }
  return 0;
}

}  // namespace

Action declare_train(Arguments& arguments) {
  auto options = std::make_shared<TrainOptions>();
  arguments.option("SPEC", options->spec, "spec.json: what to train").required();
  arguments.option("--dir", options->directory, "the run's directory; the same again resumes").required();
  arguments.flag("--repeat-trunk", options->repeat_trunk,
                 "where a branched run's starting checkpoint is gone, train the run that wrote it again first");
  arguments.flag("--json", options->json, "print the done record as one JSON object");
  return [options] { return train(*options); };
}

}  // namespace flywheel::cli
