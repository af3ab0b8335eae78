// A workload is what the lab experiments on, and the one interface through which it asks what it needs to know: which
// fields may change, which sizes a configuration has at given FLOPs, what a run costs and needs, how it is started and
// judged. Our own engine (workload/flywheel) is one; a user's own trainer another. docs/how-to-add-a-workload.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cluster_error.h"
#include "base/file_system.h"
#include "base/json_fwd.h"
#include "base/sampled_text.h"
#include "protocol/resources.h"
#include "protocol/run_work.h"
#include "protocol/splits.h"
#include "workload/space.h"

namespace flywheel::workload {

// The values of a workload's fields. Immutable, so shared freely between threads; only its workload looks inside.
class Configuration {
 public:
  virtual ~Configuration() = default;
  // Hash of the canonical form: equal for configurations that train the same.
  virtual const std::string& identity() const = 0;
};
using ConfigurationPtr = std::shared_ptr<const Configuration>;

// A workload's own description of a model size and a training length; only it looks inside.
class SizeDetails {
 public:
  virtual ~SizeDetails() = default;
};

// One configuration at one model size and training length, without a seed.
struct SizedRun {
  double parameters = 0, tokens = 0, flops = 0;  // N, D, C of the model's whole history
  double total_parameters = 0;                   // all that are trained; N may leave some out
  double new_flops = 0;                          // that the run itself trains: all but a trunk's
  // The optimizer's own work beside `flops` and `new_flops`; 0: not counted.
  double optimizer_flops = 0, new_optimizer_flops = 0;
  double lookup_bytes = 0;    // that look-up tables move in the whole history; 0: no tables, or not counted
  double artifact_bytes = 0;  // of the file of trained weights; 0: not known
  std::string model;          // equal for the same model trained for other lengths
  std::shared_ptr<const SizeDetails> details;
};

// The first evaluation at or after `fraction` of the steps, the last one excepted: if it is above `bits_per_byte`, the
// run gives up with a checkpoint.
struct StopRule {
  double fraction = 0, bits_per_byte = 0;
};

// What is asked of one run, beside its configuration and size.
struct RunRequest {
  std::string id;
  Path directory;  // of the run: paths of its spec begin there, so that a lab can be moved; empty: they are absolute
  uint64_t seed = 1, data_seed = 1;
  int threads = 1;
  protocol::Split split = protocol::Split::kSearch;  // that it is judged on
  double eval_tokens = 65536;                        // of every evaluation
  int evaluations = 1;                               // over the whole run, the last one at its end
  double evaluated_at = 0;                           // of its steps: one look at its curve instead of those; 0: none
  std::optional<StopRule> stop;
  Path trunk;               // directory of its trunk; empty: none
  bool keep_trunk = false;  // leaves what longer runs of the same model and seed may go on from
};

// A planned run: the spec that the trainer reads, and what the run costs and needs.
struct RunPlan {
  std::string spec;           // text of spec.json, opaque to the lab
  std::string segments;       // hash of the list of segments that it is scored on; empty: the trainer's own
  protocol::RunWork work;     // FLOPs by step, of the optimizer and of evaluations
  protocol::Resources needs;  // cores, predicted peak of memory, GPUs
};

// Loss of a trained run on a split.
struct Evaluation {
  double loss = 0, bits_per_byte = 0;
  int64_t tokens = 0;
  std::string segments{};                       // hash of the list of segments
  std::optional<int64_t> bytes{}, documents{};  // scored
  std::optional<ClusterError> sampling{};       // of bits_per_byte, as an estimate for other text
  std::optional<SampledUnits> units{};          // that it is over; empty: documents, as far as is known
  std::optional<double> flops{};                // that it took; empty: not counted
  struct Document {
    int64_t document = 0;  // its name within the list of segments
    double bytes = 0, bits = 0;
    std::optional<int64_t> source{};  // equal for what is drawn together; empty: it is drawn for itself
    bool block = false;               // of a document that was cut
  };
  std::vector<Document> by_document{};  // empty: not known
};

// Calls are const and may come from several threads, but for evaluate() and sample(), which wait for a process of their
// own. Throws Error: kBadInput for what the user gave, kFailed for a process that failed.
class Workload {
 public:
  virtual ~Workload() = default;
  virtual std::string_view name() const = 0;

  // ---- configurations and their fields --------------------------------------------------------------------------
  // `base` with patches ("field=value") on top. Throws kBadInput naming the field where that is no valid configuration.
  virtual ConfigurationPtr changed(const Configuration& base, const std::vector<std::string>& patches) const = 0;
  // All learning rates times `factor`, and the one that messages show.
  virtual ConfigurationPtr with_learning_rates(const Configuration& base, double factor) const = 0;
  virtual double learning_rate(const Configuration& configuration) const = 0;
  // The patches that lead from one configuration to another.
  virtual std::vector<std::string> patches(const Configuration& from, const Configuration& to) const = 0;
  // The configuration that the workload would have a user start from; null where it has none.
  virtual ConfigurationPtr standard() const { return nullptr; }
  // The fields that a search may change around `base`. `extra`: patches that it must be able to express.
  virtual std::unique_ptr<ConfigurationSpace> space(ConfigurationPtr base,
                                                    const std::vector<std::string>& extra) const = 0;
  // As a ledger's record holds it, and back; and as the file that a user reads and gives.
  virtual Json to_json(const Configuration& configuration) const = 0;
  virtual ConfigurationPtr from_json(const Json& json, const std::string& where) const = 0;
  virtual std::string to_file(const Configuration& configuration) const = 0;

  // ---- sizes ----------------------------------------------------------------------------------------------------
  // Runs of `flops` each, `count` neighbouring sizes around `centre` (parameters) of one grid for all rungs, so that
  // sizes recur from rung to rung; a single one is the nearest to the centre, on the grid or not. None trains on more
  // than max_tokens (0: any). Sorted by size, all different. Throws kFailed where no size fits.
  virtual std::vector<SizedRun> isoflop_runs(const Configuration& configuration, double flops, double centre, int count,
                                             double max_tokens) const = 0;
  // The model of `run`, trained for `flops` from its first step.
  virtual SizedRun resized(const Configuration& configuration, const SizedRun& run, double flops) const = 0;
  // The prior before any measurement: parameters and tokens of the compute-optimal size at `flops`.
  virtual double prior_parameters(const Configuration& configuration, double flops) const = 0;
  virtual double prior_tokens(const Configuration& configuration, double flops) const = 0;
  virtual SizedRun prior_size(const Configuration& configuration, double flops) const = 0;
  // FLOPs of judging a model of this size, for each token that is scored.
  virtual double evaluation_flops_per_token(const Configuration& configuration, const SizedRun& run) const = 0;
  // Whether runs can branch from the stable phase of shorter ones; and `run` branched from `trunk`, empty when it
  // cannot.
  virtual bool can_branch(const Configuration& configuration) const = 0;
  virtual std::optional<SizedRun> branched(const Configuration& configuration, const SizedRun& run,
                                           const SizedRun& trunk) const = 0;

  // ---- runs -----------------------------------------------------------------------------------------------------
  virtual RunPlan plan(const Configuration& configuration, const SizedRun& run, const RunRequest& request) const = 0;
  // The plan whose spec this is, read back after a restart. `where` names the file in messages.
  virtual RunPlan read_plan(const std::string& spec, const std::string& where) const = 0;
  // The program and arguments that train the spec in this directory; started there again they resume it.
  virtual std::vector<std::string> command(const Path& run_directory) const = 0;
  // The splits that runs can be judged on: kSearch at least. Without kAudit claims are made on kSearch, without kLocked
  // there is no last look.
  virtual std::vector<protocol::Split> splits() const = 0;
  // Hash of the list of segments that evaluations of so many tokens score, whatever the configuration: runs with
  // different ones are never compared. Empty: the trainer has one list of its own.
  virtual std::string segments(protocol::Split, int64_t /*tokens*/) const { return ""; }
  // Bits per byte on a split of predicting every token by how often it occurs in the training text: what a run reaches
  // that has learnt nothing of context. Empty: not known.
  virtual std::optional<double> context_free_loss(protocol::Split) const { return std::nullopt; }
  virtual Evaluation evaluate(const Path& run_directory, protocol::Split split, int64_t tokens) = 0;
  virtual std::string sample(const Path& run_directory, int tokens) = 0;
};

bool can_be_judged_on(const Workload& workload, protocol::Split split);
// The split for claims: kAudit, or kSearch where there is none.
protocol::Split audit_split(const Workload& workload);
// The model of `run` trained for as long as model and optimizer together take `flops`, to a step.
SizedRun at_cost(const Workload& workload, const Configuration& configuration, SizedRun run, double flops);
// FLOPs of a run's evaluations.
double evaluations_flops(const Workload& workload, const Configuration& configuration, const SizedRun& run,
                         double eval_tokens);
// The model's training and evaluation FLOPs of a run, to which machines' speeds refer.
double cost_flops(const Workload& workload, const Configuration& configuration, const SizedRun& run,
                  double eval_tokens);
// What a budget in FLOPs is charged for a run: those of model, optimizer and evaluations.
double budget_flops(const Workload& workload, const Configuration& configuration, const SizedRun& run,
                    double eval_tokens);
// Evaluations of a run, of `eval_tokens` each: as many as cost about 5% of it, at least the last one, at most 20.
int evaluations(const Workload& workload, const Configuration& configuration, const SizedRun& run, double eval_tokens);

}  // namespace flywheel::workload
