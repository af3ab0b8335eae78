#include "model/parameter_parts.h"

#include "base/check.h"

namespace flywheel::model {

std::vector<int64_t> matrix_parts(const Recipe& recipe, const Size& size, const ParameterInfo& parameter) {
  const int64_t rows = parameter.shape[parameter.shape.rank - 2];
  std::vector<int64_t> parts{rows};
  if (parameter.name.ends_with(".qkv")) {
    const int64_t queries = int64_t{size.heads} * recipe.model.head_dim;
    const int64_t keys = int64_t{size.kv_heads} * recipe.model.head_dim;
    CHECK(queries + 2 * keys == rows, "{} has {} rows", parameter.name, rows);
    parts = {queries, keys, keys};
  }
  if (parameter.name.ends_with(".gate_up")) parts = {rows / 2, rows / 2};
  if (parameter.shape.rank < 3) return parts;
  std::vector<int64_t> all;
  for (int64_t matrix = 0; matrix < parameter.shape[0]; ++matrix) all.insert(all.end(), parts.begin(), parts.end());
  return all;
}

}  // namespace flywheel::model
