// The files of a run directory by name.
#pragma once

namespace flywheel::protocol {

inline constexpr const char* kSpecFile = "spec.json";
inline constexpr const char* kEventsFile = "events.jsonl";
inline constexpr const char* kCheckpointFile = "checkpoint.bin";
inline constexpr const char* kPreviousCheckpointFile = "checkpoint.previous.bin";
inline constexpr const char* kStableFile = "stable.bin";     // the checkpoint where the decay begins
inline constexpr const char* kProcessFile = "process.json";  // identity of the process that works on it
inline constexpr const char* kLockFile = "lock";
inline constexpr const char* kDocumentsFile = "documents.json";  // of its last evaluation, by document
inline constexpr const char* kOutputFile = "output.txt";         // stdout and stderr of the child

}  // namespace flywheel::protocol
