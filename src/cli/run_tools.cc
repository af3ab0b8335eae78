#include "cli/run_tools.h"

#include "base/error.h"
#include "base/json.h"
#include "base/subprocess.h"
#include "engine/kernels/kernels.h"
#include "engine/train/memory.h"

namespace flywheel::cli {
namespace {

std::string output_of(const std::vector<std::string>& arguments) {
  const CommandResult result = run_command(arguments);
  if (result.exit_code != 0)
    throw_failed("`{} {}` ended with exit status {}: {}", arguments[0], arguments[1], result.exit_code,
                 result.standard_error);
  return result.standard_output;
}

}  // namespace

campaign::Evaluation ProcessTools::evaluate(const Path& run_directory, const std::string& split, int64_t tokens) {
  const std::string text = output_of({self_executable().string(), "evaluate", "--dir", run_directory.string(),
                                      "--split", split, "--tokens", std::to_string(tokens), "--json"});
  const Json json = parse_json(text, "output of evaluate");
  return {json_field<double>(json, "loss", "evaluate"), json_field<double>(json, "bits_per_byte", "evaluate"),
          json_field<int64_t>(json, "tokens", "evaluate")};
}

std::string ProcessTools::sample(const Path& run_directory, int tokens) {
  return output_of({self_executable().string(), "sample", "--dir", run_directory.string(), "--tokens",
                    std::to_string(tokens), "--seed", "1"});
}

uint64_t ProcessTools::predict_memory_bytes(const recipe::RunSpec& spec) {
  const bool bf16 = spec.precision == recipe::Precision::kBfloat16 ||
                    (spec.precision == recipe::Precision::kAuto && kernels::has_bfloat16_dot());
  return train::predict_memory_bytes(spec.recipe, spec.size, bf16 ? tensor::Dtype::kBfloat16 : tensor::Dtype::kFloat32,
                                     spec.threads);
}

}  // namespace flywheel::cli
