// How well forecasts do on ladders of a family that no belief has seen: the beliefs of forecaster.h are learnt anew,
// from a neutral start, on all families but one, and score the family left out. Prints the tables of
// docs/notes/forecast-backtests.md. A family is a table's name up to its first underscore.
//   measure_families [--rounds 2] [--resamples 100] RUNS.csv... [--unseen RUNS.csv...]
// Tables after --unseen teach nothing: they are scored with the beliefs learnt on all before, and with those of the
// program.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/statistics.h"
#include "bench/ladder_cuts.h"
#include "scaling/forecast/backtest.h"
#include "scaling/tables/runs_clean.h"

namespace flywheel::bench {
namespace {

using scaling::Beliefs;

constexpr size_t kLearnRuns = 48;  // of a ladder while beliefs are learnt, for speed
constexpr double kTail = 5;        // degrees of freedom of the score that beliefs are learnt by
constexpr double kLevel = 0.9;     // of the intervals
constexpr double kLeastPartError = 0.8, kMostPartError = 2;
constexpr int kHalvings = 6;
constexpr int kDraws = 4000;  // of ladders, for the interval of the coverage

// A belief that is learnt: its neutral value, and the standard deviation of its log about that.
struct Learnt {
  const char* name;
  double Beliefs::*value;
  double neutral, log_sd;
};
const Learnt kLearnt[] = {
    {"alpha", &Beliefs::alpha, 0.35, 0.3},
    {"alpha_log_sd", &Beliefs::alpha_log_sd, 0.4, 0.5},
    {"beta", &Beliefs::beta, 0.35, 0.3},
    {"beta_log_sd", &Beliefs::beta_log_sd, 0.4, 0.5},
    {"floor", &Beliefs::floor, 0.6, 0.3},
    {"floor_log_sd", &Beliefs::floor_log_sd, 0.3, 0.5},
    {"kappa", &Beliefs::kappa, 1, 0.5},
    {"kappa_log_sd", &Beliefs::kappa_log_sd, 0.5, 0.5},
    {"misfit_sd", &Beliefs::misfit_sd, 0.04, 0.7},
    {"reach_compute", &Beliefs::reach_compute, 4, 0.5},
    {"reach_ratio", &Beliefs::reach_ratio, 2, 0.5},
    {"rough_share", &Beliefs::rough_share, 0.02, 1},
    {"noise_sd", &Beliefs::noise_sd, 0.004, 0.7},
    {"focus", &Beliefs::focus, 0.3, 0.5},
    {"frontier_width", &Beliefs::frontier_width, 0.15, 0.5},
    {"near_width", &Beliefs::near_width, 1, 0.3},
    {"far_width", &Beliefs::far_width, 1, 0.3},
};
constexpr size_t kLearntCount = std::size(kLearnt);
constexpr size_t kFirstWidth = kLearntCount - 2;
using Steps = std::vector<double>;  // from neutral, in log_sd

Beliefs beliefs_at(const Steps& steps) {
  Beliefs beliefs;
  for (size_t i = 0; i < kLearntCount; ++i)
    beliefs.*kLearnt[i].value = kLearnt[i].neutral * std::exp(kLearnt[i].log_sd * steps[i]);
  return beliefs;
}

struct Ladder {
  std::string name, family;
  std::vector<Point> points;
};

double log_density(const Miss& m) {
  const double sd = (m.below + m.above) / (2 * student_quantile(0.95, kTail)), z = m.error / sd;
  return -std::log(sd) - 0.5 * (kTail + 1) * std::log1p(z * z / kTail);
}

// What beliefs are learnt by: the log density of held-out runs, mean over the runs of a cut, sum over cuts and ladders,
// less what beliefs far from neutral cost.
double worth(const std::vector<Split>& splits, const Steps& steps, bool shown) {
  const Beliefs beliefs = beliefs_at(steps);
  double sum = 0;
  for (const Split& split : splits) {
    double score = 0;
    for (const Miss& m : misses_of(shown ? ours(beliefs) : own_intervals(beliefs), split)) score += log_density(m);
    sum += score / static_cast<double>(split.above.size());
  }
  for (const double step : steps) sum -= 0.5 * step * step;
  return std::isfinite(sum) ? sum : -1e300;
}

using Families = std::set<std::string>;

std::vector<Split> splits_of(const std::vector<Ladder>& ladders, const Families& families) {
  std::vector<Split> splits;
  for (const Ladder& ladder : ladders)
    for (const double k : kCuts) {
      Split split = cut(ladder.points, k);
      if (!families.contains(ladder.family) || !split.fits()) continue;
      split.below = scaling::merge_alike(split.below, kLearnRuns);
      splits.push_back(std::move(split));
    }
  return splits;
}

// Each belief in turn a step up or down, where that is worth more; steps grow that succeed and shrink that fail. All
// are learnt of the model's own intervals, which are quick; at last the widths, of intervals as the program shows them.
Beliefs learn_density(const std::vector<Split>& splits, int rounds) {
  Steps at(kLearntCount, 0.0), lengths(kLearntCount, 0.8);
  for (const bool shown : {false, true}) {
    double best = worth(splits, at, shown);
    for (int round = 0; round < rounds; ++round)
      for (size_t i = shown ? kFirstWidth : 0; i < kLearntCount; ++i) {
        bool moved = false;
        for (const double sign : {1.0, -1.0}) {
          Steps trial = at;
          trial[i] += sign * lengths[i];
          const double value = worth(splits, trial, shown);
          if (value <= best) continue;
          best = value, at = trial, moved = true;
          lengths[i] *= sign;  // this way first, next time
          break;
        }
        lengths[i] *= moved ? 1.3 : 0.5;
      }
  }
  return beliefs_at(at);
}

// What is learnt from some families. A density is learnt of the middle of the errors as well as of their tails, so that
// intervals at 90% come out too wide or too narrow: the error of backtests is what makes 90% of the runs lie inside,
// each cut of a ladder counting alike, of every family as beliefs learnt on the others forecast it.
class Learner {
 public:
  Learner(const std::vector<Ladder>& ladders, int rounds) : ladders_(ladders), rounds_(rounds) {
    for (const Ladder& ladder : ladders) all_.insert(ladder.family);
  }

  // On all families but `left_out`, which may be none; prints them.
  Beliefs learn(const std::string& left_out) {
    Families families = all_;
    families.erase(left_out);
    double low = kLeastPartError, high = kMostPartError;  // a larger one narrows intervals
    for (int i = 0; i < kHalvings; ++i) {
      const double middle = std::sqrt(low * high);
      (share_inside(families, middle) > kLevel ? low : high) = middle;
    }
    Beliefs beliefs = density_of(families);
    beliefs.part_error = std::sqrt(low * high);
    fmt::print("{:<12}", left_out.empty() ? "from all" : left_out);
    for (const Learnt& l : kLearnt) fmt::print(" {} {:.3g}", l.name, beliefs.*l.value);
    fmt::print(" part_error {:.3g}\n", beliefs.part_error);
    return beliefs;
  }

 private:
  const Beliefs& density_of(const Families& families) {
    const auto [found, fresh] = learnt_.try_emplace(families);
    if (fresh) found->second = learn_density(splits_of(ladders_, families), rounds_);
    return found->second;
  }

  // Of the held-out runs of these families.
  double share_inside(const Families& families, double part_error) {
    std::vector<double> shares;
    for (const std::string& family : families) {
      Families others = families;
      others.erase(family);
      Beliefs beliefs = density_of(others);
      beliefs.part_error = part_error;
      for (const Split& split : splits_of(ladders_, {family}))
        shares.push_back(coverage(misses_of(ours(beliefs), split), 1));
    }
    return mean(shares);
  }

  const std::vector<Ladder>& ladders_;
  int rounds_;
  Families all_;
  std::map<Families, Beliefs> learnt_;
};

struct ErrorTable {
  std::string name;
  std::vector<Misses> ladders[kCutCount];
  std::vector<std::string> families[kCutCount];  // of each ladder
};

template <typename MethodOf>
ErrorTable measure(const std::string& name, const std::vector<Ladder>& ladders, const MethodOf& method_of) {
  ErrorTable table{name, {}, {}};
  for (const Ladder& ladder : ladders)
    for (size_t c = 0; c < kCutCount; ++c) {
      const Split split = cut(ladder.points, kCuts[c]);
      if (!split.fits()) continue;
      table.ladders[c].push_back(misses_of(method_of(ladder), split));
      table.families[c].push_back(ladder.family);
    }
  return table;
}

// Median error over ladders, mean coverage, and its 95% interval with ladders drawn anew.
void print_errors(const ErrorTable& table) {
  fmt::print("{:<22}", table.name);
  for (size_t c = 0; c < kCutCount; ++c) {
    const std::vector<Misses>& ladders = table.ladders[c];
    if (ladders.empty()) continue;
    std::vector<double> errors, covered, means;
    for (const Misses& ladder : ladders)
      errors.push_back(median_error_percent(ladder)), covered.push_back(coverage(ladder, 1));
    Rng rng(1, c);
    for (int draw = 0; draw < kDraws; ++draw) {
      std::vector<double> sample;
      for (size_t i = 0; i < covered.size(); ++i) sample.push_back(covered[rng.below(covered.size())]);
      means.push_back(mean(sample));
    }
    fmt::print("  k {:>3}: {:5.2f}% {:.2f} [{:.2f}, {:.2f}]", kCuts[c], quantile(errors, 0.5), mean(covered),
               quantile(means, 0.025), quantile(means, 0.975));
  }
  fmt::print("\n");
}

// Interval score of each family, mean over its ladders and cuts; `alike`: at the first table's coverage of each cut.
void print_scores(const std::vector<const ErrorTable*>& tables, bool alike) {
  std::map<std::string, std::vector<std::vector<double>>> scores;
  for (size_t t = 0; t < tables.size(); ++t)
    for (size_t c = 0; c < kCutCount; ++c) {
      if (tables[t]->ladders[c].empty()) continue;
      const double wanted = coverage(tables[0]->ladders[c], 1);
      const double inflate = t == 0 || !alike ? 1 : inflation_for(tables[t]->ladders[c], wanted);
      for (size_t i = 0; i < tables[t]->ladders[c].size(); ++i) {
        auto& row = scores[tables[t]->families[c][i]];
        row.resize(tables.size());
        row[t].push_back(interval_score(tables[t]->ladders[c][i], inflate));
      }
    }
  fmt::print("\ninterval score{:8}", "");
  for (const ErrorTable* table : tables) fmt::print(" {:>22}", table->name);
  fmt::print("\n");
  for (const auto& [family, row] : scores) {
    fmt::print("{:<22}", family);
    for (const std::vector<double>& values : row) fmt::print(" {:>22.2f}", mean(values));
    fmt::print("\n");
  }
}

// Returns the first table, of families kept apart.
ErrorTable compare(const std::vector<Ladder>& ladders, const std::map<std::string, Beliefs>& learnt, int resamples) {
  const auto beliefs_of = [&](const Ladder& l) {
    const auto found = learnt.find(l.family);
    return found == learnt.end() ? learnt.at("") : found->second;
  };
  const ErrorTable apart = measure("kept apart", ladders, [&](const Ladder& l) { return ours(beliefs_of(l)); });
  const ErrorTable own =
      measure("without backtests", ladders, [&](const Ladder& l) { return own_intervals(beliefs_of(l)); });
  const ErrorTable program = measure("the program's beliefs", ladders, [&](const Ladder&) { return ours(); });
  const ErrorTable program_own = measure("without backtests", ladders, [&](const Ladder&) { return own_intervals(); });
  for (const ErrorTable* table : {&apart, &own, &program, &program_own}) print_errors(*table);
  const auto form = [&](const char* name) {
    return measure(name, ladders, [&](const Ladder&) { return usual(name, resamples); });
  };
  const ErrorTable chinchilla = form("chinchilla"), kappa = form("kappa");
  print_errors(chinchilla);
  print_errors(kappa);
  print_scores({&apart, &own, &program, &program_own}, false);
  if (resamples > 0) print_scores({&apart, &chinchilla, &kappa}, true);
  return apart;
}

}  // namespace
}  // namespace flywheel::bench

int main(int count, char** arguments) {
  using namespace flywheel;
  using namespace flywheel::bench;
  try {
    int rounds = 2, resamples = 100;
    bool unseen_follow = false;
    std::vector<Ladder> seen, unseen;
    for (int a = 1; a < count; ++a) {
      const std::string_view argument = arguments[a];
      if (argument == "--rounds" && a + 1 < count) {
        rounds = std::atoi(arguments[++a]);
      } else if (argument == "--resamples" && a + 1 < count) {
        resamples = std::atoi(arguments[++a]);
      } else if (argument == "--unseen") {
        unseen_follow = true;
      } else {
        const Path path(argument);
        const std::string name = path.stem().string();
        (unseen_follow ? unseen : seen).push_back({name, name.substr(0, name.find('_')), runs_in(path)});
      }
    }
    fmt::print("beliefs learnt without\n");
    std::map<std::string, Beliefs> learnt, from_all;
    Learner learner(seen, rounds);
    for (const Ladder& ladder : seen)
      if (!learnt.contains(ladder.family)) learnt[ladder.family] = learner.learn(ladder.family);
    fmt::print("\nmedian error over ladders, mean coverage [95% interval, clustered by ladder]\n");
    ErrorTable apart = compare(seen, learnt, resamples);
    if (unseen.empty()) return 0;
    fmt::print("\nunseen\n");
    from_all[""] = learner.learn("");
    const ErrorTable others = compare(unseen, from_all, resamples);
    for (size_t c = 0; c < kCutCount; ++c)
      apart.ladders[c].insert(apart.ladders[c].end(), others.ladders[c].begin(), others.ladders[c].end());
    fmt::print("\nboth\n");
    print_errors(apart);
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_families: {}\n", e.what());
    return 1;
  }
}
