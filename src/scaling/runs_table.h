// Reads anybody's table of finished runs: CSV with the usual column names into points.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scaling/law.h"

namespace flywheel::scaling {

struct RunsTable {
  std::vector<Point> points;
  std::vector<int> rows;  // line in the file of each point, the header is line 1
  bool has_loss = true;
};

// Columns by their usual names in any case (N, params, model_size, ..; D, tokens, ..; L, loss, val_loss, bpb, ..;
// C, flops, ..), two of N, D and C at least: the third follows from C = 6 N D. Separators: comma, semicolon or tab.
// Takes a BOM, CRLF, quotes, blank lines, # comments and 1.3B / 20M / 300k / 2T suffixes. `loss_required` false: for
// predictions. Throws kBadInput naming `where`, the line and the column.
RunsTable parse_runs(std::string_view text, const std::string& where, bool loss_required = true);

}  // namespace flywheel::scaling
