#include "engine/train/run.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <numbers>
#include <optional>

#include "base/format.h"
#include "base/host/machine_limits.h"
#include "base/json.h"
#include "base/stop_signals.h"
#include "engine/data/segments.h"
#include "engine/kernels/kernels.h"
#include "engine/train/checkpoint.h"
#include "engine/train/checkpoint_interval.h"
#include "engine/train/costs.h"
#include "engine/train/divergence.h"
#include "engine/train/event_writer.h"
#include "engine/train/memory.h"
#include "engine/train/precision.h"
#include "engine/train/run_directory.h"
#include "engine/train/schedule.h"
#include "engine/train/trainer.h"
#include "engine/train/trunk.h"
#include "protocol/run_events.h"

namespace flywheel::train {
namespace {

uint64_t peak_memory_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

// Steps between "step" events.
int64_t log_interval(const recipe::RunSpec& spec) {
  return std::max<int64_t>(1, std::llround(spec.log_every_fraction * static_cast<double>(spec.size.steps)));
}

std::optional<OrderedJson> finished_record(const Path& events_path) {
  std::optional<OrderedJson> done;
  for (const protocol::RunEvent& event : protocol::EventTail(events_path).poll()) {
    if (event.type == "start") done.reset();
    if (event.type == "done") done = OrderedJson(event.fields);
  }
  return done;
}

// Of a checkpoint: a weight and about two moments.
constexpr double kBytesPerParameter = 12;

// Of a run's processes so far, those that were lost: they said neither that they ended nor why they stopped.
int64_t lost_processes(const Path& events_path) {
  int64_t lost = 0;
  bool running = false;
  for (const protocol::RunEvent& event : protocol::EventTail(events_path).poll()) {
    if (event.type == "start") {
      lost += running ? 1 : 0;
      running = true;
    } else if (event.type == "done" || event.type == "failed" || event.type == "stopped") {
      running = false;
    }
  }
  return lost + (running ? 1 : 0);
}

// Token pages are given back after about so many windows.
constexpr double kWindowsKept = 16;

// Bytes of a split's token file that reading `sequences` windows of it brings into memory.
uint64_t touched_bytes(const data::Corpus& corpus, data::Split split, double sequences) {
  constexpr double kReadAroundBytes = 256 << 10;  // about what the kernel maps around a page that is asked for
  const double file = static_cast<double>(corpus.tokens(split).size_bytes());
  return static_cast<uint64_t>(std::min(file, sequences * kReadAroundBytes));
}

// What a run reads, checked before anything is written.
struct Inputs {
  data::Corpus corpus;
  data::BatchSampler batches;
  data::EvalSample sample;
  tensor::Dtype dtype;
  uint64_t own_bytes;     // memory that the process needs
  uint64_t corpus_bytes;  // pages of token files: they count as used, but the system takes them back when it needs to
  uint64_t available_bytes;
};

Inputs check_inputs(const recipe::RunSpec& spec, uint64_t available_bytes) {
  data::Corpus corpus = data::Corpus::open(spec.corpus);
  if (spec.size.vocabulary < data::kVocabulary) {
    throw_bad_input("spec: field \"size.vocabulary\": expected at least {} for a corpus of bytes, found {}",
                    data::kVocabulary, spec.size.vocabulary);
  }
  const data::Split eval_split = protocol::parse_name<data::Split>(spec.eval_split, "spec", "eval.split");
  const data::BatchSampler batches(corpus.tokens(data::Split::kTrain), spec.size.context, spec.size.batch_sequences,
                                   spec.data_seed);
  data::EvalSample sample = data::eval_sample(corpus, eval_split, spec.eval_tokens, spec.size.context);
  if (!spec.eval_segments.empty() && spec.eval_segments != sample.segments)
    throw_bad_input(
        "spec: field \"eval.segments\": expected {}, the list of {} tokens of the {} split of {}, found {}: another "
        "corpus or another version of Flywheel; runs that are scored on other text are not compared",
        sample.segments, spec.eval_tokens, spec.eval_split, spec.corpus.string(), spec.eval_segments);
  const tensor::Dtype dtype = choose_dtype(spec.precision, spec.size.width);
  const auto sequences = static_cast<double>(spec.size.new_tokens() / spec.size.context);
  const uint64_t corpus_bytes =
      touched_bytes(corpus, data::Split::kTrain,
                    std::min(sequences, std::max(kWindowsKept, 1.0 * spec.size.batch_sequences))) +
      touched_bytes(corpus, eval_split, static_cast<double>(sample.windows.size()));
  // The plans of a size that does not fit take as long to make as it is large.
  const uint64_t least_bytes = least_memory_bytes(spec.recipe, spec.size);
  const uint64_t own_bytes = least_bytes > available_bytes
                                 ? least_bytes
                                 : predict_memory_bytes(spec.recipe, spec.size, dtype, spec.threads) +
                                       static_cast<uint64_t>(sample.tokens) * sizeof(double);
  return {std::move(corpus), batches, std::move(sample), dtype, own_bytes, corpus_bytes, available_bytes};
}

// A run in progress. Members are in order of construction.
class Run {
 public:
  Run(const RunOptions& options, FileSystem& files, Clock& clock, const RunDirectory& directory, const Inputs& inputs)
      : options_(options),
        spec_(options.spec),
        inputs_(inputs),
        files_(files),
        clock_(clock),
        directory_(directory.path()),
        counts_(count(spec_.recipe, spec_.size)),
        step_costs_(step_costs(spec_.recipe, spec_.size)),
        watch_(spec_.size.vocabulary, recipe::warmup_steps(spec_.recipe.schedule, spec_.size)),
        checkpoint_(find_checkpoint(directory_, [&](const std::string& text) { warn(text); })),
        interval_(spec_.checkpoint_seconds, kBytesPerParameter * static_cast<double>(counts_.parameters),
                  lost_processes(directory_ / protocol::kEventsFile)),
        events_(files, clock, directory_ / protocol::kEventsFile, checkpoint_ ? checkpoint_->progress.seconds : 0) {}

  OrderedJson execute() {
    const int64_t steps = spec_.size.steps;
    const double began = clock_.now_seconds();
    start();
    start_seconds_ = clock_.now_seconds() - began;
    double checkpointed = events_.seconds();
    int64_t wishes_seen = options_.checkpoint_requests ? options_.checkpoint_requests() : 0;
    while (step_ < steps) {
      train_one_step();
      windows_read_ += spec_.size.batch_sequences;
      if (windows_read_ >= kWindowsKept) {
        inputs_.corpus.release_pages();
        windows_read_ = 0;
      }
      if (step_ % recipe::evaluation_interval(spec_) == 0 || step_ == steps) evaluate();
      if (step_ == steps) break;
      if (gives_up()) give_up();
      if (spec_.keep_stable && step_ == recipe::stable_steps(spec_.recipe.schedule, spec_.size)) {
        checkpoint();
        keep_stable_checkpoint(files_, directory_);
        checkpointed = events_.seconds();
      }
      if (const int signal = options_.stop_signal ? options_.stop_signal() : 0; signal != 0) stop(signal);
      const int64_t wished = options_.checkpoint_requests ? options_.checkpoint_requests() : 0;
      if (wished != wishes_seen || events_.seconds() - checkpointed >= interval_.seconds(events_.seconds())) {
        wishes_seen = wished;
        checkpoint();
        checkpointed = events_.seconds();
      }
    }
    return finish();
  }

  // Best effort: with a full disk the event may not fit either.
  void report_failure(const std::string& reason) {
    try {
      events_.write("failed", {{"step", step_}, {"reason", reason}});
    } catch (const Error& e) {
      warn(e.what());
    }
  }

 private:
  void warn(const std::string& text) {
    if (options_.warn) options_.warn(text);
  }

  void start() {
    refuse_other_spec();
    if (!checkpoint_ && !spec_.branch.empty()) {
      checkpoint_ = open_trunk(spec_, trunk_directory());
      checkpoint_->progress.cpu_seconds = 0;  // the trunk's own
    }
    OrderedJson fields{{"program", options_.program},
                       {"precision", precision_name(inputs_.dtype)},
                       {"instructions", kernels::instruction_set()},
                       {"threads", spec_.threads},
                       {"parameters", counts_.parameters},
                       {"matrix_parameters", counts_.matrix_parameters},
                       {"active_matrix_parameters", counts_.active_matrix_parameters},
                       {"flops_per_token", counts_.flops_per_token},
                       {"optimizer_flops_per_step", step_costs_.optimizer_flops},
                       {"steps", spec_.size.steps},
                       {"segments", inputs_.sample.segments},
                       {"predicted_memory_bytes", inputs_.own_bytes + inputs_.corpus_bytes}};
    if (checkpoint_ && checkpoint_->progress.step > 0) {
      const int64_t step = checkpoint_->progress.step;
      fields["resumed_step"] = step;
      fields["tokens"] = tokens_at(step);
      fields["flops"] = tokens_at(step) * counts_.flops_per_token;
    }
    warn_of_other_bits();
    events_.write("start", fields);
    if (inputs_.own_bytes > inputs_.available_bytes)
      throw_failed("memory: this run needs {} and {} are available; take fewer threads or a smaller model",
                   format_bytes(static_cast<double>(inputs_.own_bytes)),
                   format_bytes(static_cast<double>(inputs_.available_bytes)));
    trainer_.emplace(spec_.recipe, spec_.size, inputs_.dtype, spec_.threads, spec_.seed);
    restore();
    logged_step_ = step_;
    logged_seconds_ = events_.seconds();
  }

  // Precision and spec are checked to be the same; sums of another instruction set end in other last bits.
  void warn_of_other_bits() {
    if (!checkpoint_) return;
    std::string before;
    for (const protocol::RunEvent& event : protocol::EventTail(directory_ / protocol::kEventsFile).poll())
      if (event.type == "start") before = event.fields.value("instructions", "");
    if (!before.empty() && before != kernels::instruction_set())
      warn(
          fmt::format("the run began with {} instructions and goes on with {}: its last digits are not those that it "
                      "would have had there",
                      before, kernels::instruction_set()));
  }

  // Where the trunk's checkpoint is, or has been made again.
  Path trunk_directory() {
    std::error_code ignored;
    if (!options_.repeat_trunk || std::filesystem::exists(spec_.branch / protocol::kStableFile, ignored))
      return spec_.branch;
    RunOptions trunk = options_;
    trunk.spec = recipe::load_run_spec(spec_.branch / protocol::kSpecFile);
    trunk.spec.keep_stable = true;
    trunk.directory = directory_ / "trunk";
    run_training(trunk, files_, clock_);
    return trunk.directory;
  }

  void refuse_other_spec() const {
    if (!checkpoint_) return;
    const std::string difference = spec_difference(checkpoint_->spec, spec_);
    if (!difference.empty())
      throw_bad_input("{} is of another run ({}); take another --dir", checkpoint_->path.string(), difference);
  }

  void restore() {
    if (!checkpoint_) return;
    const bool finished = checkpoint_->progress.step == spec_.size.steps;
    const std::span<float> parameters = finished ? trainer_->kept_parameters() : trainer_->parameters();
    const std::span<float> state = trainer_->optimizer_state();
    const std::vector<float> converted =
        trainer_->optimizer_plan().state_of_whole_tables(checkpoint_->optimizer_state, checkpoint_->progress.step);
    if (!converted.empty()) checkpoint_->optimizer_state = converted;
    if (checkpoint_->parameters.size() != parameters.size() ||
        (!finished && checkpoint_->optimizer_state.size() != state.size())) {
      throw_bad_input(
          "{}: {} parameters and {} optimizer values, this program expects {} and {}: use the program that "
          "wrote it, or delete it to start over",
          checkpoint_->path.string(), checkpoint_->parameters.size(), checkpoint_->optimizer_state.size(),
          parameters.size(), state.size());
    }
    std::copy(checkpoint_->parameters.begin(), checkpoint_->parameters.end(), parameters.begin());
    if (!finished) std::copy(checkpoint_->optimizer_state.begin(), checkpoint_->optimizer_state.end(), state.begin());
    if (!finished && !trainer_->holds(checkpoint_->progress.step))
      throw_bad_input("{}: its optimizer's state is damaged; delete it to start over", checkpoint_->path.string());
    watch_.restore(checkpoint_->progress.divergence);
    step_ = checkpoint_->progress.step;
    cpu_seconds_before_ = checkpoint_->progress.cpu_seconds;
    trainer_->resume(step_);
    checkpoint_.reset();
  }

  double tokens_at(int64_t step) const {
    return static_cast<double>(spec_.size.sequences_before(step)) * spec_.size.context;
  }

  void train_one_step() {
    const StepResult result = trainer_->step(inputs_.batches, step_);
    ++step_;
    if (const auto lost = watch_.observe(step_, result.loss, result.gradient_norm))
      throw_failed("diverged: {} (step {})", *lost, step_);
    const int64_t steps = spec_.size.steps;
    if (step_ != 1 && step_ != steps && step_ % log_interval(spec_) != 0) return;
    const double now = events_.seconds();
    const double speed = (tokens_at(step_) - tokens_at(logged_step_)) / std::max(1e-9, now - logged_seconds_);
    logged_step_ = step_;
    logged_seconds_ = now;
    events_.write("step", {{"step", step_},
                           {"tokens", tokens_at(step_)},
                           {"loss", result.loss},
                           {"learning_rate", result.learning_rate},
                           {"gradient_norm", result.gradient_norm},
                           {"tokens_per_second", std::round(speed)}});
    if (options_.progress) {
      options_.progress({.step = step_,
                         .steps = steps,
                         .loss = result.loss,
                         .tokens_per_second = speed,
                         .seconds_left = (tokens_at(steps) - tokens_at(step_)) / speed});
    }
  }

  void evaluate() {
    const double began = clock_.now_seconds();
    last_evaluation_ = trainer_->evaluate(inputs_.sample);
    evaluation_seconds_ += clock_.now_seconds() - began;
    evaluated_step_ = step_;
    inputs_.corpus.release_pages();
    OrderedJson fields{{"step", step_},
                       {"tokens", tokens_at(step_)},
                       {"flops", tokens_at(step_) * counts_.flops_per_token},
                       {"split", spec_.eval_split},
                       {"loss", last_evaluation_.loss},
                       {"bits_per_byte", last_evaluation_.bits_per_byte}};
    fields.update(sample_fields(last_evaluation_));
    events_.write("eval", fields);
    // An evaluation is no part of the training speed that is shown.
    logged_step_ = step_;
    logged_seconds_ = events_.seconds();
  }

  void checkpoint() {
    const double began = clock_.now_seconds();
    const Progress progress{
        .step = step_, .seconds = events_.seconds(), .cpu_seconds = cpu_seconds(), .divergence = watch_.state()};
    // A finished run only needs the parameters that it leaves.
    const bool finished = step_ == spec_.size.steps;
    const std::span<const float> state = finished ? std::span<const float>() : trainer_->optimizer_state();
    write_checkpoint(files_, directory_, spec_, progress, trainer_->model().program().parameters(),
                     finished ? trainer_->kept_parameters() : trainer_->parameters(), state);
    events_.write("checkpoint", {{"step", step_}});
    const double cost = clock_.now_seconds() - began;
    checkpoint_seconds_ += cost;
    interval_.observe(cost);
  }

  // Of this process, but for its own beginning and end.
  OrderedJson seconds_by() const {
    const StepSeconds steps = trainer_ ? trainer_->seconds() : StepSeconds{};
    return {{"start", start_seconds_},
            {"sequences", steps.sequences},
            {"optimizer", steps.optimizer},
            {"evaluation", evaluation_seconds_},
            {"checkpoint", checkpoint_seconds_}};
  }

  // Checked only at the first evaluation at or after the fraction; a run resumed from its checkpoint is past it.
  bool gives_up() const {
    if (!spec_.stop_above || evaluated_step_ != step_) return false;
    const int64_t every = recipe::evaluation_interval(spec_);
    const auto far =
        static_cast<int64_t>(std::ceil(spec_.stop_above->fraction * static_cast<double>(spec_.size.steps) - 1e-9));
    if (step_ < far || step_ - every >= std::max<int64_t>(far, 1)) return false;
    return !(last_evaluation_.bits_per_byte <= spec_.stop_above->bits_per_byte);
  }
  [[noreturn]] void give_up() {
    const std::string reason =
        fmt::format("{}: at {:.0f}% of its steps it is at {:.4f} bits per byte, above {:.4f}", protocol::kGaveUp,
                    100.0 * static_cast<double>(step_) / static_cast<double>(spec_.size.steps),
                    last_evaluation_.bits_per_byte, spec_.stop_above->bits_per_byte);
    // The event precedes the checkpoint: a run killed in between has given up and resumes from an older checkpoint.
    events_.write("stopped", {{"step", step_}, {"reason", reason}, {"seconds_by", seconds_by()}});
    checkpoint();
    throw Error(ErrorCode::kStoppedEarly, reason + "; without stop_above the same spec goes on from here");
  }

  [[noreturn]] void stop(int signal) {
    checkpoint();
    throw Error(stop_code(signal),
                fmt::format("stopped after step {} of {} with a checkpoint; run the same command again to continue",
                            step_, spec_.size.steps));
  }

  OrderedJson finish() {
    if (evaluated_step_ != step_) evaluate();
    checkpoint();
    std::error_code ignored;
    std::filesystem::remove(directory_ / protocol::kPreviousCheckpointFile, ignored);
    OrderedJson fields{{"step", step_},
                       {"tokens", tokens_at(step_)},
                       {"flops", tokens_at(step_) * counts_.flops_per_token},
                       {"spent_flops", recipe::new_training_flops(spec_.recipe, spec_.size)},
                       {"optimizer_flops",
                        step_costs_.optimizer_flops * static_cast<double>(spec_.size.steps - spec_.size.trunk_steps)},
                       {"loss", last_evaluation_.loss},
                       {"bits_per_byte", last_evaluation_.bits_per_byte},
                       {"train_seconds", events_.seconds()},
                       {"cpu_seconds", cpu_seconds()},
                       {"peak_memory_bytes", peak_memory_bytes()},
                       {"seconds_by", seconds_by()}};
    fields.update(sample_fields(last_evaluation_));
    write_documents();
    events_.write("done", fields);
    return *finished_record(directory_ / protocol::kEventsFile);
  }

  // Bits and bytes of each document that was scored, from which the lab knows the sampling error of a difference.
  void write_documents() {
    Json rows = Json::array();
    for (const DocumentLoss& document : last_evaluation_.documents) {
      Json row{document.begin, document.bytes, document.nats / std::numbers::ln2};
      if (document.source) row.push_back(document.source->source), row.push_back(document.source->block);
      rows.push_back(row);
    }
    const Json json{{"segments", last_evaluation_.segments}, {"split", spec_.eval_split}, {"documents", rows}};
    files_.write_atomic(directory_ / protocol::kDocumentsFile, json.dump() + "\n");
  }

  double cpu_seconds() const { return cpu_seconds_before_ + process_cpu_seconds(); }

  const RunOptions& options_;
  const recipe::RunSpec& spec_;
  const Inputs& inputs_;
  FileSystem& files_;
  Clock& clock_;
  Path directory_;
  recipe::Counts counts_;
  protocol::StepCosts step_costs_;
  DivergenceWatch watch_;
  std::optional<Checkpoint> checkpoint_;
  CheckpointInterval interval_;
  EventWriter events_;
  std::optional<Trainer> trainer_;
  SampleLoss last_evaluation_;
  int64_t step_ = 0, evaluated_step_ = -1, logged_step_ = 0;
  double windows_read_ = 0;  // since the last release of token pages
  double logged_seconds_ = 0, cpu_seconds_before_ = 0;
  double start_seconds_ = 0, evaluation_seconds_ = 0, checkpoint_seconds_ = 0;  // of this process
};

std::string failure_reason(const std::string& message) {
  for (const char* word : {"diverged:", "memory:", "input:"})
    if (message.starts_with(word)) return message;
  return "disk: " + message;
}

}  // namespace

OrderedJson run_training(const RunOptions& given, FileSystem& files, Clock& clock) {
  RunOptions options = given;
  if (options.spec.precision == recipe::Precision::kAuto)
    options.spec.precision = settled_precision(options.spec, options.directory);
  const uint64_t available_bytes =
      options.available_memory_bytes > 0 ? options.available_memory_bytes : available_memory_bytes();
  const Inputs inputs = check_inputs(options.spec, available_bytes);
  const RunDirectory directory(files, options.directory, options.spec);
  if (const auto done = finished_record(options.directory / protocol::kEventsFile)) return *done;
  Run run(options, files, clock, directory, inputs);
  try {
    return run.execute();
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kFailed) run.report_failure(failure_reason(e.what()));
    throw;
  } catch (const std::bad_alloc&) {
    run.report_failure("memory: the machine refused an allocation");
    throw;
  }
}

}  // namespace flywheel::train
