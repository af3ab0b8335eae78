// A lab's budget can be extended: what its campaign concluded before is kept, and concluded again with what came since.
#pragma once

#include <optional>

#include "ledger/ledger.h"

namespace flywheel::campaign {

// The last record of this kind that no extension of the budget came after.
template <ledger::RecordStruct R>
std::optional<ledger::Stored<R>> last_since_extension(const ledger::Ledger& ledger) {
  auto record = ledger.last<R>();
  const auto extension = ledger.last<ledger::ExtensionRecord>();
  if (record && extension && extension->sequence > record->sequence) record.reset();
  return record;
}

}  // namespace flywheel::campaign
