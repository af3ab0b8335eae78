// Search spaces: fields with kinds, active conditions and validity, and points as plain numbers. Table columns (replay)
// and recipe fields (recipe_space.h) are both spaces, so that proposers work on either.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/rng.h"

namespace flywheel::workload {

// kOrdinal: numbers out of a list; kCategorical: values without an order.
enum class Axis { kLinear, kLog, kInteger, kLogInteger, kOrdinal, kCategorical };

// One number per field: the value itself for numeric axes, the index of the choice for kOrdinal and kCategorical. NaN:
// the field is inactive here (its condition does not hold), or has a value that the space does not list.
using Values = std::vector<double>;

// An active condition: the field is active where its parent has one of these values (choice indices for lists).
struct Condition {
  size_t parent = 0;  // an earlier field
  std::vector<double> values;
};

struct SearchField {
  std::string name;
  Axis axis = Axis::kLinear;
  double low = 0, high = 1;   // inclusive; numeric axes
  std::vector<Json> choices;  // kOrdinal: numbers, ascending
  std::optional<Condition> when;
  std::optional<double> usual;  // where a search starts; by default the middle, or the first choice

  bool is_list() const { return axis == Axis::kOrdinal || axis == Axis::kCategorical; }
  bool is_numeric() const { return axis != Axis::kCategorical; }
  double number(double value) const;  // what it stands for; numeric axes only
  // Position in [0, 1], logarithmic for log axes and for ordinals that span a factor of 10; NaN stays NaN. An index for
  // kCategorical.
  double unit(double value) const;
  double at_unit(double unit) const;  // the nearest allowed value
  double start() const { return usual ? *usual : at_unit(is_numeric() ? 0.5 : 0); }
  Json json(double value) const;
};

// Immutable after construction; safe to share between threads.
class SearchSpace {
 public:
  // Throws kBadInput for no fields, an empty range, a log range that reaches 0, an unsorted ordinal or a condition on
  // a later field.
  explicit SearchSpace(std::vector<SearchField> fields);
  virtual ~SearchSpace() = default;

  const std::vector<SearchField>& fields() const { return fields_; }
  // Clamped into range, whole numbers where they must be, NaN exactly where the field does not exist.
  virtual Values canonical(Values values) const;
  // REQUIRES canonical values.
  std::vector<double> units(const Values& values) const;

  // Equal for two points that would give the same run. REQUIRES canonical values.
  virtual std::string identity(const Values& values) const;
  // Why the point cannot be run; empty: it can.
  virtual std::string refusal(const Values& values) const { return ""; }
  // "field=value", for every field that exists.
  virtual std::vector<std::string> patches(const Values& values) const;
  // The point that patches ("field=value") describe, other fields as in centre(). Throws kBadInput naming the patch for
  // an unknown field or value, and for two patches of one field that disagree.
  virtual Values parse(const std::vector<std::string>& patches) const;
  // Where a search starts.
  Values centre() const;

  // Uniform in units, among valid points (the last of 100 draws when it finds none).
  Values sample(Rng& rng) const;
  // The point with one field moved: numbers by about `step` (in units, at least to the next allowed value), lists
  // without order to another choice. A field that does not exist gives its turn to the next one that does.
  Values neighbour(const Values& from, size_t field, double step, Rng& rng) const;
  // How many points there are; 0: infinitely many, or more than `limit`.
  size_t size(size_t limit) const;
  std::vector<Values> all() const;  // REQUIRES size() > 0

 protected:
  // In range and whole where it must be; NaN: where a search starts.
  double fitted(size_t field, double value) const;

 private:
  // At a point whose earlier fields are canonical.
  bool exists(const Values& values, size_t field) const;

  std::vector<SearchField> fields_;
};

class Configuration;

// The space of a workload's configurations around one of them, its base.
class ConfigurationSpace : public SearchSpace {
 public:
  using SearchSpace::SearchSpace;
  // REQUIRES canonical values. Throws kBadInput where refusal() says so.
  virtual std::shared_ptr<const Configuration> configuration(const Values& values) const = 0;
  // REQUIRES that every searched field of the configuration is within the space.
  virtual Values values_of(const Configuration& configuration) const = 0;
  // Only what differs from `from`, fields that go back to the base's value included.
  virtual std::vector<std::string> patches_from(const Configuration& from, const Values& values) const = 0;
};

// "field=value" split; throws kBadInput without a name or "=".
std::pair<std::string, std::string> split_patch(const std::string& patch);

}  // namespace flywheel::workload
