// Nothing absurd is printed: every number of a fit, its page and its plan is finite and within the reach of the runs,
// for all tables at hand and for made-up tables that lack what a law needs.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/error.h"
#include "base/file_system.h"
#include "base/json.h"
#include "base/rng.h"
#include "report/fit/fit_json.h"
#include "report/fit/fit_page_data.h"
#include "report/plan_json.h"
#include "scaling/fit/fit_result.h"

namespace flywheel::report {
namespace {

struct Reach {
  double smallest = INFINITY, largest = 0, highest_loss = 0, highest_flops = 0;

  explicit Reach(const std::vector<scaling::Point>& points) {
    for (const scaling::Point& p : points) {
      smallest = std::min(smallest, p.N), largest = std::max(largest, p.N);
      highest_loss = std::max(highest_loss, p.L), highest_flops = std::max(highest_flops, scaling::flops_of(p));
    }
  }
};

// Finite numbers, intervals in order and about their value.
void check_numbers(const OrderedJson& json, const std::string& where, std::string& faults) {
  if (json.is_number_float() && !(std::abs(json.get<double>()) < 1e35))
    faults += fmt::format("{} is {}\n", where, json.get<double>());
  if (json.is_object() && json.contains("low") && json.contains("high") && json["low"].is_number() &&
      json["high"].is_number()) {
    const double low = json["low"], high = json["high"];
    if (!(low <= high)) faults += fmt::format("{}: {} to {}\n", where, low, high);
    for (const char* field : {"value", "a", "loss", "N"})
      if (json.contains(field) && json[field].is_number() && where.find("predictions") == std::string::npos)
        if (const double value = json[field]; value < low * (1 - 1e-9) - 1e-12 || value > high * (1 + 1e-9) + 1e-12)
          faults += fmt::format("{}: {} outside {} to {}\n", where, value, low, high);
  }
  if (json.is_object())
    for (const auto& [name, value] : json.items()) check_numbers(value, where + "." + name, faults);
  if (json.is_array())
    for (size_t i = 0; i < json.size(); ++i) check_numbers(json[i], fmt::format("{}[{}]", where, i), faults);
}

void check_forecast(const OrderedJson& row, const Reach& reach, const std::string& where, std::string& faults) {
  const double loss = row.at("loss"), low = row.at("low"), more = row.at("flops").get<double>() / reach.highest_flops;
  if (!(loss > 0) || !(low > 0) || loss > 1.05 * reach.highest_loss)
    faults += fmt::format("{}: loss {} where the highest is {}\n", where, loss, reach.highest_loss);
  const OrderedJson& size = row.at("along") == "ladder" ? row.at("path").at("params") : row.at("params");
  const double N = size.is_object() ? size.at("value").get<double>() : size.get<double>();
  if (N < reach.smallest / 10 || N > 10 * reach.largest * std::max(1.0, more))
    faults += fmt::format("{}: size {} where runs have {} to {}\n", where, N, reach.smallest, reach.largest);
  if (row.at("along") == "ladder" && !row.at("params").is_null()) faults += where + ": a size along the ladder\n";
}

void check_form(const OrderedJson& form, std::string& faults) {
  if (!form.contains("parameters")) return;
  const OrderedJson& parameters = form.at("parameters");
  const auto known = [&](const char* name) { return parameters.contains(name) && parameters[name].is_number(); };
  const double outer = known("kappa") ? parameters["kappa"].get<double>() : 1;
  for (const char* exponent : {"alpha", "beta", "gamma"})
    if (known(exponent) && (!parameters.contains("kappa") || known("kappa")))
      if (const double value = outer * parameters[exponent].get<double>(); !(value > 0) || value > 2.001)
        faults += fmt::format("{}: {} {}\n", form.at("name").get<std::string>(), exponent, value);
  for (const auto& [name, value] : parameters.items())
    if (value.is_null() == form.at("interval95").contains(name))
      faults += form.at("name").get<std::string>() + ": an interval of what is not identified: " + name + "\n";
}

// Faults of a table's fit, page and plans, one a line; a refusal is none.
std::string faults_of(const std::string& csv, const std::string& where, const std::string& forms) {
  std::string faults;
  try {
    const scaling::FitRequest request{.forms = scaling::form_names(forms), .bootstrap = 3, .skip_bad_rows = true};
    std::vector<scaling::FitInput> inputs = scaling::fit_inputs(csv, where, request);
    const std::vector<scaling::Point> points = inputs.front().table.points;
    const Reach reach(points);
    const scaling::FitResult result = scaling::fit_input(request, std::move(inputs.front()), {});
    const OrderedJson fit = fit_json(result);
    check_numbers(fit, "fit", faults);
    check_numbers(fit_page_data(result, {where, "", ""}), "page", faults);
    for (const OrderedJson& form : fit.at("forms")) check_form(form, faults);
    for (const OrderedJson& row : fit.at("forecast")) check_forecast(row, reach, "fit", faults);
    if (fit.at("optimum").at("identified") != fit.at("allocation").is_object()) faults += "two answers\n";

    const scaling::PlanRuns runs = scaling::plan_runs(where, points, {});
    for (const double more : {1.0, 10.0, 1000.0}) {
      const scaling::PlanRequest plan{.budgets = {more * reach.highest_flops}, .served_tokens = 1e9, .bootstrap = 3};
      const OrderedJson json = plan_json(runs, "", plan, scaling::make_plans(runs, plan), {});
      check_numbers(json, fmt::format("plan at {}x", more), faults);
      check_forecast(json.at("plans")[0], reach, "plan", faults);
    }
  } catch (const Error&) {
    return faults;
  }
  return faults;
}

// A table that lacks something: sizes, lengths, levels, noise that swamps all, runs that repeat each other.
std::string degenerate(uint64_t seed) {
  Rng rng(seed, 11);
  const auto between = [&](double low, double high) { return low + (high - low) * rng.uniform(); };
  const uint64_t kind = seed % 10;
  const double scale = std::pow(10.0, between(3, 11)), noise = kind == 7 ? 0.3 : between(0, 0.02);
  const double alpha = between(0.05, 0.6), beta = between(0.05, 0.6), E = between(0, 2);
  const auto rows = static_cast<int>(between(4, 20));
  std::ostringstream csv;
  csv << (kind == 9 ? "N,D,U,L\n" : "N,D,L\n");
  for (int i = 0; i < rows; ++i) {
    double N = scale * std::pow(10.0, between(0, 2)), D = 20 * scale * std::pow(10.0, between(0, 2));
    if (kind == 0) N = scale;
    if (kind == 1) D = 20 * scale;
    if (kind == 2) D = 20 * N;
    if (kind == 3) D = 20 * N * between(0.9, 1.1);
    if (kind == 4) D = 1e3 * scale * scale / N;
    if (kind == 5) N = scale * (1 + i % 2), D = 20 * scale * (1 + i / 2 % 2);
    double L = E + 3 * std::pow(N / scale, -alpha) + 3 * std::pow(D / scale / 20, -beta);
    if (kind == 6) L = 3 + 0.2 * std::log10(N / scale);
    if (kind == 8) L = 3;
    L *= std::exp(noise * rng.normal());
    csv << N << "," << D << ",";
    if (kind == 9) csv << D / std::max(1.0, between(0, 30)) << ",";
    csv << L << "\n";
  }
  return csv.str();
}

TEST(FitNumbers, OfDegenerateTablesAreFiniteAndWithinReach) {
  const char* forms[] = {"chinchilla,compute", "kappa,tied", "chinchilla,broken,data_constrained"};
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const std::string csv = degenerate(seed);
    EXPECT_EQ(faults_of(csv, "t.csv", forms[seed / 10 % 3]), "") << "seed " << seed << "\n" << csv;
  }
}

TEST(FitNumbers, OfTheTablesAtHandAreFiniteAndWithinReach) {
  const char* folder = std::getenv("FLYWHEEL_SHARED_DATA");
  if (folder == nullptr || !std::filesystem::is_directory(Path(folder) / "scaling"))
    GTEST_SKIP() << "set FLYWHEEL_SHARED_DATA to the folder that holds scaling/*.csv of the test";
  for (const Path& tables : {Path(folder) / "scaling", Path(folder) / ".." / "cases"}) {
    if (!std::filesystem::is_directory(tables)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(tables))
      EXPECT_EQ(faults_of(real_file_system().read(entry.path()), entry.path().string(), "all"), "") << entry.path();
  }
}

}  // namespace
}  // namespace flywheel::report
