// The wall test's false alarms and power. Prints the table of docs/forecast-backtests.md.
//   measure_wall [LADDERS] RUNS.csv...     LADDERS: synthetic ladders a row, 200
// Public ladders are taken as they are and cut at every compute level from the fourth up. Synthetic ones have 12 runs
// with 0.3% noise over three decades: one run a level along the frontier, four levels of three sizes, or six of two;
// the last decade straight or its slope halved; the law the test's own, or kappa and a drift of 0.4% per square root of
// a decade.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "scaling/forecast/wall.h"
#include "scaling/laws/synthetic_ladder.h"
#include "scaling/tables/runs_table.h"

namespace {

using namespace flywheel::scaling;

std::string counts(const std::map<std::string, int>& verdicts, int total) {
  std::string text;
  for (const char* verdict : {"wall", "none seen", "cannot tell"}) {
    const auto at = verdicts.find(verdict);
    text += fmt::format("  {} {:5.1f}%", verdict, 100.0 * (at == verdicts.end() ? 0 : at->second) / total);
  }
  return text;
}

void public_ladders(const std::vector<flywheel::Path>& paths) {
  std::map<std::string, int> all;
  int total = 0;
  for (const flywheel::Path& path : paths) {
    const std::vector<Point> points = parse_runs(flywheel::real_file_system().read(path), path.string()).points;
    const auto levels = compute_levels(points);
    std::vector<Point> below;
    std::map<std::string, int> verdicts;
    int cuts = 0;
    for (size_t level = 0; level < levels.size(); ++level) {
      for (const size_t i : levels[level]) below.push_back(points[i]);
      if (level < 3) continue;
      const Wall wall = wall_test(below, {.bootstrap = 100});
      const std::string verdict(flywheel::protocol::name(wall.verdict));
      ++verdicts[verdict], ++all[verdict];
      ++cuts, ++total;
    }
    fmt::print("{:<54} {:3} cuts {}\n", path.stem().string(), cuts, counts(verdicts, std::max(1, cuts)));
  }
  fmt::print("{:<54} {:3} cuts {}\n", "all", total, counts(all, std::max(1, total)));
}

}  // namespace

int main(int count, char** arguments) {
  try {
    int ladders = 200;
    std::vector<flywheel::Path> paths;
    for (int a = 1; a < count; ++a) {
      const std::string text = arguments[a];
      if (text.find_first_not_of("0123456789") == text.npos)
        ladders = std::atoi(arguments[a]);
      else
        paths.emplace_back(text);
    }
    public_ladders(paths);
    for (const int sizes : {1, 2, 3})
      for (const char* law : {"small models", "Chinchilla", "kappa 0.8, drift"})
        for (const bool halved : {false, true}) {
          Ladder ladder;
          ladder.rungs = 12 / sizes;
          ladder.sizes = sizes;
          ladder.factor = std::pow(1000.0, 1.0 / (ladder.rungs - 1));
          const std::string name = law;
          if (name == "kappa 0.8, drift") ladder.kappa = 0.8, ladder.drift = 0.004;
          if (name == "Chinchilla")  // the refit of Besiroglu et al. 2024
            ladder.A = 482, ladder.B = 2085.43, ladder.E = 1.8172, ladder.alpha = 0.3478, ladder.beta = 0.3658,
            ladder.lowest = 1e19;
          if (halved) ladder.flatten_after = 2;
          std::map<std::string, int> verdicts;
          for (int s = 0; s < ladders; ++s)
            ++verdicts[std::string(flywheel::protocol::name(
                wall_test(make_ladder(ladder, static_cast<uint64_t>(s)), {.bootstrap = 100}).verdict))];
          fmt::print("{:2} levels of {}, {:<16}, {:<32} {}\n", ladder.rungs, sizes, name,
                     halved ? "slope halved in the last decade" : "straight", counts(verdicts, ladders));
        }
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_wall: {}\n", e.what());
    return 1;
  }
}
