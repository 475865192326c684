/* Tiles of products, AdamW and transposition in registers: what step.c and probe.c are made of. */
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")

/* A tile: ROWS × WIDE of a product in registers, of which AVX-512 has 32 and AVX2 16. */
#if defined(__AVX512F__)
enum { LANES = 16, ROWS = 8 };
#else
enum { LANES = 8, ROWS = 4 };
#endif
enum { VECTORS = 2, WIDE = LANES * VECTORS, PANEL = 32 };
typedef float V __attribute__((vector_size(4 * LANES), may_alias));
typedef int32_t I __attribute__((vector_size(4 * LANES), may_alias));
#define LOAD(p) (*(const V *)(p))
#define STORE(p, x) (*(V *)(p) = (x))
#define EACH UNROLLED for (int a = 0; a < ROWS; a++) UNROLLED for (int b = 0; b < VECTORS; b++)
/* Where element (i, j) of a matrix of m rows lies in its panels. */
#define PLACE(m, i, j) (((long)(j) / PANEL * (m) + (i)) * PANEL + (j) % PANEL)
#define AT(x, m, i, j) ((x) + PLACE(m, i, j))

INLINE V all(float x) { return x - (V){0}; }
INLINE V keep(V x, I mask) { return (V)((I)x & mask); }
INLINE V either(I mask, V x, V y) { return (V)((mask & (I)x) | (~mask & (I)y)); }
INLINE V above_zero(V x, V y) { return keep(x, ~(y <= (V){0})); } /* x where y > 0 or y is NaN */
INLINE float sum(V x) {
  float s = 0;
  for (int i = 0; i < LANES; i++) s += x[i];
  return s;
}
INLINE V root(V x) {
#if defined(__AVX512F__)
  return (V)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX__)
  return (V)_mm256_sqrt_ps((__m256)x);
#else
  for (int i = 0; i < LANES; i++) x[i] = sqrtf(x[i]);
  return x;
#endif
}

INLINE int padded(int n, int to) { return (n + to - 1) / to * to; }

static float *take(uintptr_t *next, long count) {
  float *here = (float *)*next;
  *next += (4 * (uintptr_t)count + 63) / 64 * 64 + 192; /* not all at the same place of the cache */
  return here;
}

/* ---- products ------------------------------------------------------------------------------ */

/* acc += a · b: ROWS rows of a matrix of m rows, and columns of one of k rows. */
INLINE void tile(V acc[ROWS][VECTORS], int k, const float *a_, long m, const float *b_) {
  for (int panel = 0; panel < k; panel += PANEL, a_ += m * PANEL)
    for (int q = 0; q < PANEL; q++, b_ += PANEL) {
      V y[VECTORS];
      UNROLLED for (int b = 0; b < VECTORS; b++) y[b] = LOAD(b_ + LANES * b);
      EACH acc[a][b] += a_[a * PANEL + q] * y[b];
    }
}

/* acc += aᵀ · b: columns of two matrices of k rows. */
INLINE void tile_transposed(V acc[ROWS][VECTORS], int k, const float *a_, const float *b_) {
  for (int q = 0; q < k; q++, a_ += PANEL, b_ += PANEL) {
    V y[VECTORS];
    UNROLLED for (int b = 0; b < VECTORS; b++) y[b] = LOAD(b_ + LANES * b);
    EACH acc[a][b] += a_[a] * y[b];
  }
}

/* ---- AdamW --------------------------------------------------------------------------------- */

typedef struct { /* as in models/native/build.py */
  double lr, weight_decay, beta1, beta2, eps;
} AdamW;

typedef struct {
  float decay, rate, scale, gain1, keep2, gain2, eps;
} Update;

/* m' = m + (1 − β₁)(g − m), v' = β₂v + (1 − β₂)g²; with both corrected for their start at zero,
 * w' = (1 − lr·wd)·w − lr·m̂/(√v̂ + ε). */
static Update update_of(const AdamW *o, double step) {
  double c1 = 1 - pow(o->beta1, step), c2 = 1 - pow(o->beta2, step);
  return (Update){(float)(1 - o->lr * o->weight_decay), (float)(o->lr / c1), (float)(1 / sqrt(c2)),
                  (float)(1 - o->beta1), (float)o->beta2, (float)(1 - o->beta2), (float)o->eps};
}

INLINE void adamw(V g, float *w, float *m, float *v, Update o) {
  V first = LOAD(m), second = LOAD(v);
  first += o.gain1 * (g - first);
  second = o.keep2 * second + o.gain2 * g * g;
  STORE(m, first), STORE(v, second);
  STORE(w, LOAD(w) * o.decay - o.rate * first / (root(second) * o.scale + o.eps));
}

/* ---- transposed copies --------------------------------------------------------------------- */

#if defined(__AVX512F__)
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#else
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#endif
#if defined(__clang__)
#define ZIP(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define ZIP(a, b, ...) __builtin_shuffle(a, b, (I){__VA_ARGS__})
#endif

/* A square of LANES rows, its columns made rows. Zipping row i with row i + LANES/2 rotates the bits
 * of an element's place, (row, column), by one: log₂ LANES times, and they have swapped. */
INLINE void transpose_square(V r[LANES]) {
  V s[LANES];
  UNROLLED for (int bit = 1; bit < LANES; bit *= 2) {
    UNROLLED for (int a = 0; a < LANES / 2; a++) {
      s[2 * a] = ZIP(r[a], r[a + LANES / 2], LOW);
      s[2 * a + 1] = ZIP(r[a], r[a + LANES / 2], HIGH);
    }
    UNROLLED for (int a = 0; a < LANES; a++) r[a] = s[a];
  }
}

/* Numbers too small for full precision count as zero, as torch.set_flush_denormal has it: Adam's
 * moments of dead units become such, and slow a CPU manyfold. The caller's setting comes back. */
static unsigned flush_denormals(void) {
#if defined(__SSE__)
  unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);
  return before;
#else
  return 0;
#endif
}
static void restore(unsigned before) {
#if defined(__SSE__)
  _mm_setcsr(before);
#else
  (void)before;
#endif
}
