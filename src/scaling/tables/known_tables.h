// Tables of a kind that is known by its columns: what stands where, and which rows belong together. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/table/table.h"

namespace flywheel::scaling {

// Chooses columns that the user did not: N of nanochat's tables (transformer and output head, which is what N means
// here), L of a lab's results.tsv (bits per byte). Returns which rows to take: all, but of a lab's results those of one
// recipe, the one that was run at the most sizes and lengths; with `grouped` all. Says what it did in `warnings`.
std::vector<bool> take_known_table(Table& table, bool grouped, std::vector<std::string>& warnings);

}  // namespace flywheel::scaling
