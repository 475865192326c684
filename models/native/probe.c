/* Linear probes of one run, a head after another: models/probes.py, here in float32 on the registers
 * of a product's tile.
 *
 * Letters: F features of a block, padded to a panel; a head reads G blocks side by side, K = G·F
 * inputs; B clips of a batch, padded to a panel; C outputs, the classes of all tasks, padded to a
 * tile. Matrices lie in panels of 32 columns, see step.c: weights (C, K), features x (B, K) and
 * their transpose (K, B), logits (C, B). Padding is zero, and so stays zero.
 *
 * A head's weights and moments are all that it keeps between batches, and heads share nothing, so
 * each is trained over many batches in a row while that lies in the core's own cache. */
#include "kernels.h"

typedef struct { /* as in models/native/probes.py */
  const float *features;     /* (blocks, clips, F), the first block that the head reads */
  const float *mean, *scale; /* (blocks, F), padding too: what makes features standard */
  const int64_t *labels;     /* (tasks, clips) */
  const int *classes;        /* (tasks) */
  long clips;
  int blocks, width, tasks, batch; /* width: F, without padding */
  int all_blocks, first;           /* for whom masks are drawn; the head's first of them */
  float dropout;
  AdamW adamw;
} Head;

typedef struct {
  int F, K, B, C;
  float *w, *b, *m, *mb, *v, *vb, *best, *best_b; /* (C, K) and (C), of each */
  int64_t *right;                                 /* (tasks), by the best weights */
} Weights;

typedef struct {
  float *x, *xt, *logits, *db; /* (B, K), (K, B), (C, B), (C) */
} Batch;

static long lay_out_weights(Weights *w, const Head *h, uintptr_t place) {
  uintptr_t next = place;
  int outputs = 0;
  for (int task = 0; task < h->tasks; task++) outputs += h->classes[task];
  w->F = padded(h->width, PANEL), w->K = h->blocks * w->F;
  w->B = padded(h->batch, PANEL), w->C = padded(outputs, ROWS);
  long size = (long)w->C * w->K, biases = padded(outputs, PANEL);
  w->w = take(&next, size), w->b = take(&next, biases);
  w->m = take(&next, size), w->mb = take(&next, biases);
  w->v = take(&next, size), w->vb = take(&next, biases);
  w->best = take(&next, size), w->best_b = take(&next, biases);
  w->right = (int64_t *)take(&next, 2L * h->tasks);
  return (long)(next - place);
}

static Weights weights_of(const Head *h, void *state) {
  Weights w;
  lay_out_weights(&w, h, ((uintptr_t)state + 63) / 64 * 64);
  return w;
}

static long lay_out_batch(Batch *b, const Weights *w, uintptr_t place) {
  uintptr_t next = place;
  b->x = take(&next, (long)w->B * w->K), b->xt = take(&next, (long)w->B * w->K);
  b->logits = take(&next, (long)w->B * w->C), b->db = take(&next, padded(w->C, PANEL));
  return (long)(next - place);
}

static Batch batch_of(const Weights *w, void *place) {
  Batch b;
  lay_out_batch(&b, w, ((uintptr_t)place + 63) / 64 * 64);
  return b;
}

/* ---- features ------------------------------------------------------------------------------ */

/* As they lie in memory that is not ours. */
typedef float Unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t Short __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

typedef struct {
  const uint16_t *bits; /* (all blocks, count, width); null: nothing is dropped */
  int threshold;        /* bits below it drop a feature */
  float gain;           /* of those that stay */
} Mask;

/* LANES features from feature j on; beyond the last: zero. */
INLINE V some_of(const float *from, int j, int width) {
  float some[LANES] = {0};
  if (j + LANES <= width) return *(const Unaligned *)(from + j);
  if (j < width) memcpy(some, from + j, 4 * (size_t)(width - j));
  return *(const Unaligned *)some;
}

INLINE I bits_of(const uint16_t *from, int j, int width) {
  uint16_t some[LANES] = {0};
  if (j + LANES <= width) return __builtin_convertvector(*(const Short *)(from + j), I);
  if (j < width) memcpy(some, from + j, 2 * (size_t)(width - j));
  return __builtin_convertvector(*(const Short *)some, I);
}

/* Features of `count` clips, standard and some dropped, the rest of the batch zero: (B, K), unless
 * x is null, and their transpose. `masked`: whether there are bits. */
INLINE void read_features_by(const Head *h, const Weights *w, const int64_t *clips, int count,
                             const Mask *mask, float *x, float *xt, int masked) {
  for (int g = 0; g < h->blocks; g++)
    for (int i = 0; i < w->B; i += LANES) {
      const float *rows[LANES];
      const uint16_t *bits[LANES];
      for (int a = 0; a < LANES; a++) {
        int own = i + a < count ? i + a : 0; /* the mean stands in for no clip: it becomes zero */
        rows[a] = h->features + (g * h->clips + clips[own]) * h->width;
        if (i + a >= count) rows[a] = h->mean + g * w->F;
        bits[a] = masked ? mask->bits + ((long)(h->first + g) * count + own) * h->width : 0;
      }
      for (int j = 0; j < w->F; j += LANES) {
        V r[LANES], mean = *(const Unaligned *)(h->mean + g * w->F + j);
        V scale = *(const Unaligned *)(h->scale + g * w->F + j) * (masked ? mask->gain : 1);
        int column = g * w->F + j;
        UNROLLED for (int a = 0; a < LANES; a++) {
          r[a] = (some_of(rows[a], j, h->width) - mean) * scale;
          if (masked) r[a] = keep(r[a], bits_of(bits[a], j, h->width) >= mask->threshold);
        }
        if (x) UNROLLED for (int a = 0; a < LANES; a++) STORE(AT(x, w->B, i + a, column), r[a]);
        transpose_square(r);
        UNROLLED for (int a = 0; a < LANES; a++) STORE(AT(xt, w->K, column + a, i), r[a]);
      }
    }
}

static void read_features(const Head *h, const Weights *w, const int64_t *clips, int count,
                          const Mask *mask, float *x, float *xt) {
  if (mask->bits) read_features_by(h, w, clips, count, mask, x, xt, 1);
  else read_features_by(h, w, clips, count, mask, x, xt, 0);
}

/* ---- a step -------------------------------------------------------------------------------- */

/* logits = W · xᵀ + b. */
static void logits_of(const Weights *w, const float *weights, const float *bias,
                      const Batch *batch) {
  for (int j = 0; j < w->B; j += WIDE)
    for (int i = 0; i < w->C; i += ROWS) {
      V acc[ROWS][VECTORS];
      EACH acc[a][b] = all(bias[i + a]);
      tile(acc, w->K, AT(weights, w->C, i, 0), w->C, AT(batch->xt, w->K, 0, j));
      float *to = AT(batch->logits, w->C, i, j);
      EACH STORE(to + a * PANEL + LANES * b, acc[a][b]);
    }
}

/* eˣ for x ≤ 0, to 2⁻²³ or so: eˣ = 2ⁿ·eʳ with |r| ≤ ln 2 / 2, and eʳ by its series. NaN stays. */
INLINE V exponential(V x) {
  const float shift = 0x1.8p23f; /* added, it leaves the nearest whole number in the last bits */
  x = either(x < all(-87), all(-87), x);
  V shifted = x * 0x1.715476p0f + shift, n = shifted - shift;
  V r = x - n * 0x1.62ep-1f - n * 0x1.0bfbe8p-15f; /* ln 2 in two parts, the first exact times n */
  V series = all(1.0f / 5040);
  series = series * r + 1.0f / 720, series = series * r + 1.0f / 120, series = series * r + 1.0f / 24;
  series = series * r + 1.0f / 6, series = series * r + 0.5f, series = series * r + 1.0f;
  return (series * r + 1.0f) * (V)(((I)shifted << 23) + (127 << 23));
}

/* With p = softmax(logits) and L = mean over clips of −log p[label],
 * dL/dlogits = (p − one-hot label) / B; of every task, in place of the logits. */
static void softmax_errors(const Head *h, const Weights *w, const int64_t *clips, int count,
                           float *logits) {
  int start = 0;
  for (int task = 0, end; task < h->tasks; task++, start = end) {
    const int64_t *labels = h->labels + task * h->clips;
    end = start + h->classes[task];
    for (int j = 0; j < w->B; j += LANES) {
      V most = LOAD(AT(logits, w->C, start, j)), total = {0};
      for (int i = start + 1; i < end; i++) {
        V x = LOAD(AT(logits, w->C, i, j));
        most = either(x > most, x, most);
      }
      for (int i = start; i < end; i++) {
        V e = exponential(LOAD(AT(logits, w->C, i, j)) - most);
        total += e;
        STORE(AT(logits, w->C, i, j), e);
      }
      V share = all(1 / (float)count) / total;
      for (int lane = 0; lane < LANES; lane++)
        if (j + lane >= count) share[lane] = 0; /* no clip */
      for (int i = start; i < end; i++) {
        float *p = AT(logits, w->C, i, j);
        STORE(p, LOAD(p) * share);
      }
    }
    for (int c = 0; c < count; c++)
      *AT(logits, w->C, start + labels[clips[c]], c) -= 1 / (float)count;
  }
}

/* db = Σ over clips of dlogits. */
static void biases_step(const Weights *w, const Batch *b, Update o) {
  for (int i = 0; i < w->C; i++) {
    V total = {0};
    for (int j = 0; j < w->B; j += LANES) total += LOAD(AT(b->logits, w->C, i, j));
    b->db[i] = sum(total);
  }
  for (int i = w->C; i % PANEL; i++) b->db[i] = 0;
  for (int i = 0; i < w->C; i += LANES)
    adamw(LOAD(b->db + i), w->b + i, w->mb + i, w->vb + i, o);
}

/* dW = dlogits · x, a tile of it in registers, and its update at once. */
static void weights_step(const Weights *w, const Batch *batch, Update o) {
  for (int j = 0; j < w->K; j += WIDE)
    for (int i = 0; i < w->C; i += ROWS) {
      V acc[ROWS][VECTORS];
      EACH acc[a][b] = (V){0};
      tile(acc, w->B, AT(batch->logits, w->C, i, 0), w->C, AT(batch->x, w->B, 0, j));
      long place = PLACE(w->C, i, j);
      EACH {
        long p = place + a * PANEL + LANES * b;
        adamw(acc[a][b], w->w + p, w->m + p, w->v + p, o);
      }
    }
}

/* ---- what a head says ---------------------------------------------------------------------- */

/* The class of the greatest logit of each clip, the first of equals, for each task: (tasks, count)
 * from `classes` on, each task's row `stride` long. NaN is the greatest, as in torch. */
static void greatest(const Head *h, const Weights *w, const float *logits, int count,
                     int64_t *classes, long stride) {
  for (int task = 0, start = 0; task < h->tasks; start += h->classes[task++])
    for (int j = 0; j < count; j += LANES) {
      V most = LOAD(AT(logits, w->C, start, j));
      I best = {0};
      for (int i = 1; i < h->classes[task]; i++) {
        V x = LOAD(AT(logits, w->C, start + i, j));
        I greater = ~(x <= most) & (most == most);
        most = either(greater, x, most);
        best = (greater & i) | (~greater & best);
      }
      for (int lane = 0; lane < LANES && j + lane < count; lane++)
        classes[task * stride + j + lane] = best[lane];
    }
}

static void classes_by(const Head *h, const Weights *w, const float *weights, const float *bias,
                       const Batch *b, const int64_t *clips, long count, int64_t *classes) {
  const Mask none = {0};
  for (long start = 0; start < count; start += w->B) {
    int own = (int)(count - start < w->B ? count - start : w->B);
    read_features(h, w, clips + start, own, &none, 0, b->xt);
    logits_of(w, weights, bias, b);
    greatest(h, w, b->logits, own, classes + start, count);
  }
}

/* Rows `start` to `end` of weights, and their biases. */
static void keep_rows(const Weights *w, int start, int end) {
  for (int panel = 0; panel < w->K; panel += PANEL) {
    long place = PLACE(w->C, start, panel);
    memcpy(w->best + place, w->w + place, 4 * PANEL * (size_t)(end - start));
  }
  memcpy(w->best_b + start, w->b + start, 4 * (size_t)(end - start));
}

/* ---- what Python calls --------------------------------------------------------------------- */

/* What a head keeps, and what a thread needs for a batch. */
long probe_bytes(const Head *h) {
  Weights w;
  return lay_out_weights(&w, h, 64) + 64;
}

long probe_batch_bytes(const Head *h) {
  Batch b;
  Weights w = weights_of(h, 0);
  return lay_out_batch(&b, &w, 64) + 64;
}

/* First weights (C, blocks, width) and biases (C), without padding. */
void probe_load(const Head *h, void *state, const float *weights, const float *bias) {
  memset(state, 0, (size_t)probe_bytes(h));
  Weights w = weights_of(h, state);
  int outputs = 0;
  for (int task = 0; task < h->tasks; task++) outputs += h->classes[task], w.right[task] = -1;
  for (int o = 0; o < outputs; o++, weights += h->blocks * h->width)
    for (int g = 0; g < h->blocks; g++)
      for (int i = 0; i < h->width; i++)
        *AT(w.w, w.C, o, g * w.F + i) = weights[g * h->width + i];
  memcpy(w.b, bias, 4 * (size_t)outputs);
}

/* Steps over clips (count) in their order, a batch each and what is left over, from number `done`
 * on; `bits`: sixteen for every feature of every block of each batch in turn. */
void probe_train(const Head *h, void *state, void *place, long done, const int64_t *clips, long count,
                 const uint16_t *bits) {
  Weights w = weights_of(h, state);
  Batch b = batch_of(&w, place);
  Mask mask = {0, (int)lrint((double)h->dropout * 65536), 1 / (1 - h->dropout)};
  unsigned before = flush_denormals();
  for (long start = 0; start < count; start += h->batch) {
    int own = (int)(count - start < h->batch ? count - start : h->batch);
    Update o = update_of(&h->adamw, (double)++done);
    if (h->dropout > 0) mask.bits = bits + start * h->all_blocks * h->width;
    read_features(h, &w, clips + start, own, &mask, b.x, b.xt);
    logits_of(&w, w.w, w.b, &b);
    softmax_errors(h, &w, clips + start, own, b.logits);
    weights_step(&w, &b, o);
    biases_step(&w, &b, o);
  }
  restore(before);
}

/* Keeps each task's weights where they are right on more of these clips than any before. `said`
 * (tasks, count) is room for what they say. */
void probe_choose(const Head *h, void *state, void *place, const int64_t *clips, long count,
                  int64_t *said) {
  Weights w = weights_of(h, state);
  Batch b = batch_of(&w, place);
  unsigned before = flush_denormals();
  classes_by(h, &w, w.w, w.b, &b, clips, count, said);
  for (int task = 0, start = 0; task < h->tasks; start += h->classes[task++]) {
    int64_t right = 0;
    for (long c = 0; c < count; c++)
      right += said[task * count + c] == h->labels[task * h->clips + clips[c]];
    if (right <= w.right[task]) continue;
    w.right[task] = right;
    keep_rows(&w, start, start + h->classes[task]);
  }
  restore(before);
}

/* What the weights kept say of some clips: (tasks, count). */
void probe_say(const Head *h, void *state, void *place, const int64_t *clips, long count,
               int64_t *said) {
  Weights w = weights_of(h, state);
  Batch b = batch_of(&w, place);
  unsigned before = flush_denormals();
  classes_by(h, &w, w.best, w.best_b, &b, clips, count, said);
  restore(before);
}

/* The weights kept, (C, blocks, width). */
void probe_kept(const Head *h, void *state, float *weights) {
  Weights w = weights_of(h, state);
  int outputs = 0;
  for (int task = 0; task < h->tasks; task++) outputs += h->classes[task];
  for (int o = 0; o < outputs; o++, weights += h->blocks * h->width)
    for (int g = 0; g < h->blocks; g++)
      for (int i = 0; i < h->width; i++)
        weights[g * h->width + i] = *AT(w.best, w.C, o, g * w.F + i);
}
