#include "report/plan_text.h"

#include <fmt/format.h>

#include "base/format.h"
#include "base/json.h"
#include "report/text_rows.h"
#include "scaling/allocation/allocation.h"

namespace flywheel::report {
namespace {

double number(const OrderedJson& json, const char* field) {
  return json.at(field).get<double>();
}

std::string between(const OrderedJson& range, std::string (*format)(double), const char* unit = "") {
  return fmt::format("{}{} (90%: {} to {})", format(number(range, "value")), unit, format(number(range, "low")),
                     format(number(range, "high")));
}

std::string three_digits(double value) {
  return fmt::format("{:.3g}", value);
}

std::string factor_words(double factor) {
  return factor < 1 ? fmt::format("{:g}x smaller", 1 / factor) : fmt::format("{:g}x larger", factor);
}

// What compute is wasted by, which is not told apart from kFrontierReach on.
std::string wasted(double multiple) {
  return multiple < 0.999 * scaling::kFrontierReach ? fmt::format("{:.2f}", multiple)
                                                    : fmt::format("{:g} or more", scaling::kFrontierReach);
}

void print_rates(const OrderedJson& plan) {
  for (const auto& [field, words] : {std::pair{"learning_rate", "learning rate"}, std::pair{"batch", "batch size"}})
    if (plan.contains(field)) fmt::print("  {:<14}{}\n", words, between(plan.at(field), three_digits));
}

void print_concrete(const OrderedJson& size, const std::string& unit) {
  fmt::print(
      "  recipe's own  {} layers, width {}, {} heads, feed-forward {}, context {}: {} parameters, {} sequences a step, "
      "{} steps, {} tokens, {}\n",
      size.at("layers").get<int>(), size.at("width").get<int>(), size.at("heads").get<int>(),
      size.at("feed_forward").get<int>(), size.at("context").get<int>(), format_count(number(size, "params")),
      size.at("batch_sequences").get<int>(), size.at("steps").get<int64_t>(), format_count(number(size, "tokens")),
      format_flops(number(size, "flops")));
  fmt::print("                learning rate {:.3g} for matrices, {:.3g} for the head; predicted {:.4f} {}\n",
             number(size, "matrix_learning_rate"), number(size, "head_learning_rate"), number(size, "loss"), unit);
}

void print_one(const OrderedJson& plan, const std::string& unit) {
  fmt::print("\nbudget {}\n", format_flops(number(plan, "flops")));
  if (plan.at("along") == "ladder") {
    const double N = number(plan.at("path"), "params"), D = number(plan.at("path"), "tokens");
    fmt::print(
        "  model         none is optimal; along the ladder's path {} parameters, {} tokens, {:.3g} a parameter\n",
        format_count(N), format_count(D), D / N);
  } else {
    fmt::print("  model         {}\n", between(plan.at("params"), format_count, " parameters"));
    fmt::print("  data          {}, {:.3g} tokens a parameter\n", between(plan.at("tokens"), format_count, " tokens"),
               number(plan.at("tokens_per_parameter"), "value"));
  }
  fmt::print("  loss          {:.4f} (90%: {:.4f} to {:.4f}), {}\n", number(plan, "loss"), number(plan, "low"),
             number(plan, "high"), unit);
  print_rates(plan);
  if (plan.contains("concrete")) print_concrete(plan.at("concrete"), unit);
  if (plan.contains("seconds"))
    fmt::print("  time          {} on {:g} device(s), {:.3g} device-hours, at {:.3g} FLOP/s each\n",
               format_seconds(number(plan, "seconds")), number(plan, "gpus"), number(plan, "gpu_hours"),
               number(plan, "flops_per_second"));
  for (const auto& off : plan.at("off"))
    fmt::print("  {:<14}loss +{:.4f}, as good as {:.0f}% of the budget well spent ({}x wasted, 90%: {} to {})\n",
               factor_words(number(off, "factor")), number(off.at("extra_loss"), "value"),
               100 / number(off.at("compute_multiple"), "value"), wasted(number(off.at("compute_multiple"), "value")),
               wasted(number(off.at("compute_multiple"), "low")), wasted(number(off.at("compute_multiple"), "high")));
  std::string sizes;
  for (const auto& row : plan.at("by_approach"))
    sizes += fmt::format("{}{}: {}", sizes.empty() ? "" : ", ", row.at("name").get<std::string>(),
                         format_count(number(row, "params")));
  if (!sizes.empty()) fmt::print("  best size by  {}\n", sizes);
  if (plan.contains("inference")) {
    const auto& served = plan.at("inference");
    fmt::print("  to serve {} tokens\n", format_count(number(served, "tokens_served")));
    for (const auto& [field, words] :
         {std::pair{"same_loss", "at the same loss"}, std::pair{"same_total", "in this budget"}}) {
      if (served.at(field).is_null()) continue;
      const auto& row = served.at(field);
      fmt::print("    {:<18}{} parameters, {} tokens of training, loss {:.4f}; {} to train and {} to serve\n", words,
                 between(row.at("params"), format_count), format_count(number(row, "tokens")), number(row, "loss"),
                 format_flops(number(row, "train_flops")), format_flops(number(row, "inference_flops")));
    }
    if (!served.at("saving").is_null())
      fmt::print("    the first saves {:.1f}% of what the compute-optimal model above costs over its life\n",
                 100 * number(served, "saving"));
    if (served.at("same_total").is_null())
      fmt::print("    serving alone costs more than this budget, whatever the size\n");
  }
  for (const auto& note : plan.at("notes"))
    fmt::print("  {}\n", wrapped("note: " + note.get<std::string>(), kColumns - 2, 4));
}

void print_missing(const OrderedJson& optimum) {
  print_folded("no compute-optimal size is identified: " + optimum.at("why").get<std::string>());
  for (const auto& run : optimum.at("runs_to_identify"))
    fmt::print("  a run that would tell: {} parameters, {} tokens, {}\n", format_count(number(run, "params")),
               format_count(number(run, "tokens")), format_flops(number(run, "flops")));
}

void print_rule(const OrderedJson& rule, const char* words) {
  if (!rule.at("missing").is_null()) {
    fmt::print("  {:<14}no rule: {}\n", words, rule.at("missing").get<std::string>());
    return;
  }
  fmt::print("  {:<14}{:.3g} N^{:.3f} D^{:.3f}   95%: N {:.3f} to {:.3f}, D {:.3f} to {:.3f}\n", words,
             number(rule.at("coefficient"), "value"), number(rule.at("n"), "value"), number(rule.at("d"), "value"),
             number(rule.at("n"), "low"), number(rule.at("n"), "high"), number(rule.at("d"), "low"),
             number(rule.at("d"), "high"));
}

}  // namespace

void print_plan(const OrderedJson& json) {
  const auto& optimum = json.at("optimum");
  fmt::print("{} runs of {} ({} to {})\n", json.at("runs").get<size_t>(), json.at("source").get<std::string>(),
             format_flops(number(json, "lowest_flops")), format_flops(number(json, "highest_flops")));
  fmt::print("by the {}; approach 3 by {}\n", optimum.at("model").get<std::string>(),
             json.at("form").get<std::string>());
  if (!optimum.at("identified").get<bool>()) print_missing(optimum);
  for (const char* field : {"warnings", "notes"})
    for (const auto& note : json.at(field)) print_folded("note: " + note.get<std::string>());
  for (const auto& plan : json.at("plans")) print_one(plan, json.at("unit").get<std::string>());
  fmt::print("\nhow the best size grows with compute, N = k C^a\n");
  if (optimum.at("identified").get<bool>())
    fmt::print("  {:<16}a {:.3f} (95%: {:.3f} to {:.3f}); {}\n", "the forecaster", number(optimum, "a"),
               number(optimum, "low"), number(optimum, "high"), optimum.at("why").get<std::string>());
  for (const auto& row : json.at("approaches")) {
    if (row.at("missing").is_null())
      fmt::print("  {:<16}a {:.3f} (95%: {:.3f} to {:.3f}), from {}\n", row.at("name").get<std::string>(),
                 number(row, "a"), number(row, "low"), number(row, "high"), row.at("used").get<int>());
    else
      fmt::print("  {:<16}no exponent: {}\n", row.at("name").get<std::string>(), row.at("missing").get<std::string>());
    fmt::print("  {:<16}biases: {}\n", "", row.at("biases").get<std::string>());
  }
  if (json.contains("rates")) {
    fmt::print("\nrates, from {} (N, D) of which {} have their best inside the values tried\n",
               json.at("rates").at("cells").get<int>(), json.at("rates").at("used").get<int>());
    print_rule(json.at("rates").at("learning_rate"), "learning rate");
    print_rule(json.at("rates").at("batch"), "batch size");
  }
}

}  // namespace flywheel::report
