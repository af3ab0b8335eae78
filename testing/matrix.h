// Matrices of float64 for references in tests: a few lines beside Eigen, whose templates take a compiler half a minute.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace flywheel::testing {

struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;  // row by row

  Matrix() = default;
  Matrix(int64_t m, int64_t n) : rows(m), columns(n), values(static_cast<size_t>(m * n), 0.0) {}
  Matrix(const float* from, int64_t m, int64_t n) : rows(m), columns(n), values(from, from + m * n) {}
  static Matrix identity(int64_t n) {
    Matrix result(n, n);
    for (int64_t i = 0; i < n; ++i) result(i, i) = 1;
    return result;
  }
  double& operator()(int64_t i, int64_t j) { return values[static_cast<size_t>(i * columns + j)]; }
  double operator()(int64_t i, int64_t j) const { return values[static_cast<size_t>(i * columns + j)]; }
  bool operator==(const Matrix&) const = default;

  Matrix transposed() const {
    Matrix result(columns, rows);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) result(j, i) = (*this)(i, j);
    return result;
  }
  double norm() const {
    double squares = 0;
    for (const double value : values) squares += value * value;
    return std::sqrt(squares);
  }
  // f(value, value of the other) at every place.
  template <typename F>
  Matrix with(const Matrix& other, F&& f) const {
    Matrix result = *this;
    for (size_t i = 0; i < values.size(); ++i) result.values[i] = f(values[i], other.values.at(i));
    return result;
  }
  friend Matrix operator+(const Matrix& a, const Matrix& b) {
    return a.with(b, [](double x, double y) { return x + y; });
  }
  friend Matrix operator-(const Matrix& a, const Matrix& b) {
    return a.with(b, [](double x, double y) { return x - y; });
  }
  friend Matrix operator*(double scale, Matrix a) {
    for (double& value : a.values) value *= scale;
    return a;
  }
  friend Matrix operator*(const Matrix& a, const Matrix& b) {
    Matrix result(a.rows, b.columns);
    for (int64_t i = 0; i < a.rows; ++i)
      for (int64_t k = 0; k < a.columns; ++k)
        for (int64_t j = 0; j < b.columns; ++j) result(i, j) += a(i, k) * b(k, j);
    return result;
  }
};

// Turns pairs of rows until all are at right angles (Hestenes 1958); their lengths are then the singular values of a
// matrix that is no taller than wide. The largest first.
inline std::vector<double> singular_values(Matrix a) {
  if (a.rows > a.columns) a = a.transposed();
  for (int sweep = 0; sweep < 30; ++sweep)
    for (int64_t i = 0; i < a.rows; ++i)
      for (int64_t j = i + 1; j < a.rows; ++j) {
        double ii = 0, jj = 0, ij = 0;
        for (int64_t k = 0; k < a.columns; ++k)
          ii += a(i, k) * a(i, k), jj += a(j, k) * a(j, k), ij += a(i, k) * a(j, k);
        const double angle = 0.5 * std::atan2(2 * ij, ii - jj), c = std::cos(angle), s = std::sin(angle);
        for (int64_t k = 0; k < a.columns; ++k) {
          const double x = a(i, k), y = a(j, k);
          a(i, k) = c * x + s * y, a(j, k) = c * y - s * x;
        }
      }
  std::vector<double> lengths;
  for (int64_t i = 0; i < a.rows; ++i) {
    double squares = 0;
    for (int64_t k = 0; k < a.columns; ++k) squares += a(i, k) * a(i, k);
    lengths.push_back(std::sqrt(squares));
  }
  std::sort(lengths.rbegin(), lengths.rend());
  return lengths;
}

// Its rows made orthonormal one after the other, twice for the sake of rounding (Gram and Schmidt).
inline Matrix orthonormal_rows(Matrix a) {
  for (int64_t i = 0; i < a.rows; ++i) {
    const auto product = [&](int64_t j) {
      double sum = 0;
      for (int64_t k = 0; k < a.columns; ++k) sum += a(i, k) * a(j, k);
      return sum;
    };
    for (int64_t twice = 0; twice < 2; ++twice)
      for (int64_t j = 0; j < i; ++j) {
        const double along = product(j);
        for (int64_t k = 0; k < a.columns; ++k) a(i, k) -= along * a(j, k);
      }
    const double length = std::sqrt(product(i));
    for (int64_t k = 0; k < a.columns; ++k) a(i, k) /= length;
  }
  return a;
}

}  // namespace flywheel::testing
