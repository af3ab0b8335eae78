#include "workload/space.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

#include "base/hash.h"
#include "base/json_reader.h"

namespace flywheel::workload {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kLogSpan = 10;  // ordinals over at least this factor are spaced logarithmically

bool is_log(const SearchField& field) {
  if (field.axis == Axis::kLog || field.axis == Axis::kLogInteger) return true;
  if (field.axis != Axis::kOrdinal) return false;
  const double low = field.choices.front().get<double>(), high = field.choices.back().get<double>();
  return low > 0 && high >= kLogSpan * low;
}

double scaled(const SearchField& field, double number) {
  return is_log(field) ? std::log(number) : number;
}

std::pair<double, double> range(const SearchField& field) {
  if (field.axis == Axis::kOrdinal) return {field.choices.front().get<double>(), field.choices.back().get<double>()};
  return {field.low, field.high};
}

double last_index(const SearchField& field) {
  return static_cast<double>(field.choices.size() - 1);
}

void check(const SearchField& field, size_t index) {
  if (field.is_list()) {
    if (field.choices.empty()) throw_bad_input("search space: field \"{}\" has no values", field.name);
    for (size_t i = 0; field.axis == Axis::kOrdinal && i < field.choices.size(); ++i)
      if (!field.choices[i].is_number() ||
          (i > 0 && field.choices[i].get<double>() <= field.choices[i - 1].get<double>()))
        throw_bad_input("search space: field \"{}\": expected ascending numbers, found {}", field.name,
                        Json(field.choices).dump());
  } else if (!(field.low < field.high) || (is_log(field) && field.low <= 0)) {
    throw_bad_input("search space: field \"{}\": expected a range{}, found {:g} to {:g}", field.name,
                    is_log(field) ? " above 0" : "", field.low, field.high);
  }
  if (field.when && field.when->parent >= index)
    throw_bad_input("search space: field \"{}\" has a condition on a later field", field.name);
}

}  // namespace

double SearchField::number(double value) const {
  if (axis != Axis::kOrdinal || std::isnan(value)) return value;
  return choices[static_cast<size_t>(value)].get<double>();
}

double SearchField::unit(double value) const {
  if (std::isnan(value) || axis == Axis::kCategorical) return value;
  const auto [first, last] = range(*this);
  const double from = scaled(*this, first), to = scaled(*this, last);
  return to > from ? (scaled(*this, number(value)) - from) / (to - from) : 0.5;
}

double SearchField::at_unit(double unit) const {
  if (axis == Axis::kCategorical) return std::clamp(std::round(unit), 0.0, last_index(*this));
  unit = std::clamp(unit, 0.0, 1.0);
  if (axis == Axis::kOrdinal) {
    size_t best = 0;
    for (size_t i = 1; i < choices.size(); ++i)
      if (std::abs(this->unit(static_cast<double>(i)) - unit) < std::abs(this->unit(static_cast<double>(best)) - unit))
        best = i;
    return static_cast<double>(best);
  }
  const double from = scaled(*this, low), to = scaled(*this, high);
  double value = from + unit * (to - from);
  if (is_log(*this)) value = std::exp(value);
  if (axis == Axis::kInteger || axis == Axis::kLogInteger) value = std::round(value);
  return std::clamp(value, low, high);
}

Json SearchField::json(double value) const {
  if (std::isnan(value)) return nullptr;
  if (is_list()) return choices[static_cast<size_t>(value)];
  if (axis == Axis::kInteger || axis == Axis::kLogInteger) return static_cast<int64_t>(value);
  return value;
}

SearchSpace::SearchSpace(std::vector<SearchField> fields) : fields_(std::move(fields)) {
  if (fields_.empty()) throw_bad_input("search space: no field to search");
  for (size_t i = 0; i < fields_.size(); ++i) check(fields_[i], i);
}

bool SearchSpace::exists(const Values& values, size_t field) const {
  const auto& when = fields_[field].when;
  if (!when) return true;
  return std::find(when->values.begin(), when->values.end(), values[when->parent]) != when->values.end();
}

double SearchSpace::fitted(size_t index, double value) const {
  const SearchField& field = fields_[index];
  if (std::isnan(value)) return field.start();
  if (field.is_list()) return std::clamp(std::round(value), 0.0, last_index(field));
  if (field.axis == Axis::kInteger || field.axis == Axis::kLogInteger) value = std::round(value);
  return std::clamp(value, field.low, field.high);
}

Values SearchSpace::canonical(Values values) const {
  values.resize(fields_.size(), kNone);
  for (size_t i = 0; i < fields_.size(); ++i) values[i] = exists(values, i) ? fitted(i, values[i]) : kNone;
  return values;
}

std::vector<double> SearchSpace::units(const Values& values) const {
  std::vector<double> units(values.size());
  for (size_t i = 0; i < values.size(); ++i) units[i] = fields_[i].unit(values[i]);
  return units;
}

std::string SearchSpace::identity(const Values& values) const {
  Json object = Json::object();
  for (size_t i = 0; i < fields_.size(); ++i)
    if (!std::isnan(values[i])) object[fields_[i].name] = fields_[i].json(values[i]);
  return sha256_hex(canonical_json(object));
}

std::vector<std::string> SearchSpace::patches(const Values& values) const {
  std::vector<std::string> patches;
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (std::isnan(values[i])) continue;
    const Json value = fields_[i].json(values[i]);
    patches.push_back(fields_[i].name + "=" + (value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return patches;
}

std::pair<std::string, std::string> split_patch(const std::string& patch) {
  const size_t at = patch.find('=');
  if (at == std::string::npos || at == 0)
    throw_bad_input("patch \"{}\": expected field=value, as in optimizer.learning_rate=0.01", patch);
  return {patch.substr(0, at), patch.substr(at + 1)};
}

namespace {

std::optional<double> parse_value(const SearchField& field, const std::string& text) {
  for (size_t i = 0; i < field.choices.size(); ++i) {
    const Json& choice = field.choices[i];
    if ((choice.is_string() ? choice.get<std::string>() : choice.dump()) == text) return static_cast<double>(i);
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  for (size_t i = 0; i < field.choices.size(); ++i)
    if (field.choices[i].is_number() && field.choices[i].get<double>() == number) return static_cast<double>(i);
  if (field.is_list() || number < field.low || number > field.high) return std::nullopt;
  if ((field.axis == Axis::kInteger || field.axis == Axis::kLogInteger) && number != std::floor(number))
    return std::nullopt;
  return number;
}

std::string expected(const SearchField& field) {
  if (field.is_list()) return fmt::format("one of {}", Json(field.choices).dump());
  return fmt::format("a {}number from {:g} to {:g}",
                     field.axis == Axis::kInteger || field.axis == Axis::kLogInteger ? "whole " : "", field.low,
                     field.high);
}

}  // namespace

Values SearchSpace::parse(const std::vector<std::string>& patches) const {
  Values values = centre();
  std::map<std::string, std::string> seen;
  for (const std::string& patch : patches) {
    const auto [name, text] = split_patch(patch);
    const auto field = std::find_if(fields_.begin(), fields_.end(), [&](const auto& f) { return f.name == name; });
    if (field == fields_.end()) {
      std::vector<std::string> names;
      for (const SearchField& f : fields_) names.push_back(f.name);
      const std::string near = nearest_name(name, names);
      throw_bad_input("patch \"{}\": unknown field \"{}\"{}", patch, name,
                      near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
    }
    const auto [old, fresh] = seen.emplace(name, text);
    if (!fresh && old->second != text)
      throw_bad_input("patches \"{}={}\" and \"{}\" contradict each other", name, old->second, patch);
    const auto value = parse_value(*field, text);
    if (!value) throw_bad_input("patch \"{}\": expected {}, found \"{}\"", patch, expected(*field), text);
    values[static_cast<size_t>(field - fields_.begin())] = *value;
  }
  const Values fitted = canonical(values);
  for (size_t i = 0; i < fields_.size(); ++i)
    if (seen.count(fields_[i].name) != 0 && std::isnan(fitted[i]))
      throw_bad_input("patch \"{}={}\": the field does not exist with the values of the others", fields_[i].name,
                      seen[fields_[i].name]);
  return fitted;
}

Values SearchSpace::centre() const {
  return canonical(Values(fields_.size(), kNone));
}

Values SearchSpace::sample(Rng& rng) const {
  Values values;
  for (int draw = 0; draw < 100; ++draw) {
    values.assign(fields_.size(), 0);
    for (size_t i = 0; i < fields_.size(); ++i) {
      const SearchField& field = fields_[i];
      values[i] = field.is_list() ? static_cast<double>(rng.below(field.choices.size())) : field.at_unit(rng.uniform());
    }
    values = canonical(std::move(values));
    if (refusal(values).empty()) break;
  }
  return values;
}

Values SearchSpace::neighbour(const Values& from, size_t index, double step, Rng& rng) const {
  // A field that does not exist has no neighbours: the next one that does is moved.
  for (size_t i = 0; i < fields_.size() && std::isnan(from[index]); ++i) index = (index + 1) % fields_.size();
  Values values = from;
  if (std::isnan(from[index])) return values;
  const SearchField& field = fields_[index];
  if (field.axis == Axis::kCategorical) {
    if (field.choices.size() < 2) return values;
    const auto shift = 1 + rng.below(field.choices.size() - 1);
    const auto old = static_cast<size_t>(from[index]);
    values[index] = static_cast<double>((old + shift) % field.choices.size());
    return canonical(std::move(values));
  }
  const double before = field.unit(from[index]);
  const double sign = rng.below(2) == 0 ? -1 : 1;
  double move = step * (0.5 + rng.uniform());
  // Reflected at the edges, so that a step from an edge is never lost.
  for (int doubling = 0; doubling < 20; ++doubling, move *= 1.5) {
    double to = before + sign * std::min(move, 1.0);
    if (to < 0 || to > 1) to = before - sign * std::min(move, 1.0);
    values[index] = field.at_unit(to);
    if (values[index] != from[index]) break;
  }
  return canonical(std::move(values));
}

size_t SearchSpace::size(size_t limit) const {
  size_t points = 1;
  for (const SearchField& field : fields_) {
    if (!field.is_list()) return 0;
    points *= field.choices.size();
    if (points > limit) return 0;
  }
  return points;
}

std::vector<Values> SearchSpace::all() const {
  std::vector<Values> points = {Values()};
  for (const SearchField& field : fields_) {
    std::vector<Values> longer;
    for (const Values& point : points)
      for (size_t choice = 0; choice < field.choices.size(); ++choice) {
        longer.push_back(point);
        longer.back().push_back(static_cast<double>(choice));
      }
    points = std::move(longer);
  }
  for (Values& point : points) point = canonical(std::move(point));
  std::sort(points.begin(), points.end(), [](const Values& a, const Values& b) {
    for (size_t i = 0; i < a.size(); ++i) {
      const double x = std::isnan(a[i]) ? -1 : a[i], y = std::isnan(b[i]) ? -1 : b[i];
      if (x != y) return x < y;
    }
    return false;
  });
  const auto same = [](const Values& a, const Values& b) {
    for (size_t i = 0; i < a.size(); ++i)
      if (a[i] != b[i] && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
    return true;
  };
  points.erase(std::unique(points.begin(), points.end(), same), points.end());
  return points;
}

}  // namespace flywheel::workload
