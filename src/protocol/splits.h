// Splits of a corpus: runs are trained on one and judged on the others.
#pragma once

#include <span>

#include "protocol/names.h"

namespace flywheel::protocol {

enum class Split { kTrain, kSearch, kAudit, kLocked };
inline constexpr Named<Split> kSplitNames[] = {
    {Split::kTrain, "train"}, {Split::kSearch, "search"}, {Split::kAudit, "audit"}, {Split::kLocked, "locked"}};
constexpr std::span<const Named<Split>> names(Split) {
  return kSplitNames;
}

}  // namespace flywheel::protocol
