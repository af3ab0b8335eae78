// Products against the reference, on every instruction set, at sizes that fill no tile.
#include "engine/kernels/matmul.h"

#include <array>

#include "engine/kernels/reference/kernel_testing.h"
#include "engine/kernels/reference/reference.h"

namespace flywheel::kernels {
namespace {

struct Product {
  int64_t m, k, n;
};
constexpr Product kProducts[] = {{1, 1, 1},     {6, 16, 16},  {7, 3, 17},   {13, 64, 48},  {5, 33, 65},  {64, 64, 64},
                                 {23, 47, 130}, {2, 129, 80}, {12, 7, 257}, {0, 8, 8},     {9, 1, 31},   {36, 70, 200},
                                 {32, 32, 16},  {70, 48, 37}, {41, 94, 96}, {300, 66, 50}, {33, 32, 1},  {64, 33, 64},
                                 {40, 8, 12},   {65, 16, 9},  {33, 30, 8},  {45, 94, 83},  {600, 66, 40}};

void expect_product(const Product& p, tensor::Dtype dtype, tensor::Dtype c_dtype, bool transposed, Epilogue epilogue) {
  const int64_t a_stride = p.k + 3, c_stride = p.n + 5;
  const int64_t k_stride = transposed ? 1 : p.n, n_stride = transposed ? p.k : 1;
  GuardedBuffer a(p.m * a_stride, dtype), b(p.k * p.n, tensor::Dtype::kFloat32), bias(p.n, tensor::Dtype::kFloat32);
  GuardedBuffer packed(packed_bytes(p.k, p.n, dtype) / tensor::dtype_bytes(dtype), dtype);
  GuardedBuffer c(p.m * c_stride, c_dtype), expected(p.m * c_stride, c_dtype);
  GuardedBuffer slope(p.m * c_stride, c_dtype), expected_slope(p.m * c_stride, c_dtype);
  GuardedBuffer factor(p.m * c_stride, c_dtype), residual(p.m * c_stride, tensor::Dtype::kFloat32);
  a.randomise(1);
  b.randomise(2, 1 / std::sqrt(static_cast<double>(p.k)));
  if (epilogue.bias) epilogue.bias = bias.randomise(3).floats();
  c.randomise(4);
  expected.randomise(4);
  pack(b.floats(), p.k, p.n, k_stride, n_stride, dtype, packed.data());
  EXPECT_TRUE(packed.guards_intact());
  if (epilogue.activation != Activation::kNone) epilogue.slope = slope.data();
  if (epilogue.factor) epilogue.factor = factor.randomise(5).data();
  if (epilogue.residual) epilogue.residual = residual.randomise(6).floats();
  matmul(a.data(), dtype, a_stride, p.m, p.k, packed.data(), p.n, c.data(), c_dtype, c_stride, epilogue);
  if (epilogue.slope) epilogue.slope = expected_slope.data();
  reference::matmul(a.data(), dtype, a_stride, p.m, p.k, b.floats(), k_stride, n_stride, p.n, expected.data(), c_dtype,
                    c_stride, epilogue);
  expect_close(c, expected, tolerance(c_dtype), "c");
  expect_close(slope, expected_slope, tolerance(c_dtype), "slope");
}

TEST(Matmul, AgreesWithReferenceAtEverySizeDtypeAndTarget) {
  for_each_target([] {
    for (const Product& p : kProducts) {
      SCOPED_TRACE(testing::Message() << p.m << " x " << p.k << " x " << p.n);
      for (tensor::Dtype dtype : kBothDtypes) {
        expect_product(p, dtype, tensor::Dtype::kFloat32, false, {});
        expect_product(p, dtype, dtype, true, {});
      }
    }
  });
}

TEST(Matmul, EpilogueDoesItsStepsInOrder) {
  const float wanted = 0;  // any non-null address: expect_product fills in the real operand
  for_each_target([&] {
    for (const Product& p :
         {kProducts[2], kProducts[3], kProducts[5], kProducts[6], Product{45, 94, 83}, Product{77, 288, 80}}) {
      for (tensor::Dtype dtype : kBothDtypes) {
        for (Activation kind : {Activation::kNone, Activation::kGelu, Activation::kReluSquared}) {
          expect_product(p, dtype, dtype, false, {.bias = &wanted, .activation = kind});
          expect_product(p, dtype, tensor::Dtype::kFloat32, false, {.activation = kind, .accumulate = true});
          expect_product(p, dtype, tensor::Dtype::kFloat32, false,
                         {.activation = kind, .factor = &wanted, .residual = &wanted});
        }
        for (tensor::Dtype c_dtype : kBothDtypes) expect_product(p, dtype, c_dtype, false, {.factor = &wanted});
        expect_product(p, dtype, tensor::Dtype::kFloat32, false, {.residual = &wanted});
      }
    }
  });
}

// In place: a slope that dies gives its memory to the gradient, a residual stream to the next one.
TEST(Matmul, ResultMayTakeThePlaceOfItsFactorAndResidual) {
  constexpr int64_t kK = 32, kN = 80;
  for_each_target([] {
    for (const int64_t kM : {13, 45})
      for (tensor::Dtype dtype : kBothDtypes) {
        GuardedBuffer a(kM * kK, dtype), b(kK * kN, tensor::Dtype::kFloat32), c(kM * kN, dtype);
        GuardedBuffer packed(packed_bytes(kK, kN, dtype) / tensor::dtype_bytes(dtype), dtype);
        a.randomise(1);
        b.randomise(2);
        pack(b.floats(), kK, kN, kN, 1, dtype, packed.data());
        GuardedBuffer factor = c.randomise(3), apart = c;
        matmul(a.data(), dtype, kK, kM, kK, packed.data(), kN, apart.data(), dtype, kN, {.factor = factor.data()});
        matmul(a.data(), dtype, kK, kM, kK, packed.data(), kN, c.data(), dtype, kN, {.factor = c.data()});
        expect_close(c, apart, 0, "factor");
        GuardedBuffer stream(kM * kN, tensor::Dtype::kFloat32), sum(kM * kN, tensor::Dtype::kFloat32);
        stream.randomise(4);
        matmul(a.data(), dtype, kK, kM, kK, packed.data(), kN, sum.data(), tensor::Dtype::kFloat32, kN,
               {.residual = stream.floats()});
        matmul(a.data(), dtype, kK, kM, kK, packed.data(), kN, stream.data(), tensor::Dtype::kFloat32, kN,
               {.residual = stream.floats()});
        expect_close(stream, sum, 0, "residual");
      }
  });
}

TEST(Matmul, OuterProductAccumulatesAndStaysInside) {
  for_each_target([] {
    for (const Product& p : kProducts) {
      for (tensor::Dtype dtype : kBothDtypes) {
        const int64_t dy_stride = p.n + 1, x_stride = p.k + 2, dw_stride = p.k + 3;
        GuardedBuffer dy(p.m * dy_stride, dtype), x(p.m * x_stride, dtype);
        GuardedBuffer dw(p.n * dw_stride, tensor::Dtype::kFloat32), expected(p.n * dw_stride, tensor::Dtype::kFloat32);
        GuardedBuffer workspace(outer_workspace_bytes(p.m, p.n, p.k, dtype) / 4, tensor::Dtype::kFloat32);
        dy.randomise(1);
        x.randomise(2);
        dw.randomise(3);
        expected.randomise(3);
        matmul_outer_accumulate(dy.data(), dy_stride, x.data(), x_stride, dtype, p.m, p.n, p.k, dw.floats(), dw_stride,
                                workspace.data());
        reference::matmul_outer_accumulate(dy.data(), dy_stride, x.data(), x_stride, dtype, p.m, p.n, p.k,
                                           expected.floats(), dw_stride);
        expect_close(dw, expected, tolerance(tensor::Dtype::kFloat32), "dw");
        EXPECT_TRUE(workspace.guards_intact());
      }
    }
  });
}

TEST(Matmul, PackTakesAnyStrides) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      GuardedBuffer b(70 * 75 * 2, tensor::Dtype::kFloat32), plain(70 * 75, tensor::Dtype::kFloat32);
      b.randomise(1);
      for (int64_t k = 0; k < 70; ++k) {
        for (int64_t n = 0; n < 75; ++n) plain.set(k * 75 + n, b[(n * 70 + k) * 2]);
      }
      const int64_t elements = packed_bytes(70, 75, dtype) / tensor::dtype_bytes(dtype);
      GuardedBuffer strided(elements, dtype), packed(elements, dtype);
      pack(b.floats(), 70, 75, 2, 140, dtype, strided.data());
      pack(plain.floats(), 70, 75, 75, 1, dtype, packed.data());
      expect_close(strided, packed, 0, "both strides above one");
    }
  });
}

TEST(Matmul, SameInputsGiveTheSameBits) {
  for (tensor::Dtype dtype : kBothDtypes) {
    GuardedBuffer a(37 * 50, dtype), b(50 * 70, tensor::Dtype::kFloat32), first(37 * 70, tensor::Dtype::kFloat32),
        second(37 * 70, tensor::Dtype::kFloat32);
    GuardedBuffer packed(packed_bytes(50, 70, dtype) / tensor::dtype_bytes(dtype), dtype);
    a.randomise(1);
    b.randomise(2);
    pack(b.floats(), 50, 70, 70, 1, dtype, packed.data());
    for (GuardedBuffer* c : {&first, &second}) {
      matmul(a.data(), dtype, 50, 37, 50, packed.data(), 70, c->data(), tensor::Dtype::kFloat32, 70);
    }
    EXPECT_EQ(0, std::memcmp(first.data(), second.data(), 37 * 70 * 4));
  }
}

TEST(Matmul, NotANumberIsNotHidden) {
  GuardedBuffer a(8 * 8, tensor::Dtype::kBfloat16), b(64, tensor::Dtype::kFloat32), c(64, tensor::Dtype::kBfloat16);
  GuardedBuffer packed(packed_bytes(8, 8, tensor::Dtype::kBfloat16) / 2, tensor::Dtype::kBfloat16);
  a.randomise(1);
  b.randomise(2);
  a.set(3 * 8 + 2, std::nanf(""));
  pack(b.floats(), 8, 8, 8, 1, tensor::Dtype::kBfloat16, packed.data());
  for (Activation kind : {Activation::kNone, Activation::kGelu, Activation::kReluSquared}) {
    matmul(a.data(), tensor::Dtype::kBfloat16, 8, 8, 8, packed.data(), 8, c.data(), tensor::Dtype::kBfloat16, 8,
           {.activation = kind});
    EXPECT_TRUE(std::isnan(c[3 * 8]));
    EXPECT_FALSE(std::isnan(c[0]));
  }
}

}  // namespace
}  // namespace flywheel::kernels
