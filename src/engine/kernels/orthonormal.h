// An orthonormal basis out of the rows of a square matrix, by Householder reflections (Golub and Van Loan 2013, 5.2).
#pragma once

#include <cstdint>

namespace flywheel::kernels {

// basis (n, n): row i lies in the span of rows 0..i of `rows`, as Gram and Schmidt would have it, up to signs; where
// the rows are linearly dependent the basis is completed. `rows` (n, n) is used up; `factors` holds n floats.
void orthonormal_rows(float* rows, int64_t n, float* basis, float* factors);

}  // namespace flywheel::kernels
