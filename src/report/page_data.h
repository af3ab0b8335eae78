// The data of the report page (web/src/data.ts has the same shape), from the ledger and the run directories' specs.
#pragma once

#include "base/file_system.h"
#include "base/json.h"
#include "ledger/ledger.h"

namespace flywheel::report {

Json page_data(const ledger::Ledger& ledger, const Path& lab);

// Writes report.json, report.html, results.tsv and recipe.toml into the lab folder, each atomically.
void write_report(const ledger::Ledger& ledger, const Path& lab);

}  // namespace flywheel::report
