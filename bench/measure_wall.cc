// The wall test's false alarms and power. Prints the tables of docs/notes/forecast-backtests.md.
//   measure_wall [LADDERS] RUNS.csv...     LADDERS: synthetic ladders a row, 200; 0: none
// Public ladders are taken as they are and cut at every compute level from the fourth up, each untouched and bent:
// losses of the last decade are raised so that the slope of the compute-optimal loss there (ln L against ln C, as the
// forecaster has it) is halved or none. Synthetic ones have 12 runs with 0.3% noise over three decades: one run a level
// along the frontier, four levels of three sizes, or six of two; the last decade straight or its slope halved; the law
// the test's own, or kappa and a drift of 0.4% per square root of a decade.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/forecast/wall.h"
#include "scaling/laws/synthetic_ladder.h"
#include "scaling/tables/runs_table.h"

namespace {

using namespace flywheel::scaling;
using flywheel::protocol::WallVerdict;

struct Counts {
  int wall = 0, none = 0, total = 0;
  void add(WallVerdict verdict) {
    wall += verdict == WallVerdict::kWall;
    none += verdict == WallVerdict::kNoneSeen;
    ++total;
  }
  void add(const Counts& more) { wall += more.wall, none += more.none, total += more.total; }
  std::string text() const {
    return fmt::format("{:3} wall {:3} none seen {:3} cannot tell", wall, none, total - wall - none);
  }
};

// With this share of the frontier's slope over the last decade taken away, from exactly a decade before the end.
std::vector<Point> bent(std::vector<Point> points, double share) {
  const Forecaster forecaster(points);
  const double top = forecaster.highest_flops();
  const double slope =
      std::log(forecaster.compute_optimal(top).loss / forecaster.compute_optimal(top / 10).loss) / std::log(10.0);
  for (Point& p : points) p.L *= std::exp(-share * slope * std::max(0.0, std::log(10 * flops_of(p) / top)));
  return points;
}

const std::vector<std::pair<const char*, double>> kBends = {{"untouched", 0}, {"halved", 0.5}, {"flat", 1}};

void public_ladders(const std::vector<flywheel::Path>& paths) {
  std::map<std::string, Counts> full, cut;
  Counts vouched_halved;  // halved ladders whose untouched one was called "none seen"
  double seconds = 0, promised = 0;
  for (const flywheel::Path& path : paths) {
    const std::vector<Point> points = parse_runs(flywheel::real_file_system().read(path), path.string()).points;
    const auto levels = compute_levels(points);
    std::vector<Point> below;
    std::map<std::string, Counts> cuts;
    for (size_t level = 0; level < levels.size(); ++level) {
      for (const size_t i : levels[level]) below.push_back(points[i]);
      if (level < 3) continue;
      bool vouched = false;
      const bool whole = level + 1 == levels.size();
      for (const auto& [name, share] : kBends) {
        const std::vector<Point> ladder = bent(below, share);
        const auto start = std::chrono::steady_clock::now();
        const Wall wall = wall_test(ladder);
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        if (whole)
          fmt::print("{:<54} {:<9} {}: {}\n", path.stem().string(), name, flywheel::protocol::name(wall.verdict),
                     wall.why);
        fmt::print("TSV {} {} {} {} {:.4f} {:.3f} {}\n", path.stem().string(), level, whole, name, wall.p_value,
                   wall.power_halved, int(wall.verdict));
        (whole ? full[name] : cuts[name]).add(wall.verdict);
        if (share == 0)
          vouched = wall.verdict == WallVerdict::kNoneSeen,
          promised += std::isnan(wall.power_halved) ? 0 : wall.power_halved;
        if (share == 0.5 && vouched) vouched_halved.add(wall.verdict);
      }
    }
    for (const auto& [name, share] : kBends) {
      fmt::print("{:<54} {:<9} {:3} cuts {}\n", path.stem().string(), name, cuts[name].total, cuts[name].text());
      cut[name].add(cuts[name]);
    }
  }
  for (const auto& [name, share] : kBends) {
    fmt::print("{:<54} {:<9} {:3} full {}\n", "all", name, full[name].total, full[name].text());
    fmt::print("{:<54} {:<9} {:3} cuts {}\n", "all", name, cut[name].total, cut[name].text());
  }
  fmt::print("halved, where the untouched ladder is \"none seen\": {}\n", vouched_halved.text());
  fmt::print("walls promised among the halved: {:.1f}, called: {}\n", promised,
             full["halved"].wall + cut["halved"].wall);
  fmt::print("{:.1f} seconds in {} tests\n", seconds, 3 * (full["flat"].total + cut["flat"].total));
}

void synthetic_ladders(int ladders) {
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
        Counts counts;
        for (int s = 0; s < ladders; ++s) counts.add(wall_test(make_ladder(ladder, static_cast<uint64_t>(s))).verdict);
        fmt::print("{:2} levels of {}, {:<16}, {:<32} {}\n", ladder.rungs, sizes, name,
                   halved ? "slope halved in the last decade" : "straight", counts.text());
      }
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
    synthetic_ladders(ladders);
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_wall: {}\n", e.what());
    return 1;
  }
}
