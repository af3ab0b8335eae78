// Records of the lab itself: the question, the corpus, the machine, what was spent beside runs, and the end.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace flywheel::ledger {

// What the user asked: a lab answers one question. Fields that are not there are left out.
struct Question {
  std::vector<std::string> compare{};  // the two recipes of `flywheel compare`, by hash
  std::vector<std::string> sources{};
  std::string budget{};
  int64_t seed = 0;
  std::optional<std::string> recipe_hash{};
  std::optional<double> max_epochs{};
  bool full_runs = false;
  std::optional<std::string> proposers{};
  std::optional<std::string> changes{};  // SHA-256 of the list
  std::vector<std::string> prior{};
  std::optional<double> smallest_effect{};  // of `flywheel compare`, as its next
  std::optional<int64_t> pairs{};           // of each rung, for which the budget is planned
};

// "lab": the first record, once.
struct LabRecord {
  int schema = 1;
  std::string program{}, created{};
  Question question{};
  std::vector<std::string> command{};  // that asked it, as the user gave it; empty: by a version that kept none
};

// "extension": the budget of the same question is another one from here on.
struct ExtensionRecord {
  std::string budget{}, before{};  // as given
  double seconds = 0, flops = 0;   // of the budget spent by then
};

// "note" with what = "moved": the text of --corpus was found to be the lab's, in another place.
struct MovedNote {
  std::vector<std::string> sources{};
};

// "corpus": the manifest of engine/data.
struct CorpusRecord {
  int schema = 1;
  int64_t vocabulary = 0;
  std::vector<std::string> sources{}, notes{};
  std::string sha256{}, document_rule{}, manifest_sha256{};
  int64_t files = 0, documents = 0, bytes = 0, duplicate_documents = 0;
  int64_t binary_files = 0, unreadable_files = 0, changed_files = 0, empty_files = 0, special_files = 0;
  struct Split {
    int64_t bytes = 0, tokens = 0, documents = 0;
    std::string sha256{}, sample_sha256{};
  };
  std::map<std::string, Split> splits{};  // by name
  // How it was split; empty: by the rule of an older version.
  struct Splitting {
    int64_t version = 0;
    std::string rule{};
    int64_t near_duplicates = 0, largest_cluster_bytes = 0, largest_cluster_documents = 0, train_only_bytes = 0;
    int64_t cut_documents = 0, cut_bytes = 0, gap_bytes = 0;
    std::map<std::string, double> overlap{};  // by split: share of its bytes that stand verbatim in train
  };
  std::optional<Splitting> splitting{};
  // What a general compressor makes of the text that is scored; empty: of an older version.
  struct Compressor {
    std::string name{};  // "xz -9"
    double bits_per_byte = 0;
    std::string split{};
    int64_t bytes = 0;  // of text, uncompressed
  };
  std::optional<Compressor> compressor{};
};

// "machine"
struct MachineRecord {
  std::string cpu{};
  int threads = 0;
  std::string instruction_set{};
  double peak_gflops_fp32 = 0;
  std::optional<double> peak_gflops_bf16{};
  std::map<std::string, std::string>
      precisions{};  // by width: "fp32" or "bf16", whichever trained faster; field "auto"
};

// "recipe": a configuration that the campaign continues with.
struct RecipeRecord {
  std::string hash{};
  std::string configuration{};  // canonical JSON, opaque to the lab; field "recipe"
  std::string role = "ladder";
};

// "spend": slot seconds that are no run's.
struct SpendRecord {
  std::string what{};
  double seconds = 0;
};

// "report": the campaign has ended.
struct ReportRecord {
  double seconds = 0, slot_seconds = 0;
  int slots = 1;
  double slot_busy_fraction = 0, lab_cpu_seconds = 0;
};

// "note" with what = "sample": text of the best model.
struct SampleNote {
  std::string run{}, prompt{}, text{};
};

// "note" with what = "branching": what the ladder's points took, beside runs from the first step.
struct BranchingNote {
  int branches = 0;
  double ladder_flops = 0, trained_flops = 0;
};

}  // namespace flywheel::ledger
