// States of runs and attempts, and why they fail, as ledgers and events name them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "protocol/names.h"

namespace flywheel::protocol {

enum class RunState { kPlanned, kRunning, kDone, kFailed, kStopped };
inline constexpr Named<RunState> kRunStateNames[] = {{RunState::kPlanned, "planned"},
                                                     {RunState::kRunning, "running"},
                                                     {RunState::kDone, "done"},
                                                     {RunState::kFailed, "failed"},
                                                     {RunState::kStopped, "stopped"}};
constexpr std::span<const Named<RunState>> names(RunState) {
  return kRunStateNames;
}
constexpr bool operator==(RunState state, std::string_view text) {
  return name(state) == text;
}

// How an attempt ended that may be repeated.
enum class AttemptState { kFailed, kStopped, kLost };
inline constexpr Named<AttemptState> kAttemptStateNames[] = {
    {AttemptState::kFailed, "failed"}, {AttemptState::kStopped, "stopped"}, {AttemptState::kLost, "lost"}};
constexpr std::span<const Named<AttemptState>> names(AttemptState) {
  return kAttemptStateNames;
}

// The first word of a reason: "diverged: loss is nan (step 12)".
enum class FailureKind { kDiverged, kMemory, kDisk, kInput, kCrash, kStalled, kLost };
inline constexpr Named<FailureKind> kFailureKindNames[] = {
    {FailureKind::kDiverged, "diverged"}, {FailureKind::kMemory, "memory"}, {FailureKind::kDisk, "disk"},
    {FailureKind::kInput, "input"},       {FailureKind::kCrash, "crash"},   {FailureKind::kStalled, "stalled"},
    {FailureKind::kLost, "lost"}};
constexpr std::span<const Named<FailureKind>> names(FailureKind) {
  return kFailureKindNames;
}
// The same spec would fail again in the same way.
constexpr bool would_fail_again(FailureKind kind) {
  return kind == FailureKind::kDiverged || kind == FailureKind::kMemory || kind == FailureKind::kInput;
}
// For want of memory or disk: again later, or on another machine, the same spec may succeed.
constexpr bool is_the_machines(FailureKind kind) {
  return kind == FailureKind::kMemory || kind == FailureKind::kDisk;
}
// The kind that a reason begins with, followed by its end, a colon or a blank; empty: it begins with another word.
std::optional<FailureKind> failure_kind(std::string_view reason);
// Whether a run failed for what the recipe does, wherever it is run again; all else is the machine's.
bool is_the_recipes_fault(std::string_view reason);
// "kind: detail"
std::string failure_reason(FailureKind kind, std::string_view detail);

}  // namespace flywheel::protocol
