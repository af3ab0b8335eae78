#include "report/training_curve.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "protocol/run_events.h"

namespace flywheel::report {
namespace {

constexpr double kStep = 0.08;  // of ln FLOPs
constexpr int kFewest = 12;

struct LoggedLoss {
  int64_t step = 0;
  double tokens = 0, loss = 0;
};

std::vector<LoggedLoss> logged_losses(const Path& events_file) {
  std::vector<LoggedLoss> losses;
  for (const protocol::RunEvent& event : protocol::EventTail(events_file).poll()) {
    if (event.type == "start") protocol::rewind_to(losses, protocol::resumed_step(event));
    if (event.type != "step") continue;
    const auto number = [&](const char* field) {
      const auto found = event.fields.find(field);
      return found != event.fields.end() && found->is_number() ? found->get<double>() : std::nan("");
    };
    const double step = number("step"), tokens = number("tokens"), loss = number("loss");
    if (std::isfinite(step) && tokens > 0 && std::isfinite(loss))
      losses.push_back({static_cast<int64_t>(step), tokens, loss});
  }
  return losses;
}

}  // namespace

double bits_per_byte_per_nat(const ledger::CorpusRecord& corpus) {
  const auto train = corpus.splits.find("train");
  if (train == corpus.splits.end() || train->second.bytes <= 0) return 0;
  return static_cast<double>(train->second.tokens) / static_cast<double>(train->second.bytes) / std::log(2.0);
}

std::vector<TrainingPoint> training_curve(const Path& events_file, const TrainingUnits& units, int most) {
  std::vector<TrainingPoint> curve;
  if (!(units.bits_per_byte_per_nat > 0) || !(units.flops_per_token > 0) || most < 1) return curve;
  std::vector<LoggedLoss> losses;
  try {
    losses = logged_losses(events_file);
  } catch (const Error&) {
    return curve;  // the report stands without it
  }
  if (losses.empty()) return curve;
  const double first = std::log(losses.front().tokens), last = std::log(losses.back().tokens);
  const double range = last - first, width = std::max({std::min(kStep, range / kFewest), range / most, 1e-9});
  const auto bucket_of = [&](const LoggedLoss& logged) {
    // The last loss of all lies on the end of the last bucket.
    return std::floor(std::min((std::log(logged.tokens) - first) / width, std::max(range / width - 0.5, 0.0)));
  };
  for (size_t i = 0; i < losses.size();) {
    const double bucket = bucket_of(losses[i]);
    double n = 0, place = 0, loss = 0;
    for (; i < losses.size() && bucket_of(losses[i]) == bucket; ++i) {
      ++n;
      place += std::log(losses[i].tokens);
      loss += losses[i].loss;
    }
    curve.push_back({std::exp(place / n) * units.flops_per_token, loss / n * units.bits_per_byte_per_nat});
  }
  return curve;
}

}  // namespace flywheel::report
