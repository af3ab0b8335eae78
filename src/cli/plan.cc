// flywheel plan: what to train with a budget, from anybody's runs or from a lab: size, tokens, rates, loss, time, what
// it costs to be off, and what changes when the model will be served.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/format.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/plan_source.h"
#include "cli/plan_text.h"
#include "recipe/size.h"
#include "scaling/forecast/backtest.h"
#include "scaling/forecast/forecaster.h"
#include "scaling/laws/allocation.h"
#include "scaling/laws/approaches.h"
#include "scaling/laws/statistics.h"

namespace flywheel::cli {
namespace {

using scaling::Fit;
using scaling::Range;

struct Options {
  std::vector<std::string> flops, seconds;
  std::string csv, lab, inference, rate, peak, form = "chinchilla";
  double mfu = 0, gpus = 1;
  int bootstrap = 200, threads = 1;
  uint64_t seed = 1;
  bool json = false;
};

struct Rate {
  double flops_per_second = 0;  // of one device; 0: not known
  double gpus = 1;
};

double amount(const char* option, const std::string& text, double lowest, double highest) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= lowest) || !(value <= highest))
    throw_bad_input("{} \"{}\": expected a number between {:g} and {:g}, such as 1e12", option, text, lowest, highest);
  return value;
}

constexpr double kMostFlops = 1e29;  // the world has computed less

double flops_of_budget(const std::string& text) {
  const Budget budget = parse_budget(text);
  if (budget.flops <= 0) throw_bad_input("--flops \"{}\": is a time; give it as --seconds, with a rate", text);
  if (budget.flops > kMostFlops)
    throw_bad_input("--flops \"{}\": a budget above {:g} FLOPs is nobody's; expected a number such as 1e21", text,
                    kMostFlops);
  return budget.flops;
}

Rate rate_of(const Options& options, const PlanSource& source) {
  Rate rate;
  if (!std::isfinite(options.gpus) || options.gpus <= 0 || options.gpus > 1e7)
    throw_bad_input("--gpus {}: expected the number of devices, above 0", options.gpus);
  rate.gpus = options.gpus;
  if (!options.rate.empty()) {
    if (!options.peak.empty() || options.mfu != 0)
      throw_bad_input("--flops-per-second says what --mfu and --peak would; give one or the other");
    rate.flops_per_second = amount("--flops-per-second", options.rate, 1, 1e21);
  } else if (!options.peak.empty() || options.mfu != 0) {
    if (options.peak.empty() || options.mfu == 0) throw_bad_input("--mfu and --peak go together: give both");
    if (!(options.mfu > 0) || options.mfu > 1)
      throw_bad_input("--mfu {}: expected the share of the peak that is reached, above 0 and at most 1", options.mfu);
    rate.flops_per_second = options.mfu * amount("--peak", options.peak, 1, 1e21);
  } else {
    rate.flops_per_second = source.flops_per_second;
  }
  return rate;
}

std::vector<double> budgets_of(const Options& options, const Rate& rate, const PlanSource& source) {
  std::vector<double> budgets;
  for (const std::string& text : options.flops) budgets.push_back(flops_of_budget(text));
  for (const std::string& text : options.seconds) {
    if (rate.flops_per_second <= 0)
      throw_bad_input("--seconds needs a rate: give --flops-per-second, or --mfu and --peak, and --gpus");
    const bool unit = !text.empty() && std::isalpha(static_cast<unsigned char>(text.back()));
    const double seconds = unit ? parse_budget(text).seconds : amount("--seconds", text, 1, 10 * 365.25 * 86400);
    budgets.push_back(seconds * rate.flops_per_second * rate.gpus);
    if (budgets.back() > kMostFlops) throw_bad_input("--seconds {} at this rate is above {:g} FLOPs", text, kMostFlops);
  }
  if (budgets.empty()) throw_bad_input("a plan needs a budget: --flops 1e21, or --seconds 30d with a rate");
  for (const double flops : budgets)
    if (flops < source.lowest_flops)
      throw_bad_input(
          "a budget of {:.3g} FLOPs lies below the data: the smallest run of {} took {:.3g}; give at least that", flops,
          source.name, source.lowest_flops);
  return budgets;
}

OrderedJson to_json(const Range& range) {
  return {{"value", range.value}, {"low", range.low}, {"high", range.high}};
}

OrderedJson to_json(const scaling::RateRule& rule) {
  return {{"missing", rule.missing.empty() ? OrderedJson() : OrderedJson(rule.missing)},
          {"coefficient", to_json(rule.coefficient)},
          {"n", to_json(rule.n)},
          {"d", to_json(rule.d)}};
}

OrderedJson concrete_json(const recipe::Recipe& recipe, double parameters, double flops,
                          const scaling::Predictor& predict) {
  const recipe::Size size = recipe::with_flops(recipe, recipe::nearest_size(recipe, parameters), flops);
  const auto N = static_cast<double>(count(recipe, size).matrix_parameters);
  const auto D = static_cast<double>(size.tokens());
  return {{"layers", size.layers},
          {"width", size.width},
          {"heads", size.heads},
          {"feed_forward", size.feed_forward},
          {"context", size.context},
          {"params", N},
          {"batch_sequences", size.batch_sequences},
          {"steps", size.steps},
          {"tokens", D},
          {"flops", recipe::training_flops(recipe, size)},
          {"matrix_learning_rate", size.matrix_learning_rate},
          {"head_learning_rate", size.head_learning_rate},
          {"loss", predict(N, D).loss}};
}

OrderedJson served_json(const Fit& fit, const scaling::Allocation& plan, double tokens) {
  const auto per_token = [&](double N) { return fit.flops_rule.per_token(N); };
  const scaling::Loss loss = scaling::loss_of(fit.law);
  constexpr size_t kMostResamples = 100;
  const auto row = [&](const scaling::Served& served, auto&& again) -> OrderedJson {
    if (served.N == 0) return nullptr;
    std::vector<double> sizes;
    for (size_t r = 0; r < std::min(kMostResamples, fit.resamples.size()); ++r) {
      const double N = again(scaling::loss_of(fit.resamples[r]));
      if (N > 0) sizes.push_back(N);
    }
    Range range{served.N, served.N, served.N};
    if (!sizes.empty())
      range = {served.N, std::min(served.N, scaling::quantile(sizes, 0.05)),
               std::max(served.N, scaling::quantile(sizes, 0.95))};
    return {{"params", to_json(range)},
            {"tokens", served.D},
            {"loss", served.loss},
            {"train_flops", served.train_flops},
            {"inference_flops", served.inference_flops}};
  };
  // Each resample's own loss at the planned size, so that the interval is that of the trade and not of the loss.
  const double target = loss(plan.N.value, plan.D.value);
  const scaling::Served cheapest = scaling::cheapest_at_loss(loss, per_token, target, tokens);
  OrderedJson json = {{"tokens_served", tokens}};
  json["same_loss"] = row(cheapest, [&](const scaling::Loss& law) {
    return scaling::cheapest_at_loss(law, per_token, law(plan.N.value, plan.D.value), tokens).N;
  });
  json["same_total"] = row(scaling::best_at_total(loss, per_token, plan.flops, tokens), [&](const scaling::Loss& law) {
    return scaling::best_at_total(law, per_token, plan.flops, tokens).N;
  });
  const double plain = plan.flops + per_token(plan.N.value) * tokens / 3;
  json["saving"] = cheapest.N > 0 ? OrderedJson(1 - cheapest.flops() / plain) : OrderedJson();
  return json;
}

std::vector<std::string> notes_of(double flops, const PlanSource& source, const Rate& rate) {
  std::vector<std::string> notes;
  const double decades = std::log10(flops / source.highest_flops);
  if (decades > 2)
    notes.push_back(fmt::format(
        "the budget is {:.1f} decades above the largest run; nothing here has been tested that far, so take the "
        "interval for a lower bound of what is not known",
        decades));
  if (rate.flops_per_second <= 0) notes.push_back("no rate given: for the time, --flops-per-second 4e14 --gpus 64");
  return notes;
}

OrderedJson plan_json(const Options& options) {
  const PlanSource source = options.csv.empty() ? plan_source_from_lab(options.lab) : plan_source_from_csv(options.csv);
  const Rate rate = rate_of(options, source);
  const std::vector<double> budgets = budgets_of(options, rate, source);
  const double served = options.inference.empty() ? 0 : amount("--inference-tokens", options.inference, 1, 1e20);

  scaling::Forecaster forecaster(source.points);
  forecaster.error_inflation = scaling::inflation_from_backtest(scaling::backtest(source.points, 3));
  const scaling::Predictor predict = [&](double N, double D) { return forecaster.predict(N, D); };
  scaling::FitOptions published = scaling::published_options();
  published.form = options.form;
  published.bootstrap = options.bootstrap;
  published.seed = options.seed;
  published.threads = options.threads;
  // Sizes come from a plain fit, losses from the forecaster, which gives runs off the frontier, those that place the
  // optimum, less of a say.
  const Fit plain = scaling::fit(source.points, published);
  const std::vector<scaling::Approach> approaches = scaling::all_approaches(source.points, plain);
  const scaling::RateRules rates = scaling::fit_rate_rules(source.sweep, options.bootstrap, options.seed);

  OrderedJson json = {{"source", source.name},
                      {"runs", source.points.size()},
                      {"unit", source.unit},
                      {"lowest_flops", source.lowest_flops},
                      {"highest_flops", source.highest_flops},
                      {"form", plain.law.form},
                      {"parameters", OrderedJson(plain.law.parameters)},
                      {"identified", plain.identified},
                      {"warnings", plain.warnings},
                      {"plans", OrderedJson::array()}};
  for (const double flops : budgets) {
    const scaling::Allocation plan = scaling::allocate(plain, flops, predict);
    OrderedJson row = {{"flops", flops},
                       {"params", to_json(plan.N)},
                       {"tokens", to_json(plan.D)},
                       {"tokens_per_parameter", to_json(plan.tokens_per_parameter)},
                       {"loss", plan.loss.loss},
                       {"low", plan.loss.low},
                       {"high", plan.loss.high},
                       {"compute_multiple_of_plan", to_json(plan.compute_multiple_of_plan)},
                       {"off", OrderedJson::array()},
                       {"by_approach", OrderedJson::array()}};
    for (const scaling::OffOptimum& off : plan.off)
      row["off"].push_back({{"factor", off.factor},
                            {"extra_loss", to_json(off.extra_loss)},
                            {"compute_multiple", to_json(off.compute_multiple)}});
    for (const scaling::Approach& approach : approaches)
      if (approach.missing.empty())
        row["by_approach"].push_back({{"name", approach.name}, {"params", approach.size_at(flops)}});
    if (!source.sweep.empty()) {
      if (rates.learning_rate.missing.empty())
        row["learning_rate"] = to_json(rates.learning_rate.at(plan.N.value, plan.D.value));
      if (rates.batch.missing.empty()) row["batch"] = to_json(rates.batch.at(plan.N.value, plan.D.value));
    }
    if (source.recipe) row["concrete"] = concrete_json(*source.recipe, plan.N.value, flops, predict);
    if (rate.flops_per_second > 0) {
      row["seconds"] = flops / (rate.flops_per_second * rate.gpus);
      row["gpu_hours"] = flops / rate.flops_per_second / 3600;
      row["gpus"] = rate.gpus;
      row["flops_per_second"] = rate.flops_per_second;
    }
    if (served > 0) row["inference"] = served_json(plain, plan, served);
    row["notes"] = notes_of(flops, source, rate);
    if (served > 0 && !row["inference"]["same_loss"].is_null()) {
      const OrderedJson& model = row["inference"]["same_loss"];
      const double ratio = model["tokens"].get<double>() / model["params"]["value"].get<double>();
      if (ratio > source.highest_ratio)
        row["notes"].push_back(fmt::format(
            "the model to serve trains on {:.0f} tokens a parameter, the runs on at most {:.0f}; laws fitted to short "
            "runs promise too much of longer ones (Sardana et al. 2023)",
            ratio, source.highest_ratio));
    }
    json["plans"].push_back(std::move(row));
  }
  json["approaches"] = OrderedJson::array();
  for (const scaling::Approach& approach : approaches)
    json["approaches"].push_back({{"name", approach.name},
                                  {"a", approach.missing.empty() ? OrderedJson(approach.a) : OrderedJson()},
                                  {"low", approach.missing.empty() ? OrderedJson(approach.low) : OrderedJson()},
                                  {"high", approach.missing.empty() ? OrderedJson(approach.high) : OrderedJson()},
                                  {"used", approach.used},
                                  {"missing", approach.missing.empty() ? OrderedJson() : OrderedJson(approach.missing)},
                                  {"biases", approach.biases}});
  if (!source.sweep.empty()) {
    size_t used = 0;
    for (const scaling::RateCell& cell : rates.cells) used += cell.trouble.empty();
    json["rates"] = {{"cells", rates.cells.size()},
                     {"used", used},
                     {"learning_rate", to_json(rates.learning_rate)},
                     {"batch", to_json(rates.batch)}};
  }
  return json;
}

}  // namespace

Action declare_plan(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--flops", options->flops, "Training budget in FLOPs, such as 1e21; may be given several times");
  app.add_option("--seconds", options->seconds, "Training budget as time (30d, 12h, or seconds) at the rate given");
  auto* csv = app.add_option("--csv", options->csv, "CSV of finished runs: N, D, L, optionally C, lr and batch_size");
  app.add_option("--law", options->lab, "A lab's folder, instead of a CSV")->excludes(csv);
  app.add_option("--inference-tokens", options->inference, "Tokens the model will read or write when served");
  app.add_option("--flops-per-second", options->rate, "Rate that one device reaches in training, such as 4e14");
  app.add_option("--gpus", options->gpus, "Devices")->capture_default_str();
  app.add_option("--mfu", options->mfu, "Share of the peak that is reached, with --peak");
  app.add_option("--peak", options->peak, "Peak FLOP/s of one device, such as 9.89e14");
  app.add_option("--form", options->form, "Form of the law")->capture_default_str();
  app.add_option("--bootstrap", options->bootstrap, "Resamples for intervals")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  app.add_option("--seed", options->seed, "Seed of the resamples")->capture_default_str();
  app.add_option("--threads", options->threads, "Threads; the numbers do not depend on it")->check(CLI::Range(1, 256));
  app.add_flag("--json", options->json, "Print one JSON object");
  return [options] {
    if (options->csv.empty() && options->lab.empty())
      throw_bad_input("a plan needs runs: --csv RUNS.csv, or --law LAB for a lab's folder");
    const OrderedJson json = plan_json(*options);
    if (options->json)
      fmt::print("{}\n", json.dump());
    else
      print_plan(json);
    return 0;
  };
}

}  // namespace flywheel::cli
