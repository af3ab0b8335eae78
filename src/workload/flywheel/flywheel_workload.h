// Our own engine as a workload: a configuration is a recipe, a run is `flywheel train`, evaluation and samples come
// from processes of this same program. The only lab file that knows recipes, with what lies beside it.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "protocol/step_costs.h"
#include "recipe/run_spec.h"
#include "workload/workload.h"

namespace flywheel::workload {

struct FlywheelOptions {
  Path corpus;  // folder with manifest.json and a token file per split
  // Of a model of this width, settled before its spec is written.
  std::function<recipe::Precision(int width)> precision = [](int) { return recipe::Precision::kFloat32; };
  // Peak memory of a run, from the engine, which the lab may not include.
  std::function<uint64_t(const recipe::RunSpec&)> predict_memory_bytes = [](const recipe::RunSpec&) { return 0; };
  // Likewise the hash of the list of segments that an evaluation of so many tokens scores.
  std::function<std::string(protocol::Split, int64_t tokens)> segments = [](protocol::Split, int64_t) { return ""; };
  // Likewise the loss on a split of a model without context; empty: not known.
  std::function<std::optional<double>(protocol::Split)> context_free_loss = [](protocol::Split) {
    return std::optional<double>();
  };
  // What a step costs beside the model's FLOPs, likewise. The default counts nothing.
  std::function<protocol::StepCosts(const recipe::Recipe&, const recipe::Size&)> step_costs =
      [](const recipe::Recipe&, const recipe::Size&) { return protocol::StepCosts{}; };
};

// Immutable but for the processes it starts.
class FlywheelWorkload : public Workload {
 public:
  explicit FlywheelWorkload(FlywheelOptions options) : options_(std::move(options)) {}

  std::string_view name() const override { return "flywheel"; }

  ConfigurationPtr changed(const Configuration& base, const std::vector<std::string>& patches) const override;
  ConfigurationPtr with_learning_rates(const Configuration& base, double factor) const override;
  double learning_rate(const Configuration& configuration) const override;
  std::vector<std::string> patches(const Configuration& from, const Configuration& to) const override;
  ConfigurationPtr standard() const override;
  std::unique_ptr<ConfigurationSpace> space(ConfigurationPtr base,
                                            const std::vector<std::string>& extra) const override;
  Json to_json(const Configuration& configuration) const override;
  ConfigurationPtr from_json(const Json& json, const std::string& where) const override;
  std::string to_file(const Configuration& configuration) const override;

  std::vector<SizedRun> isoflop_runs(const Configuration& configuration, double flops, double centre, int count,
                                     double max_tokens) const override;
  SizedRun resized(const Configuration& configuration, const SizedRun& run, double flops) const override;
  double prior_parameters(const Configuration& configuration, double flops) const override;
  double prior_tokens(const Configuration& configuration, double flops) const override;
  SizedRun prior_size(const Configuration& configuration, double flops) const override;
  double evaluation_flops_per_token(const Configuration& configuration, const SizedRun& run) const override;
  bool can_branch(const Configuration& configuration) const override;
  std::optional<SizedRun> branched(const Configuration& configuration, const SizedRun& run,
                                   const SizedRun& trunk) const override;

  RunPlan plan(const Configuration& configuration, const SizedRun& run, const RunRequest& request) const override;
  RunPlan read_plan(const std::string& spec, const std::string& where) const override;
  std::vector<std::string> command(const Path& run_directory) const override;
  std::vector<protocol::Split> splits() const override;
  std::string segments(protocol::Split split, int64_t tokens) const override {
    return options_.segments(split, tokens);
  }
  std::optional<double> context_free_loss(protocol::Split split) const override {
    return options_.context_free_loss(split);
  }
  // FLOPs of evaluating the run of this directory.
  double evaluation_flops(const Path& run_directory, int64_t tokens) const;
  Evaluation evaluate(const Path& run_directory, protocol::Split split, int64_t tokens) override;
  std::string sample(const Path& run_directory, int tokens) override;

 private:
  protocol::Resources needs(const recipe::RunSpec& spec) const;
  protocol::StepCosts step_costs(const std::string& identity, const recipe::Recipe& recipe,
                                 const recipe::Size& size) const;
  SizedRun with_costs(const Configuration& configuration, SizedRun run) const;

  FlywheelOptions options_;
  // By recipe, model and batch: plans of ladders ask for the same ones again and again.
  mutable std::mutex costs_mutex_;
  mutable std::map<std::string, protocol::StepCosts> costs_;
};

}  // namespace flywheel::workload
