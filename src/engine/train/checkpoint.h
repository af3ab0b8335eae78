// checkpoint.bin: everything a run needs to go on bit-identically, or, when it is finished, its final parameters.
// Format (little endian; docs/file-formats.md):
//   8 bytes "FLYWCKPT", u32 version, u32 header bytes, header (JSON, padded with spaces so that the data starts on 64
//   bytes), parameters (float32), optimizer state (float32; none when finished), 32 bytes SHA-256 of all before.
// Written atomically; the one before is kept as checkpoint.previous.bin.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "engine/model/model.h"
#include "engine/train/divergence.h"
#include "recipe/run_spec.h"

namespace flywheel::train {

inline constexpr uint32_t kCheckpointVersion = 1;

// Where a run stands. The data position and all random draws are functions of the spec's seeds and the step.
struct Progress {
  int64_t step = 0;        // steps done
  double seconds = 0;      // of training so far, over all its processes
  double cpu_seconds = 0;  // the same
  DivergenceState divergence;
};

// Throws kFailed (a full disk, say); then both files are as before.
void write_checkpoint(FileSystem& files, const Path& directory, const recipe::RunSpec& spec, const Progress& progress,
                      std::span<const model::ParameterInfo> parameters, std::span<const float> values,
                      std::span<const float> optimizer_state);

// The current checkpoint becomes stable.bin as well, for runs that branch from here.
void keep_stable_checkpoint(FileSystem& files, const Path& directory);

// Where a parameter lies in the parameters' span.
struct TensorEntry {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset = 0;  // in elements
};

// A checkpoint file, mapped and verified.
struct Checkpoint {
  Path path;
  recipe::RunSpec spec;
  Progress progress;
  std::vector<TensorEntry> tensors;
  std::span<const float> parameters, optimizer_state;  // into `file`
  MappedFile file;
};

// Throws kFailed naming the file when it is missing, cut short or changed; kBadInput when a newer version wrote it.
Checkpoint open_checkpoint(const Path& path);

// The newest good checkpoint of a run directory; a damaged one is reported to `warn` and the previous one taken.
std::optional<Checkpoint> find_checkpoint(const Path& directory, const std::function<void(const std::string&)>& warn);

// The first three fields in which two specs differ, each as "recipe.optimizer.learning_rate: 0.02 -> 0.01"; empty where
// they train the same.
std::string spec_difference(const recipe::RunSpec& from, const recipe::RunSpec& to);

}  // namespace flywheel::train
