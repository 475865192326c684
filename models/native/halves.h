/* Products in bf16 as models/spec.py has it: operands and product rounded to 7 bits, sums in single
 * precision. The processor multiplies pairs, along the products' inner side, and adds both.
 * Part of step.c. */
#pragma once
#include "kernels.h"

typedef struct {
  int32_t *left, *right; /* pairs, of the product at work; null: products as the operands are */
} Halves;

#if defined(__AVX512BF16__)
enum { HALVES = 1 };

/* Two vectors' numbers, those of `low` first. */
INLINE I both(V low, V high) { return (I)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low); }

INLINE V rounded(V x) {
  const __m256i half = (__m256i)_mm512_cvtneps_pbh((__m512)x);
  return (V)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
}

INLINE V add_products(V acc, int32_t pair, I pairs) {
  return (V)_mm512_dpbf16_ps((__m512)acc, (__m512bh)_mm512_set1_epi32(pair), (__m512bh)pairs);
}

INLINE I zip_words(I x) {
  typedef int16_t S __attribute__((vector_size(64)));
  const S places = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return (I)_mm512_permutexvar_epi16((__m512i)places, (__m512i)x);
}
#else
enum { HALVES = 0 };
INLINE I both(V low, V high) { return (I)low | (I)high; } /* never reached: engine.py asks first */
INLINE V rounded(V x) { return x; }
INLINE V add_products(V acc, int32_t pair, I pairs) { return acc + (V)(pair * pairs); }
INLINE I zip_words(I x) { return x; }
#endif

/* (m, k) to pairs of neighbours in a row: panels of (m, PANEL/2). */
static void pair_rows(int m, int k, const float *from, int32_t *to) {
  for (long p = 0; p < (long)m * k; p += PANEL, to += PANEL / 2)
    *(I *)to = both(LOAD(from + p), LOAD(from + p + LANES));
}

/* (k, n) to pairs of neighbours in a column: panels of (k/2, PANEL). */
static void pair_columns(int k, int n, const float *from, int32_t *to) {
  for (long p = 0; p < (long)k * n; p += 2 * PANEL, to += PANEL)
    for (int b = 0; b < PANEL; b += LANES)
      *(I *)(to + b) = zip_words(both(LOAD(from + p + b), LOAD(from + p + PANEL + b)));
}

/* acc = a · b, rounded: ROWS rows of pair_rows of m rows, and columns of pair_columns. */
INLINE void tile_halves(V acc[ROWS][VECTORS], int k, const int32_t *a_, long m, const int32_t *b_) {
  EACH acc[a][b] = (V){0};
  for (int panel = 0; panel < k; panel += PANEL, a_ += m * PANEL / 2)
    for (int q = 0; q < PANEL / 2; q++, b_ += PANEL)
      EACH acc[a][b] = add_products(acc[a][b], a_[a * PANEL / 2 + q], *(const I *)(b_ + LANES * b));
  EACH acc[a][b] = rounded(acc[a][b]);
}

/* acc = aᵀ · b, rounded: columns of two pair_columns of k rows. */
INLINE void tile_halves_transposed(V acc[ROWS][VECTORS], int k, const int32_t *a_, const int32_t *b_) {
  EACH acc[a][b] = (V){0};
  for (int q = 0; q < k / 2; q++, a_ += PANEL, b_ += PANEL)
    EACH acc[a][b] = add_products(acc[a][b], a_[a], *(const I *)(b_ + LANES * b));
  EACH acc[a][b] = rounded(acc[a][b]);
}
