// A corpus folder whose validation text is the end of one file. Why: published results (nanoGPT's, say) are measured
// on the last tenth of a text, which a split by documents cannot express.
#pragma once

#include "engine/data/corpus.h"

namespace flywheel::data {

// The train split is the first 1 - `fraction` of the file's bytes; search, audit and locked are all the rest of it: fit
// to repeat a measurement, not to run a campaign. `folder` must not exist or be empty. Throws kBadInput on a fraction
// that is not inside (0, 1), an unreadable or too short file, or a folder that holds something.
CorpusManifest build_tail_corpus(const Path& text, double fraction, const Path& folder);

}  // namespace flywheel::data
