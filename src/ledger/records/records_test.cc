// Every kind of record, as ledgers hold it, to its struct and back: the same bytes.
#include "ledger/records/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "base/error.h"

namespace flywheel::ledger {
namespace {

using ::testing::HasSubstr;

template <typename R>
void round_trip(const char* payload) {
  EXPECT_EQ(Codec<R>::encode(Codec<R>::decode(payload, "test")), payload);
}

template <typename R>
std::string error_of(const char* payload) {
  try {
    Codec<R>::decode(payload, "ledger: record 7");
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Records, ThoseOfTheLabGoToTheirStructsAndBack) {
  round_trip<LabRecord>(
      R"__({"created":"2026-11-26T18:23:10Z","program":"0.1.0","question":{"budget":"5e12","max_epochs":8.0,"re)__"
      R"__(cipe_hash":"439e9b679080eda2c84577c8f90ef1bc970f3704ea1a88b36eeae2a57da25b50","seed":1,"sources":["/)__"
      R"__(corpora/shakespeare.txt"]},"schema":1})__");
  round_trip<LabRecord>(
      R"__({"command":["flywheel","run","--corpus","texts","--budget","1e12","--dir","lab"],"created":"","program":"",)__"
      R"__("question":{"budget":"1e12","seed":1,"sources":[]},"schema":1})__");
  round_trip<CorpusRecord>(
      R"__({"binary_files":0,"bytes":1115394,"changed_files":0,"document_rule":"a file is a document","document)__"
      R"__(s":927,"duplicate_documents":0,"empty_files":0,"files":1,"manifest_sha256":"e756b6f71d618c93e2b0b4ee)__"
      R"__(4d3831d9e17e54fb492995be71b2212698d19f13","notes":[],"schema":1,"sha256":"2fd7c4060ca46c9173c40367b0)__"
      R"__(d7532d7b8ea9a3c0e253db4a702d8ffe5f24a8","sources":["/corpora/shakespeare.txt"],"sp)__"
      R"__(ecial_files":0,"splits":{"audit":{"bytes":36877,"documents":30,"sample_sha256":"53edbd4e0be5984d78a0)__"
      R"__(891e1d26b4bbb94ebc97f59b97b740d1dceca0ba12bf","sha256":"d87191c23810e8a9d523f3051f68baa28cdcbdc2fb62)__"
      R"__(cb3efe067ff6337d80ba","tokens":36907},"locked":{"bytes":16980,"documents":15,"sample_sha256":"b93b29)__"
      R"__(f1cc91afdaee269b8c9975f62a87192934eeac5fe44a4f26810a35d4d6","sha256":"e8d77f56fa9dc6d5104b122bbb0fc9)__"
      R"__(d22b1ad40a2dfa0da10829ea7e71cdcda5","tokens":16995},"search":{"bytes":55160,"documents":47,"sample_s)__"
      R"__(ha256":"7efaffbe98b542d9c51e75cfe373c6252bbae02914261e85d6b78288af9bb3aa","sha256":"19c6ed18998fbfac)__"
      R"__(fbf7189d7e6e5f9fba7fbbc43addd45d62f9906b91e83def","tokens":55207},"train":{"bytes":1006377,"document)__"
      R"__(s":835,"sample_sha256":"7e164f24769c55affd51307bab8608a11c6a679c6912599e07e6c49862905595","sha256":")__"
      R"__(4f9c77bb9485955bc466761192b3336a75d34cf9d7e0c3a36361c1b2ee8916db","tokens":1007212}},"unreadable_fil)__"
      R"__(es":0,"vocabulary":257})__");
  round_trip<CorpusRecord>(
      R"__({"binary_files":0,"bytes":10,"changed_files":0,"compressor":{"bits_per_byte":2.5,"bytes":4,"name":"xz -9",)__"
      R"__("split":"search"},"document_rule":"","documents":1,"duplicate_documents":0,"empty_files":0,"files":1,)__"
      R"__("manifest_sha256":"","notes":[],"schema":1,"sha256":"","sources":[],"special_files":0,"splits":{},)__"
      R"__("unreadable_files":0,"vocabulary":257})__");
  round_trip<MachineRecord>(
      R"__({"cpu":"Intel(R) Xeon(R) Processor","instruction_set":"AVX512-BF16","peak_gflops_bf16":178.951890705)__"
      R"__(85195,"peak_gflops_fp32":357.785753463258,"threads":2})__");
  round_trip<RecipeRecord>(
      R"__({"hash":"6e17c74314cb8348553e2a3e6359d3df32684d4bba4e311c890c7fe20546d5ad","recipe":{"optimizer":{"a)__"
      R"__(dam_learning_rate":0.01,"average_decay":0.99,"average_fraction":0.2,"averaging":"none","beta1":0.9,")__"
      R"__(beta2":0.95,"cautious":false,"decay_form":"decoupled","epsilon":1e-08,"gradient_clip":1.0,"kind":"ad)__"
      R"__(amw","learning_rate":0.004806357121260319,"momentum":0.95,"soap_interval":10,"weight_decay":0.1}},"r)__"
      R"__(ole":"ladder"})__");
  round_trip<SpendRecord>(R"__({"seconds":0.16353380000009565,"what":"last evaluations and sample"})__");
  round_trip<ReportRecord>(
      R"__({"lab_cpu_seconds":1.969811,"seconds":91.33713919799993,"slot_busy_fraction":0.9787703873689754,"slo)__"
      R"__(t_seconds":89.39808711400042,"slots":1})__");
  round_trip<SampleNote>(
      R"__({"prompt":"","run":"top-r6-n0","text":"ETTARD III:\nI ourt Prave to heawith sea hat all lid lois!\n\)__"
      R"__(nSay moke onkech dand the; will thou oords\nThat connemaces ned whis no enf.\n\n\n","what":"sample"})__");
  round_trip<LabRecord>(
      R"__({"created":"2026-11-26T18:23:10Z","program":"0.1.0","question":{"budget":"10m","compare":["a1","b2"])__"
      R"__(,"seed":7,"sources":["/text"]},"schema":1})__");
  round_trip<LabRecord>(
      R"__({"created":"2026-11-26T18:23:10Z","program":"0.1.0","question":{"budget":"10m","changes":"c3","full_)__"
      R"__(runs":true,"max_epochs":8.0,"prior":["old"],"proposers":"local","recipe_hash":"a1","seed":7,"sources)__"
      R"__(":["/text"]},"schema":1})__");
  round_trip<MachineRecord>(
      R"__({"cpu":"x","instruction_set":"AVX2","peak_gflops_bf16":null,"peak_gflops_fp32":100.5,"threads":2})__");
  round_trip<MachineRecord>(
      R"__({"auto":{"128":"bf16","64":"fp32"},"cpu":"x","instruction_set":"AMX-BF16","peak_gflops_bf16":null,)__"
      R"__("peak_gflops_fp32":100.5,"threads":2})__");
  round_trip<BranchingNote>(
      R"__({"branches":3,"ladder_flops":3000000000.0,"trained_flops":2000000000.0,"what":"branching"})__");
}

TEST(Records, ThoseOfALongerBudgetAndAMovedCorpusGoToTheirStructsAndBack) {
  round_trip<ExtensionRecord>(R"__({"before":"30s","budget":"1m","flops":5e+20,"seconds":29.5})__");
  round_trip<MovedNote>(R"__({"sources":["/elsewhere/texts"],"what":"moved"})__");
  round_trip<FurtherTopDecision>(
      R"__({"centre":20000.5,"climb":true,"flops":5e+20,"stage":"top after extension 2"})__");
}

TEST(Records, ThoseOfRunsGoToTheirStructsAndBack) {
  round_trip<RunPlanned>(
      R"__({"data_seed":1000,"flops":5026185216.0,"memory_bytes":16248512,"parameters":10256,"recipe_hash":"439)__"
      R"__(e9b679080eda2c84577c8f90ef1bc970f3704ea1a88b36eeae2a57da25b50","reserved_seconds":1.0,"run":"calibra)__"
      R"__(te-n0-0","rung_flops":0.0,"seed":1000,"stage":"calibrate","tokens":58368,"total_parameters":12464})__");
  round_trip<RunStarted>(R"__({"attempt":1,"events_before":0,"run":"calibrate-n0-0","slots":[0]})__");
  round_trip<RunFinished>(
      R"__({"attempt_flops":5026185216.0,"bits_per_byte":5.5614124050798095,"cpu_seconds":0.134775,"curve":[{"b)__"
      R"__(its_per_byte":7.642593647213386,"flops":661340160.0,"loss":5.292268955295047,"step":10,"tokens":7680)__"
      R"__(.0},{"bits_per_byte":6.977287750217394,"flops":1322680320.0,"loss":4.831564395170956,"step":20,"toke)__"
      R"__(ns":15360.0}],"flops":5026185216.0,"loss":3.851112799871049,"peak_memory_bytes":19038208,"precision")__"
      R"__(:"bf16","predicted_memory_bytes":18373350,"program":"flywheel 0.1.0","run":"calibrate-n0-0","seconds)__"
      R"__(":0.15324961900000744,"state":"done","tokens":58368.0,"train_seconds":0.12245807499994044})__");
  round_trip<RunPlanned>(
      R"__({"branch":"ladder-r0-n1","data_seed":1000,"flops":5e+20,"memory_bytes":16248512,"new_flops":4e+20,"p)__"
      R"__(arameters":10256,"recipe_hash":"a1","reserved_seconds":1.0,"run":"ladder-r1-n1","rung_flops":5e+20,")__"
      R"__(seed":18446744073709551615,"stage":"a stage of another version","tokens":58368,"total_parameters":12)__"
      R"__(464})__");
  round_trip<AttemptEnded>(
      R"__({"attempt":1,"curve":[{"bits_per_byte":7.5,"flops":661340160.0,"loss":5.25,"step":10,"tokens":7680.0)__"
      R"__(}],"flops":700000000.0,"reason":"gave up: 7.5 bits per byte","run":"screen-p1-0","seconds":0.5,"stat)__"
      R"__(e":"stopped"})__");
  round_trip<AttemptEnded>(R"__({"reason":"lost: its folder is gone","run":"r1","state":"lost"})__");
  round_trip<RunPlanned>(
      R"__({"data_seed":1000,"flops":5e+20,"memory_bytes":16248512,"parameters":10256,"recipe_hash":"a1","rese)__"
      R"__(rved_seconds":1.0,"run":"ladder-r1-n1","rung_flops":5e+20,"seed":7,"segments":"00c1f2e3d4b5a697","st)__"
      R"__(age":"ladder","tokens":58368,"total_parameters":12464})__");
  round_trip<RunFinished>(
      R"__({"bits_per_byte":2.5,"bytes":36800,"cpu_seconds":0.5,"curve":[],"documents":40,"flops":5000.0,"loss)__"
      R"__(":1.75,"peak_memory_bytes":0,"precision":"fp32","predicted_memory_bytes":7,"program":"flywheel 0.2)__"
      R"__(","run":"r6","sampling_degrees":6.5,"sampling_sd":0.05,"seconds":0.25,"state":"done","tokens":640.0,"train_seconds":0.125})__");
  round_trip<RunFinished>(
      R"__({"bits_per_byte":2.5,"blocks":8,"bytes":36800,"clusters":30,"cpu_seconds":0.5,"curve":[],"cut_documents":1,)__"
      R"__("documents":40,"flops":5000.0,"loss":1.75,"peak_memory_bytes":0,"precision":"fp32","predicted_memory)__"
      R"__(_bytes":7,"program":"flywheel 0.2","run":"r6","sampling_degrees":6.5,"sampling_sd":0.05,"seconds":0.25,)__"
      R"__("state":"done","tokens":640.0,"train_seconds":0.125})__");
  round_trip<RunFinished>(
      R"__({"predicted_memory_bytes":101,"reason":"memory: needs 101 bytes, 100 are allowed for all runs","run")__"
      R"__(:"r4","seconds":0.0,"state":"failed"})__");
  round_trip<RunFinished>(
      R"__({"attempt_flops":5000.0,"bits_per_byte":null,"cpu_seconds":0.5,"curve":[],"flops":5000.0,"loss":null)__"
      R"__(,"peak_memory_bytes":0,"precision":"fp32","predicted_memory_bytes":7,"program":"flywheel 0.1.0","rea)__"
      R"__(son":"diverged: loss is nan","run":"r5","seconds":0.25,"state":"failed","tokens":640.0,"train_second)__"
      R"__(s":0.125})__");
}

TEST(Records, ThoseOfWhatIsKnownGoToTheirStructsAndBack) {
  round_trip<FitRecord>(
      R"__({"data":[[10256.0,180992.0,4.270866023395799,15585583104.0],[32800.0,63616.0,4.625285268111826,15646)__"
      R"__(482432.0]],"form":"chinchilla","identified":true,"interval95":{"A":[4.04840951)__"
      R"__(57713424,22.750204982998756],"B":[14.661926729485348,87.0709650070523],"E":[1.7354509451634503,2.951)__"
      R"__(5802616365083],"alpha":[0.3356926133147002,0.35548511508827635],"beta":[0.17462525878006382,0.383683)__"
      R"__(800970076]},"name":"below the top rung","objective":2.8799807245825662e-05,"parameters":{"A":7.90569)__"
      R"__(4635934701,"B":17.739127138658876,"E":2.0016143709798726,"alpha":0.34711432614651133,"beta":0.191514)__"
      R"__(91667950168},"residual_sd":0.02144838214107042,"warnings":[]})__");
  round_trip<FitRecord>(
      R"__({"backtest":[{"error_percent":-2.6872730487992733,"held_out_flops":51652878336.0,"high":3.7535639779)__"
      R"__(62853,"inside":true,"low":3.395527394841747,"measured":3.6686466812302703,"predicted":3.570060127709)__"
      R"__(9002,"train_below_flops":51386130432.0}],"data":[[10256.0,180992.0,4.270866023395799,15585583104.0],)__"
      R"__([32800.0,63616.0,4.625285268111826,15646482432.0]],"form":"chinchilla","fronti)__"
      R"__(er":[{"bits_per_byte":4.181649060656943,"flops":15554330591.522085,"high":4.372009986909965,"low":3.)__"
      R"__(999576606377317},{"bits_per_byte":4.088315435158807,"flops":18447646190.12956,"high":4.2281206756032)__"
      R"__(566,"low":3.953132935349106}],"identified":true,"interval95":{"A":[1.839963694356907,77.069199303607)__"
      R"__(06],"B":[16.261416159798614,148.05009268336246],"E":[0.913312564392605,2.457827379562162],"alpha":[0)__"
      R"__(.3431397297807099,0.4759966135672489],"beta":[0.1766998371702235,0.33305199396449786]},"name":"all",)__"
      R"__("objective":9.495673129845983e-05,"parameters":{"A":46.85144186803398,"B":66.46138780653892,"E":1.10)__"
      R"__(3393001938803,"alpha":0.43577641641561077,"beta":0.2623788872610956},"residual_sd":0.170643436292537)__"
      R"__(25,"warnings":[]})__");
  round_trip<TopForecast>(
      R"__({"flops":559955901294.795,"high":3.2491950785390413,"low":3.01251087076813,"name":"top rung","predic)__"
      R"__(ted":3.1286155876593673,"runs":[{"high":3.2491950785390413,"low":3.01251087076813,"parameters":10256)__"
      R"__(.0,"predicted":3.1286155876593673,"run":"top-r6-n0","tokens":6503168.0},{"high":3.4146357536763774,")__"
      R"__(low":3.2133804517088436,"parameters":32800.0,"predicted":3.3124800045539544,"run":"top-r6-n1","token)__"
      R"__(s":2275840.0}],"train_below_flops":308155608110.77234})__");
  round_trip<FutureForecast>(
      R"__({"forecast":[{"bits_per_byte":2.601387196574628,"flops":1679867703884.3853,"high":3.0025860277775096)__"
      R"__(,"low":2.2537956561102908,"multiply":3.0,"params":21415.658279206433,"tokens":10086053.941666115},{")__"
      R"__(bits_per_byte":2.326957454302786,"flops":5599559012947.95,"high":2.8831243141452805,"low":1.87807753)__"
      R"__(12286637,"multiply":10.0,"params":33422.19861291656,"tokens":22351463.849131215}],"name":"future"})__");
  round_trip<ScoreRecord>(
      R"__({"error_percent":0.5,"inside":true,"interval_score":1.25,"measured":3.0,"name":"top rung","pit":0.25,)__"
      R"__("predicted":3.015})__");
  round_trip<TopForecast>(
      R"__({"covariance":[0.0001],"flops":500000000000.0,"high":3.2,"low":3.0,"name":"top rung","predicted":3.1,"runs":[{"high":3.2)__"
      R"__(,"low":3.0,"parameters":10256.0,"predicted":3.1,"run":"top-r6-n0","tokens":6503168.0}],"train_below_flops":)__"
      R"__(300000000000.0})__");
  round_trip<OptimumRecord>(
      R"__({"a":null,"high":null,"identified":false,"low":null,"model":"law","runs_to_identify":[{"flops":10000000000.0,"para)__"
      R"__(ms":3848.0,"tokens":433125.0}],"warnings":[],"why":"the smallest size is best on every rung"})__");
  round_trip<FutureForecast>(
      R"__({"forecast":[{"along":"ladder","bits_per_byte":2.5,"flops":1500000000000.0,"high":2.75,"low":2.25,"multiply":3.0,"pa)__"
      R"__(rams":null,"tokens":null}],"name":"future"})__");
  round_trip<ScoreRecord>(
      R"__({"error_percent":3.4888450985153723,"inside":true,"measured":3.0231428176448456,"name":"top rung","p)__"
      R"__(redicted":3.1286155876593673})__");
  round_trip<WallRecord>(
      R"__({"slope":-0.10832368137159885,"slope_high":-0.06292192604247998,"slope_low":-0.15372543670071773,"sm)__"
      R"__(allest_detectable":0.0,"verdict":"cannot tell","why":"7 compute levels and 12 runs: a change of slop)__"
      R"__(e needs at least 4 levels and 8 runs that identify the law"})__");
  round_trip<EvaluationRecord>(
      R"__({"bits_per_byte":3.0308101232117877,"bytes":36800,"documents":40,"loss":2.099144846120551,"run":"t)__"
      R"__(op-r6-n0","sampling_sd":0.05,"segments":"00c1f2e3d4b5a697","split":"audit","tokens":36864})__");
  round_trip<EvaluationRecord>(
      R"__({"bits_per_byte":3.0308101232117877,"loss":2.099144846120551,"run":"top-r6-n0","split":"audit","toke)__"
      R"__(ns":36864})__");
  round_trip<WallRecord>(
      R"__({"slope":null,"slope_high":null,"slope_low":null,"smallest_detectable":0.0,"verdict":"cannot tell",")__"
      R"__(why":"2 compute levels"})__");
}

TEST(Records, ThoseOfTheSearchGoToTheirStructsAndBack) {
  round_trip<SearchRecord>(
      R"__({"alpha":0.05,"confirm_flops":[6000000000.0,18000000000.0],"flops":36109172736.0,"guarantee":"of all)__"
      R"__( findings, at most 5% are expected to be false; when nothing is real, any finding has probability at)__"
      R"__( most 5%","needed":{"flops":408448657543.53076,"noise_floor":0.002411593890426829,"pairs":17.0186940)__"
      R"__(6431378,"smallest_gain":null},"noise_sd":0.002411593890426829,"outcomes":{},"proposers":[{"adopted":)__"
      R"__(0,"dropped":"","failed":0,"flops":0.0,"gain":0.0,"proposed":0,"proposer":"list","repeats":0,"stopped)__"
      R"__(":0}],"saved_flops":0.0,"screen_flops":6000000000.0,"stopped":0,"tests":0,"tried":0})__");
  round_trip<ProposalRecord>(
      R"__({"confirmed":[-0.01,-0.02],"flops":36000000.0,"id":"p3","label":"rms","outcome":"adopted","patches":)__"
      R"__(["model.norm=rms"],"proposer":"list","reason":"","screened":[-0.03]})__");
  round_trip<ProposalRecord>(
      R"__({"flops":0.0,"id":"p4","label":"","outcome":"failed","patches":[],"proposer":"bayes","reason":"no su)__"
      R"__(ch field","screened":[]})__");
  round_trip<FindingRecord>(
      R"__({"ablation":{"difference_without":0.01,"pairs":4},"by_rung":[{"compute_multiplier":{"high":1.5,"low")__"
      R"__(:1.1,"value":1.25},"difference":-0.02,"flops":6000000000.0,"high":-0.01,"low":-0.03,"pairs":4}],"cha)__"
      R"__(nge":"model.norm=rms","compute_multiplier":1.25,"difference":{"high":-0.01,"low":-0.03,"value":-0.02)__"
      R"__(},"extrapolated":{"compute_multiplier":1.2,"flops":500000000000.0,"high":1.9,"low":0.8},"high":1.5,")__"
      R"__(id":"p3","label":"rms","level":0.01,"log_e":5.5,"low":1.1,"pairs":8,"patches":["model.norm=rms"],"pr)__"
      R"__(oposer":"list","recipe_hash":"b2","rungs":[6000000000.0],"runs":["confirm-p3-0","confirm-p3-0-base"])__"
      R"__(,"slope":{"sd":0.01,"value":-0.08},"split":"audit","test":2,"warning":""})__");
  round_trip<FindingRecord>(
      R"__({"by_rung":[],"change":"x=2","compute_multiplier":null,"difference":{"high":-0.01,"low":-0.03,"value)__"
      R"__(":-0.02},"high":null,"id":"p5","label":"","level":0.01,"log_e":null,"low":1.0,"pairs":8,"patches":[")__"
      R"__(x=2"],"proposer":"local","recipe_hash":"c3","rungs":[],"runs":[],"slope":{"sd":0.01,"value":-0.08},")__"
      R"__(split":"audit","test":1})__");
  round_trip<GainRecord>(
      R"__({"flops":[6000000000.0,18000000000.0],"recipe_hash":"b2","rungs":[{"at_least":3.0,"compute_multiplie)__"
      R"__(r":{"high":null,"low":1.0,"value":null},"difference":-0.02,"flops":6000000000.0,"high":-0.01,"low":-)__"
      R"__(0.03,"pairs":4}],"runs":["gain-0-r0"],"slope":{"sd":0.01,"value":-0.08},"split":"audit","start_hash")__"
      R"__(:"a1"})__");
  round_trip<GainRecord>(
      R"__({"flops":[6000000000.0],"inside":null,"recipe_hash":"b2","rungs":[],"runs":[],"slope":{"sd":0.01,"va)__"
      R"__(lue":-0.08},"split":"locked","start_hash":"a1"})__");
  round_trip<GainRecord>(
      R"__({"flops":[6000000000.0],"inside":true,"recipe_hash":"b2","rungs":[],"runs":[],"slope":{"sd":0.01,"va)__"
      R"__(lue":-0.08},"split":"locked","start_hash":"a1"})__");
  round_trip<ComparisonRecord>(
      R"__({"compute_multiplier":null,"difference":null,"high":null,"low":null,"more_budget":null,"rungs":[],"s)__"
      R"__(pend":{"runs":4,"seconds":1.5,"train_flops":1000000.0},"verdict":"undecided","why":"no pairs"})__");
  round_trip<ComparisonRecord>(
      R"__({"compute_multiplier":{"high":1.5,"low":1.1,"value":1.25},"difference":-0.02,"high":-0.01,"low":-0.0)__"
      R"__(3,"rungs":[{"compute_multiplier":{"high":1.5,"low":1.1,"value":1.25},"difference":-0.02,"flops":6000)__"
      R"__(000000.0,"high":-0.01,"low":-0.03,"pairs":6}],"spend":{"runs":24,"seconds":60.5,"train_flops":100000)__"
      R"__(0.0},"verdict":"better","warning":""})__");
  round_trip<ComparisonRecord>(
      R"__({"bound":0.004,"bound_worth":0.03,"compute_multiplier":null,"difference":0.001,"expected_verdict":"no )__"
      R"__(difference","failed_runs":{"base":1,"candidate":2},"high":0.003,"low":-0.002,"more_budget":2.5,"ruine)__"
      R"__(d_runs":{"base":0,"candidate":1},"rungs":[],"smallest_effect":0.05,"spend":{"runs":4,"seconds":1.5,"tra)__"
      R"__(in_flops":1000000.0},"verdict":"no difference"})__");
}

TEST(Records, DecisionsGoToTheirStructsAndBack) {
  round_trip<CalibrateDecision>(
      R"__({"flops":5000000000.0,"parameters":[3418.6666666666665,26336.928294696783,202896.0],"stage":"calibra)__"
      R"__(te"})__");
  round_trip<LadderDecision>(
      R"__({"expected_flops":2530167472128.0,"expected_wall_seconds":43.05305160557178,"final_seconds":3.0,"lim)__"
      R"__(its":[],"lowest_sizes":5,"middle_sizes":3,"noise_runs":4,"rungs":[8756939782.997734,15912415609.8761)__"
      R"__(9,28914778086.409615,52541638697.986404,95474493659.25713,173488668518.45773,315249832187.91846],"st)__"
      R"__(age":"ladder","top_sizes":4,"transfer_runs":3,"tune_runs":5})__");
  round_trip<SecondLadderDecision>(
      R"__({"expected_flops":4495165501440.0,"expected_wall_seconds":80.42668569717246,"limits":[],"lowest_size)__"
      R"__(s":5,"middle_sizes":3,"noise_runs":4,"rungs":[15554330591.522085,28264094425.573696,51359268018.4620)__"
      R"__(4,93325983549.1325,169584566553.44214,308155608110.77234,559955901294.795],"stage":"ladder after the)__"
      R"__( search","top_sizes":4,"transfer_runs":3,"tune_runs":5})__");
  round_trip<LearningRateDecision>(
      R"__({"learning_rate":0.004806357121260319,"lowest_rung_multiplier":2.4031785606301597,"multiplier":2.403)__"
      R"__(1785606301597,"noise_sd":0.022608078091193633,"stage":"learning_rate","transfers":true,"words":"the )__"
      R"__(same learning rate is best one rung up"})__");
  round_trip<LearningRateDecision>(
      R"__({"context_free":4.78,"learning_rate":0.002,"learns_from_flops":12000000000.0,"lowest_rung_multiplier":1.0,)__"
      R"__("multiplier":1.0,"noise_sd":0.02,"stage":"learning_rate","transfers":true,"words":"same"})__");
  round_trip<SearchDecision>(
      R"__({"confirm_flops":[6000000000.0,18000000000.0],"enough":true,"limits":[],"screen_flops":6000000000.0,)__"
      R"__("stage":"search"})__");
  round_trip<SearchDecision>(
      R"__({"confirm_flops":[6000000000.0,18000000000.0],"earlier":[-0.01],"earlier_variances":[1e-06],"endurance":31,"enough":true,"limits":[],)__"
      R"__("screen_flops":6000000000.0,"stage":"search"})__");
  round_trip<SearchRoundDecision>(R"__({"flops_left":4840092975104.0,"go_on":true,"stage":"search round 0"})__");
  round_trip<SearchRoundDecision>(
      R"__({"before_ladder":2500000000000.0,"flops_left":4840092975104.0,"go_on":true,"stage":"search round 0"})__");
  round_trip<RungDecision>(
      R"__({"centre":13825.151121549668,"climb":true,"sizes":[10256.0,250960.0],"stage":"rung 1"})__");
  round_trip<RungDecision>(
      R"__({"bracket":true,"centre":13825.5,"climb":true,"sizes":[6924.0,10768.0,18456.0],"stage":"rung 3"})__");
  round_trip<SweepRungDecision>(R"__({"go_up":true,"stage":"sweep on rung 0"})__");
  round_trip<BracketDecision>(R"__({"inner":false,"sizes":[3848.0],"stage":"bracket 4"})__");
  round_trip<BracketDecision>(R"__({"inner":false,"stage":"bracket 5","why":"The smallest is best."})__");
  round_trip<MoveDecision>(
      R"__({"rungs":[10000000000.0,40000000000.0,80000000000.0],"stage":"ladder after rung 1","why":"It moves up."})__");
  round_trip<TopDecision>(R"__({"centre":6529.962407682486,"flops":559955901294.795,"stage":"top"})__");
  round_trip<AblationRoundDecision>(R"__({"flops_left":1000000.0,"go_on":true,"stage":"ablation round 3"})__");
  round_trip<TimeDecision>(R"__({"ratio":1.25,"stage":"time of p12"})__");
  round_trip<RungDecision>(
      R"__({"centre":13825.5,"climb":false,"limits":["The machine was slower than planned."],"stage":"rung 2"})__");
  round_trip<CompareDecision>(R"__({"rungs":[1000000.0,4000000.0],"stage":"compare"})__");
}

TEST(Records, OfAnotherVersionAreReadAsFarAsTheyGo) {
  const auto planned = Codec<RunPlanned>::decode(R"({"run":"a","stage":"distil","colour":"red"})", "test");
  EXPECT_EQ(planned.stage.text(), "distil");
  EXPECT_FALSE(planned.stage.stage());
  EXPECT_FALSE(planned.stage == protocol::Stage::kLadder);
  const auto finding = Codec<FindingRecord>::decode(R"({"id":"f1","compute_multiplier":1.25})", "test");
  EXPECT_EQ(finding.multiplier.value, 1.25);
  EXPECT_TRUE(std::isinf(finding.multiplier.high));
  const auto fit = Codec<FitRecord>::decode(R"({"error_inflation":1.0,"form":"kappa","name":"all"})", "test");
  EXPECT_EQ(fit.form, "kappa");
}

TEST(Records, ErrorsNameRecordAndField) {
  EXPECT_EQ(error_of<RunPlanned>("{}"), "ledger: record 7: run record: field \"run\" is missing");
  EXPECT_THAT(error_of<AttemptEnded>(R"({"run":"a","state":"perhaps"})"),
              HasSubstr("field \"state\": expected failed, stopped or lost, found \"perhaps\""));
  EXPECT_THAT(error_of<FutureForecast>(R"({"forecast":[{"multiply":3},{"multiply":"ten"}]})"),
              HasSubstr("field \"forecast[1].multiply\": expected a number, found \"ten\""));
  EXPECT_THAT(error_of<FindingRecord>(R"({"id":"f1","slope":{"value":true}})"), HasSubstr("\"slope.value\""));
  EXPECT_THAT(error_of<RungDecision>(R"({"centre":1,"climb":true})"), HasSubstr("\"stage\" is missing"));
  EXPECT_THAT(error_of<WallRecord>("{"), HasSubstr("ledger: record 7"));
}

TEST(Records, NoTwoStructsShareKindAndTag) {
  std::vector<std::string> all;
  std::apply(
      [&](const auto&... row) { (all.push_back(std::string(row.kind.kind) + "/" + std::string(row.kind.tag)), ...); },
      kRecordTable);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size());
}

}  // namespace
}  // namespace flywheel::ledger
