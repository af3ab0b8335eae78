// flywheel fit --curves CURVES.csv|FOLDER: fits the multi-power law and two simpler ones to whole loss curves, tests
// them on schedules held out, and predicts the ends of runs that are under way or only planned (--predict).
#include "cli/fit_curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/file_system.h"
#include "base/json.h"
#include "cli/run_curves.h"
#include "scaling/curves/curve_forecast.h"
#include "scaling/laws/statistics.h"
#include "scaling/tables/curve_table.h"

namespace flywheel::cli {
namespace {

using scaling::Curve;
using scaling::CurveError;
using scaling::CurveFitOptions;
using scaling::CurveForm;
using scaling::CurveLaw;

struct Options {
  std::string curves;
  std::vector<std::string> hold_out;  // parts of names
};

constexpr size_t kMostPoints = 200;  // of a curve: more are averaged

std::vector<Curve> read_curves(const std::string& path, bool loss_required) {
  if (std::filesystem::is_directory(path)) return read_run_curves(path);
  if (!std::filesystem::is_regular_file(path))
    throw_bad_input("{}: no such file; expected a CSV of curves (run, step, lr, loss) or a folder of run directories",
                    path);
  return scaling::parse_curves(real_file_system().read(path), path, loss_required);
}

OrderedJson number_or_null(double value) {
  return std::isfinite(value) ? OrderedJson(value) : OrderedJson(nullptr);
}

OrderedJson error_json(const CurveError& error) {
  return {{"name", error.name},
          {"median_error_percent", 100 * error.median_absolute},
          {"worst_error_percent", 100 * error.worst_absolute},
          {"final_predicted", error.predicted},
          {"final_measured", error.measured},
          {"final_error_percent", 100 * error.final}};
}

// Medians over curves, and each curve.
OrderedJson errors_json(const std::vector<CurveError>& errors) {
  std::vector<double> curve, final;
  OrderedJson each = OrderedJson::array();
  for (const CurveError& error : errors) {
    curve.push_back(100 * error.median_absolute);
    final.push_back(100 * std::abs(error.final));
    each.push_back(error_json(error));
  }
  return {{"median_error_percent", scaling::quantile(curve, 0.5)},
          {"median_final_error_percent", scaling::quantile(final, 0.5)},
          {"curves", each}};
}

OrderedJson form_json(const CurveLaw& law, const std::vector<Curve>& curves, const CurveFitOptions& options) {
  std::vector<CurveError> errors;
  for (const Curve& curve : curves) errors.push_back(curve_error(law, curve, options));
  OrderedJson json = {{"name", scaling::name_of(options.form)},
                      {"objective", law.objective},
                      {"parameters", OrderedJson(law.parameters())},
                      {"residual_sd", law.residual_sd}};
  json.update(errors_json(errors));
  return json;
}

// The sets of curves to hold out: those named, else each shape of schedule in turn.
std::vector<std::vector<size_t>> held_sets(const std::vector<Curve>& curves, const std::vector<std::string>& names) {
  if (names.empty()) {
    std::vector<std::vector<size_t>> shapes = scaling::schedule_shapes(curves);
    return shapes.size() > 1 ? shapes : std::vector<std::vector<size_t>>{};
  }
  std::vector<size_t> held;
  for (size_t c = 0; c < curves.size(); ++c)
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& n) { return curves[c].name.find(n) != std::string::npos; }))
      held.push_back(c);
  if (held.empty() || held.size() == curves.size())
    throw_bad_input("--hold-out {}: {} of {} curves have such names; expected some and not all", fmt::join(names, ","),
                    held.size(), curves.size());
  return {held};
}

OrderedJson forecast_json(const scaling::CurveForecaster& forecaster, const Curve& curve) {
  const scaling::CurvePrediction p = scaling::forecast_end(forecaster, curve);
  OrderedJson row = {{"name", p.name},
                     {"step", p.step},
                     {"loss", p.loss},
                     {"low", number_or_null(p.low)},
                     {"high", number_or_null(p.high)},
                     {"basis", p.basis},
                     {"measured", nullptr}};
  if (!curve.losses.empty() && curve.losses.back().step >= 0.99 * p.step) row["measured"] = curve.losses.back().loss;
  return row;
}

OrderedJson held_out_json(const std::vector<Curve>& curves, const std::vector<size_t>& held, CurveFitOptions options) {
  OrderedJson json = {{"fitted", OrderedJson::array()}, {"decay_seen", true}, {"forms", OrderedJson::array()}};
  for (const CurveForm form : scaling::kCurveForms) {
    options.form = form;
    const scaling::HeldOut result = scaling::hold_out(curves, held, options);
    json["fitted"] = result.fitted;
    json["decay_seen"] = json["decay_seen"] && result.decay_seen;
    OrderedJson row = {{"name", scaling::name_of(form)}};
    row.update(errors_json(result.errors));
    json["forms"].push_back(row);
  }
  // What would have been forecast, interval and choice of form included, from the curves that are fitted alone.
  std::vector<Curve> kept;
  for (size_t c = 0; c < curves.size(); ++c)
    if (std::find(held.begin(), held.end(), c) == held.end()) kept.push_back(curves[c]);
  const scaling::CurveForecaster forecaster = scaling::curve_forecaster(kept, options);
  json["forecast_by"] = scaling::name_of(forecaster.law.layout.form);
  json["forecasts"] = OrderedJson::array();
  for (const size_t c : held) json["forecasts"].push_back(forecast_json(forecaster, curves[c]));
  return json;
}

OrderedJson fit_json(const Options& options, const std::string& predict, double huber) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Curve> all = read_curves(options.curves, true);
  std::vector<Curve> measured, wanted;
  for (const Curve& curve : all) {
    if (!curve.losses.empty()) {
      measured.push_back(curve);
      measured.back().losses = scaling::averaged(curve.losses, kMostPoints);
    }
    if (curve.losses.empty() || curve.losses.back().step < curve.last_step()) wanted.push_back(curve);
  }
  if (measured.size() < 2)
    throw_bad_input(
        "{}: 1 curve with losses; a law over schedules needs at least two that differ in schedule or length",
        options.curves);
  if (!predict.empty())
    for (Curve& curve : read_curves(predict, false)) wanted.push_back(std::move(curve));
  CurveFitOptions fitting;
  fitting.huber_delta = huber;

  OrderedJson json = {{"curves", measured.size()}, {"points", 0}, {"forms", OrderedJson::array()}};
  CurveLaw law;
  for (const CurveForm form : scaling::kCurveForms) {
    fitting.form = form;
    law = scaling::fit_curves(measured, fitting);
    json["forms"].push_back(form_json(law, measured, fitting));
  }
  const scaling::CurveForecaster forecaster = scaling::curve_forecaster(measured, fitting);
  law = forecaster.law;
  json["points"] = law.points;
  json["reference_n"] = law.reference_n;
  json["reference_rates"] = OrderedJson::array();
  for (const auto& [N, rate] : law.reference_rates)
    json["reference_rates"].push_back({{"N", N}, {"learning_rate", rate}});
  json["warnings"] = law.warnings;
  json["held_out"] = OrderedJson::array();
  for (const std::vector<size_t>& held : held_sets(measured, options.hold_out))
    json["held_out"].push_back(held_out_json(measured, held, fitting));

  json["forecast_by"] = scaling::name_of(law.layout.form);
  const std::pair<const char*, const scaling::GroupErrors*> tests[] = {{"leave_one_out", &forecaster.one_out},
                                                                       {"leave_schedule_out", &forecaster.new_schedule},
                                                                       {"leave_size_out", &forecaster.new_size},
                                                                       {"leave_longest_out", &forecaster.longer}};
  for (const auto& [name, errors] : tests)
    json[name] = errors->groups == 0 ? OrderedJson(nullptr) : errors_json(errors->errors);
  json["predictions"] = OrderedJson::array();
  for (const Curve& curve : wanted) json["predictions"].push_back(forecast_json(forecaster, curve));
  json["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return json;
}

void print_errors(const OrderedJson& form) {
  fmt::print("  {:<12} median error {:.3f}%, of the ends {:.3f}%\n", form["name"].get<std::string>(),
             form["median_error_percent"].get<double>(), form["median_final_error_percent"].get<double>());
}

void print_forecast(const OrderedJson& p) {
  fmt::print("  end of {} at step {:.0f}: {:.4f}", p["name"].get<std::string>(), p["step"].get<double>(),
             p["loss"].get<double>());
  if (!p["low"].is_null()) fmt::print("  {:.4f} to {:.4f} (90%)", p["low"].get<double>(), p["high"].get<double>());
  if (!p["measured"].is_null()) fmt::print("  measured {:.4f}", p["measured"].get<double>());
  fmt::print("\n");
}

void print_text(const OrderedJson& json) {
  fmt::print("{} curves, {} points; rates relative to the highest of a size\n", json["curves"].get<size_t>(),
             json["points"].get<size_t>());
  for (const auto& form : json["forms"]) {
    fmt::print("  {:<12}", form["name"].get<std::string>());
    for (const auto& [name, value] : form["parameters"].items()) fmt::print(" {} {:.4g} ", name, value.get<double>());
    fmt::print("\n");
  }
  for (const auto& warning : json["warnings"]) fmt::print("note: {}\n", warning.get<std::string>());
  fmt::print("fit:\n");
  for (const auto& form : json["forms"]) print_errors(form);
  for (const auto& test : json["held_out"]) {
    std::vector<std::string> names;
    for (const auto& curve : test["forms"][0]["curves"]) names.push_back(curve["name"].get<std::string>());
    fmt::print("held out {}{}:\n", fmt::join(names, ", "),
               test["decay_seen"].get<bool>() ? "" : " (no decay was fitted)");
    for (const auto& form : test["forms"]) print_errors(form);
    for (const auto& p : test["forecasts"]) print_forecast(p);
  }
  fmt::print("forecasts by {}; its errors on\n", json["forecast_by"].get<std::string>());
  for (const char* name : {"leave_one_out", "leave_schedule_out", "leave_size_out", "leave_longest_out"})
    if (!json[name].is_null())
      fmt::print("  {:<18}  median error {:.3f}%, of the ends {:.3f}%\n", name,
                 json[name]["median_error_percent"].get<double>(),
                 json[name]["median_final_error_percent"].get<double>());
  for (const auto& p : json["predictions"]) print_forecast(p);
}

}  // namespace

std::function<std::optional<int>()> declare_fit_curves(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option(
      "--curves", options->curves,
      "Fit whole loss curves instead: a CSV (run, step, lr, loss; optional N, tokens_per_step) or a folder of run "
      "directories");
  app.add_option("--hold-out", options->hold_out,
                 "With --curves: predict the curves with this in their names from the others")
      ->delimiter(',');
  app.get_option("runs")->required(false);
  return [options, &app]() -> std::optional<int> {
    const bool runs = app.get_option("runs")->count() > 0;
    if (options->curves.empty()) {
      if (!runs) throw_bad_input("expected a CSV of runs, or --curves with a CSV of loss curves or a folder of runs");
      return std::nullopt;
    }
    if (runs) throw_bad_input("a table of runs and --curves are two different fits; give one of them");
    const CLI::Option* predict = app.get_option("--predict");
    const OrderedJson json =
        fit_json(*options, predict->count() > 0 ? predict->as<std::string>() : "",
                 app.get_option("--huber")->count() > 0 ? app.get_option("--huber")->as<double>() : 1e-3);
    if (app.get_option("--json")->count() > 0)
      fmt::print("{}\n", json.dump());
    else
      print_text(json);
    return 0;
  };
}

}  // namespace flywheel::cli
