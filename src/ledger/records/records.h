// Every kind of record: its struct, its kind, and its way to JSON and back. To add a kind: a struct in a header of this
// folder, its fields in a codec_*.cc beside it, and a row in the table below.
#pragma once

#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "base/json_fwd.h"
#include "ledger/records/decisions.h"
#include "ledger/records/lab.h"
#include "ledger/records/run.h"
#include "ledger/records/science.h"
#include "ledger/records/search.h"

namespace flywheel::ledger {

// The kind column and, where several structs share a kind, the field that tells them apart with its value. A numbered
// one has its number after that ("rung 3"), in its member `number`.
struct RecordKind {
  std::string_view kind{}, tag_field{}, tag{};
  bool numbered = false;
};

template <typename R>
struct RecordRow {
  RecordKind kind;
};

inline constexpr std::tuple kRecordTable{
    // The lab
    RecordRow<LabRecord>{{"lab"}},
    RecordRow<ExtensionRecord>{{"extension"}},
    RecordRow<MovedNote>{{"note", "what", "moved"}},
    RecordRow<CorpusRecord>{{"corpus"}},
    RecordRow<MachineRecord>{{"machine"}},
    RecordRow<RecipeRecord>{{"recipe"}},
    RecordRow<SpendRecord>{{"spend"}},
    RecordRow<ReportRecord>{{"report"}},
    RecordRow<SampleNote>{{"note", "what", "sample"}},
    RecordRow<BranchingNote>{{"note", "what", "branching"}},
    // Runs
    RecordRow<RunPlanned>{{"run"}},
    RecordRow<RunStarted>{{"start"}},
    RecordRow<AttemptEnded>{{"attempt"}},
    RecordRow<RunFinished>{{"finish"}},
    // What is known
    RecordRow<FitRecord>{{"fit"}},
    RecordRow<TopForecast>{{"forecast", "name", "top rung"}},
    RecordRow<OptimumRecord>{{"optimum"}},
    RecordRow<FutureForecast>{{"forecast", "name", "future"}},
    RecordRow<ScoreRecord>{{"score", "name", "top rung"}},
    RecordRow<WallRecord>{{"wall"}},
    RecordRow<EvaluationRecord>{{"evaluation"}},
    // The search
    RecordRow<ProposalRecord>{{"proposal"}},
    RecordRow<FindingRecord>{{"finding"}},
    RecordRow<SearchRecord>{{"search"}},
    RecordRow<GainRecord>{{"gain"}},
    RecordRow<ComparisonRecord>{{"comparison"}},
    // Decisions
    RecordRow<CalibrateDecision>{{"plan", "stage", "calibrate"}},
    RecordRow<LadderDecision>{{"plan", "stage", "ladder"}},
    RecordRow<SecondLadderDecision>{{"plan", "stage", "ladder after the search"}},
    RecordRow<SweepRungDecision>{{"plan", "stage", "sweep on rung ", true}},
    RecordRow<LearningRateDecision>{{"plan", "stage", "learning_rate"}},
    RecordRow<SearchDecision>{{"plan", "stage", "search"}},
    RecordRow<SearchRoundDecision>{{"plan", "stage", "search round ", true}},
    RecordRow<AblationRoundDecision>{{"plan", "stage", "ablation round ", true}},
    RecordRow<TimeDecision>{{"plan", "stage", "time of p", true}},
    RecordRow<AdoptionDecision>{{"plan", "stage", "adopted p", true}},
    RecordRow<RungDecision>{{"plan", "stage", "rung ", true}},
    RecordRow<BracketDecision>{{"plan", "stage", "bracket ", true}},
    RecordRow<MoveDecision>{{"plan", "stage", "ladder after rung ", true}},
    RecordRow<TopDecision>{{"plan", "stage", "top"}},
    RecordRow<FurtherTopDecision>{{"plan", "stage", "top after extension ", true}},
    RecordRow<CompareDecision>{{"plan", "stage", "compare"}},
};

template <typename R>
inline constexpr RecordKind kKindOf = std::get<RecordRow<R>>(kRecordTable).kind;

template <typename R, typename Table>
inline constexpr bool kIsRow = false;
template <typename R, typename... Rs>
inline constexpr bool kIsRow<R, const std::tuple<RecordRow<Rs>...>> = (std::is_same_v<R, Rs> || ...);
template <typename R>
concept RecordStruct = kIsRow<R, decltype(kRecordTable)>;
// A decision of a campaign, a "plan" record.
template <typename R>
concept DecisionStruct = RecordStruct<R> && kKindOf<R>
.kind == std::string_view("plan");

// The stage text of a decision; `number` counts where there are several.
template <DecisionStruct D>
std::string decision_stage(int number) {
  std::string stage(kKindOf<D>.tag);
  return kKindOf<D>.numbered ? stage + std::to_string(number) : stage;
}

// The way to JSON and back; instantiated beside the fields, in codec_*.cc.
template <typename R>
struct Codec {
  static Json to_json(const R& record);
  // Fields that the payload lacks keep the struct's defaults, but for those without which the record says nothing.
  // Throws kBadInput that names `where` and the field for one that is missing or of the wrong type.
  static R from_json(const Json& payload, const std::string& where);
  // The same as the ledger's text.
  static std::string encode(const R& record);
  static R decode(std::string_view payload, const std::string& where);
};

// A record of the ledger: what it says, and where it stands.
template <typename R>
struct Stored {
  int64_t sequence = 0;
  std::string time;  // UTC
  R value;
};

}  // namespace flywheel::ledger
