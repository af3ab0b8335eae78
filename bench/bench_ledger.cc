// Ten thousand runs: what `flywheel status` reads, verification, an append, and one decision of the plan.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "base/error.h"
#include "ledger/json_record.h"
#include "ledger/ledger.h"
#include "scheduler/queue.h"
#include "testing/temporary_folder.h"

namespace flywheel {
namespace {

constexpr int kRuns = 10000;

const Path& filled_lab() {
  static const testing::TemporaryFolder folder;
  static const bool filled = [] {
    auto ledger = ledger::Ledger::open(folder.path());
    std::vector<std::pair<std::string, Json>> records;
    Json curve = Json::array();
    for (int i = 0; i < 10; ++i)
      curve.push_back({{"tokens", 1e5 * i}, {"flops", 1e9 * i}, {"bits_per_byte", 2.0}, {"loss", 1.4}, {"step", i}});
    for (int i = 0; i < kRuns; ++i) {
      const std::string id = fmt::format("ladder-r2-n{}", i);
      records.push_back({"run", {{"run", id}, {"stage", "ladder"}, {"flops", 1e9}, {"parameters", 1e5}}});
      records.push_back({"start", {{"run", id}, {"attempt", 1}}});
      records.push_back(
          {"finish", {{"run", id}, {"state", "done"}, {"bits_per_byte", 2.0}, {"seconds", 1}, {"curve", curve}}});
    }
    ledger->append_all(records);
    return true;
  }();
  if (!filled) std::abort();
  return folder.path();
}

void status_of_ten_thousand_runs(benchmark::State& state) {
  const Path& lab = filled_lab();
  for (auto _ : state) {
    auto ledger = ledger::Ledger::open_read_only(lab);
    if (std::ssize(ledger->runs()) != kRuns || ledger->spend().runs_done != kRuns) state.SkipWithError("wrong answer");
    benchmark::DoNotOptimize(ledger->last("finish"));
  }
}
BENCHMARK(status_of_ten_thousand_runs)->Unit(benchmark::kMillisecond);

void verify_ten_thousand_runs(benchmark::State& state) {
  auto ledger = ledger::Ledger::open_read_only(filled_lab());
  for (auto _ : state)
    if (!ledger->verify().problems.empty()) state.SkipWithError("wrong answer");
}
BENCHMARK(verify_ten_thousand_runs)->Unit(benchmark::kMillisecond);

void append_to_ten_thousand_runs(benchmark::State& state) {
  auto ledger = ledger::Ledger::open(filled_lab());
  for (auto _ : state) ledger->append("note", {{"text", "bench"}});
}
BENCHMARK(append_to_ten_thousand_runs)->Unit(benchmark::kMicrosecond);

void plan_ten_thousand_waiting(benchmark::State& state) {
  scheduler::Queue queue;
  for (int i = 0; i < kRuns; ++i)
    queue.insert({i % 3, static_cast<double>(i % 97), 1e9, {.memory_bytes = uint64_t{1} << 20}, i});
  // Nothing fits the memory but the last one in the order.
  queue.insert({-1, 0, 1e9, {.memory_bytes = 1}, kRuns});
  const scheduler::Room room{.free_cores = 2, .memory_bytes = 1};
  for (auto _ : state)
    if (scheduler::plan(queue, room).size() != 1) state.SkipWithError("wrong answer");
}
BENCHMARK(plan_ten_thousand_waiting)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace flywheel

BENCHMARK_MAIN();
