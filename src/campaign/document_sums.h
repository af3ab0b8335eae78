// What the runs of a lab left about each document that they were scored on (documents.json of their directories).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "evidence/document_sums.h"
#include "protocol/splits.h"
#include "workload/workload.h"

namespace flywheel::ledger {
class Ledger;
}

namespace flywheel::campaign {

// Of a run's last evaluation, or of `split` as it was evaluated after the run; empty where there is no such file, as of
// trainers that do not write it, where it is not of the documented form, or where it names another split or list of
// segments than `segments` (empty: any).
evidence::DocumentSums document_sums(const Path& run_directory, std::optional<protocol::Split> split = {},
                                     std::string_view segments = {});
// Keeps those of an evaluation after the run, in a file of its own. Nothing where the workload does not know them.
void keep_document_sums(const Path& run_directory, protocol::Split split, const workload::Evaluation& evaluation);
// Sampling error of the mean difference of pairs of runs, candidate minus base, over documents; empty where it is not
// known, or a file is not of the list of segments that the ledger has for its run. `runs`: the folder of the lab's run
// directories; `split`: as above.
std::optional<ClusterError> paired_sampling_error(const ledger::Ledger& ledger, const Path& runs,
                                                  const std::vector<std::string>& base,
                                                  const std::vector<std::string>& candidate,
                                                  std::optional<protocol::Split> split = {});

}  // namespace flywheel::campaign
