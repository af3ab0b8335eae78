#include "protocol/states.h"

namespace flywheel::protocol {

std::optional<FailureKind> failure_kind(std::string_view reason) {
  for (const Named<FailureKind>& row : kFailureKindNames) {
    if (!reason.starts_with(row.name)) continue;
    if (reason.size() == row.name.size() || reason[row.name.size()] == ':' || reason[row.name.size()] == ' ')
      return row.value;
  }
  return std::nullopt;
}

bool is_the_recipes_fault(std::string_view reason) {
  const auto kind = failure_kind(reason);
  return !kind || would_fail_again(*kind);
}

std::string failure_reason(FailureKind kind, std::string_view detail) {
  return fmt::format("{}: {}", name(kind), detail);
}

}  // namespace flywheel::protocol
