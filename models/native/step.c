/* Training steps of one run, fused: what models/pack does for a pack with torch, here in float32 for
 * a run after another, on the registers of a product's tile.
 *
 * Letters (those of models/pack/layers.py): S subspaces, D features of a token, H hidden units, L
 * features of a latent token, J = S·L, T tokens, B pairs of a batch, R = T·2·B rows; dy is dL/dy,
 * the derivative of the run's total loss (equation 5). A row is (token, view, clip).
 *
 * Layout. A matrix of m rows and n columns is n/32 panels of (m, 32), so that a tile of a product
 * reads its operands as contiguous streams and nothing is packed. Weights lie (in, out). Sizes are
 * padded: features to a panel, rows to a tile. Padding of weights, of errors and of latents'
 * gradients is zero, and so stays zero: its gradients are products with those zeros.
 *
 * NaN stays NaN: comparisons are written so that it is on the side that keeps it, and the compiler
 * is not told that there is none. */
#include "halves.h"
#include "kernels.h"

/* ---- the run ------------------------------------------------------------------------------- */

typedef struct { /* as in models/native/engine.py */
  int tokens, pairs, features, hidden, latent, subspaces;
  int mean, relu; /* whether tokens are pooled by their mean, and latents rectified */
  int bf16;       /* whether products are, in training */
} Sizes;

enum { NONE, INFONCE_SIM, INFONCE_SEP, COSINE_SIM, COSINE_SEP, VICREG_SIM, VICREG_SEP };
typedef struct {
  int decoder, terms[2];                                   /* of L_dis, one a subspace */
  float rec_weight, dis_weight;                            /* γλ and 1 − λ */
  float temperature, epsilon, invariance, variance, covariance;
} Run;

typedef struct {
  float *w1, *b1, *w2, *b2, *w3, *b3, *w4, *b4; /* (D, S·H), S of (H, L), (J, H), (H, D) */
} Layers;

typedef struct {
  int T, B, S, R, M;    /* M: R, padded */
  int d, h, l;          /* as they are; D, H, L: padded */
  int D, H, L, J;
  int mean, relu;
  Layers w, m, v;       /* weights and AdamW's moments */
  float *w2t, *w3t, *w4t; /* (out, in), for the inputs' gradients */
  float *x, *hidden, *z, *wide; /* (M, D), (M, S·H), (M, J), (M, H): units, then their gradients */
  float *error, *dz;    /* (M, D), and its gradient; (M, J) in the same place, once that is done with */
  float *db1, *db2, *db3, *db4;
  float *pooled, *dpooled, *centred, *power;  /* of one subspace */
  float *sim, *up, *up_t;                     /* (B, B) */
  float *lengths, *shrink;                    /* (2, B) */
  int64_t *block;                             /* (2, B) clips */
  Halves halves;
} Net;

static void take_layers(uintptr_t *next, const Net *n, Layers *w) {
  w->w1 = take(next, (long)n->D * n->S * n->H), w->b1 = take(next, (long)n->S * n->H);
  w->w2 = take(next, (long)n->H * n->J), w->b2 = take(next, n->J);
  w->w3 = take(next, (long)n->J * n->H), w->b3 = take(next, n->H);
  w->w4 = take(next, (long)n->H * n->D), w->b4 = take(next, n->D);
}

/* Where everything lies from `place` on; the bytes it takes. */
static long lay_out(Net *n, const Sizes *s, uintptr_t place) {
  uintptr_t next = place;
  n->T = s->tokens, n->B = s->pairs, n->S = s->subspaces, n->R = n->T * 2 * n->B;
  n->M = padded(n->R, ROWS);
  n->d = s->features, n->h = s->hidden, n->l = s->latent;
  n->D = padded(n->d, PANEL), n->H = padded(n->h, PANEL), n->L = padded(n->l, PANEL);
  n->J = n->S * n->L, n->mean = s->mean, n->relu = s->relu;
  long m = n->M, square = (long)n->B * n->B;
  take_layers(&next, n, &n->w), take_layers(&next, n, &n->m), take_layers(&next, n, &n->v);
  n->w2t = take(&next, (long)n->J * n->H), n->w3t = take(&next, (long)n->H * n->J);
  n->w4t = take(&next, (long)n->D * n->H);
  n->x = take(&next, m * n->D), n->hidden = take(&next, m * n->S * n->H);
  n->z = take(&next, m * n->J), n->wide = take(&next, m * n->H);
  n->error = n->dz = take(&next, m * (n->D > n->J ? n->D : n->J));
  n->db1 = take(&next, (long)n->S * n->H), n->db2 = take(&next, n->J);
  n->db3 = take(&next, n->H), n->db4 = take(&next, n->D);
  n->pooled = take(&next, 2L * n->B * n->L), n->dpooled = take(&next, 2L * n->B * n->L);
  n->centred = take(&next, m * n->L), n->power = take(&next, (long)n->T * n->L);
  n->sim = take(&next, square), n->up = take(&next, square), n->up_t = take(&next, square);
  n->lengths = take(&next, 2L * n->B), n->shrink = take(&next, 2L * n->B);
  n->block = (int64_t *)take(&next, 4L * n->B);
  n->halves = (Halves){0, 0};
  if (s->bf16) {
    int widest = n->D > n->H ? n->D : n->H, tallest;
    widest = widest > n->J ? widest : n->J, tallest = widest > n->M ? widest : n->M;
    n->halves.left = (int32_t *)take(&next, (long)tallest * widest / 2);
    n->halves.right = (int32_t *)take(&next, (long)tallest * widest / 2);
  }
  return (long)(next - place);
}

static Net net_of(const Sizes *s, void *arena) {
  Net n;
  lay_out(&n, s, ((uintptr_t)arena + 63) / 64 * 64);
  return n;
}

/* ---- layers -------------------------------------------------------------------------------- */

/* A tile of x · W + b, whose pairs lie in `h` if they are asked for. */
INLINE void affine(V acc[ROWS][VECTORS], int i, int j, int m, int k, const float *x, const float *w,
                   const float *bias, Halves h) {
  if (h.left) {
    tile_halves(acc, k, h.left + i * PANEL / 2, m, AT(h.right, k / 2, 0, j));
    EACH acc[a][b] += LOAD(bias + j + LANES * b);
  } else {
    EACH acc[a][b] = LOAD(bias + j + LANES * b);
    tile(acc, k, AT(x, m, i, 0), m, AT(w, k, 0, j));
  }
}

/* y = x · W + b, rectified if asked: x (m, k), W (k, n). */
INLINE void forward(int m, int n, int k, const float *x, const float *w, const float *bias, float *y,
                    int relu, Halves h) {
  if (h.left) pair_rows(m, k, x, h.left), pair_columns(k, n, w, h.right);
  for (int j = 0; j < n; j += WIDE)
    for (int i = 0; i < m; i += ROWS) {
      V acc[ROWS][VECTORS];
      affine(acc, i, j, m, k, x, w, bias, h);
      float *to = AT(y, m, i, j);
      EACH STORE(to + a * PANEL + LANES * b, relu ? above_zero(acc[a][b], acc[a][b]) : acc[a][b]);
    }
}

/* dx = dy · Wᵀ, added to what is there if asked, and zero where the unit y = max(0, x) was off:
 * dy/dx is 1 where y > 0. And db = Σ over rows of dx, for the layer below. */
INLINE void input_gradient(int m, int n, int k, const float *dy, const float *wt, float *dx,
                           const float *unit, int add, float *db, Halves h) {
  if (h.left) pair_rows(m, k, dy, h.left), pair_columns(k, n, wt, h.right);
  for (int j = 0; j < n; j += WIDE) {
    V total[VECTORS];
    UNROLLED for (int b = 0; b < VECTORS; b++) total[b] = (V){0};
    for (int i = 0; i < m; i += ROWS) {
      V acc[ROWS][VECTORS];
      EACH acc[a][b] = (V){0};
      if (h.left) tile_halves(acc, k, h.left + i * PANEL / 2, m, AT(h.right, k / 2, 0, j));
      else tile(acc, k, AT(dy, m, i, 0), m, AT(wt, k, 0, j));
      float *to = AT(dx, m, i, j);
      const float *on = unit ? AT(unit, m, i, j) : 0;
      EACH {
        V g = acc[a][b];
        if (add) g += LOAD(to + a * PANEL + LANES * b);
        if (unit) g = above_zero(g, LOAD(on + a * PANEL + LANES * b));
        total[b] += g;
        STORE(to + a * PANEL + LANES * b, g);
      }
    }
    UNROLLED for (int b = 0; b < VECTORS; b++) STORE(db + j + LANES * b, total[b]);
  }
}

/* dW = xᵀ · dy, a tile of it in registers, and its update at once: x (k, m), dy (k, n). */
INLINE void weight_step(int m, int n, int k, const float *x, const float *dy, float *w, float *first,
                        float *second, Update o, Halves h) {
  if (h.left) pair_columns(k, m, x, h.left), pair_columns(k, n, dy, h.right);
  for (int j = 0; j < n; j += WIDE)
    for (int i = 0; i < m; i += ROWS) {
      V acc[ROWS][VECTORS];
      EACH acc[a][b] = (V){0};
      if (h.left) tile_halves_transposed(acc, k, AT(h.left, k / 2, 0, i), AT(h.right, k / 2, 0, j));
      else tile_transposed(acc, k, AT(x, k, 0, i), AT(dy, k, 0, j));
      long place = PLACE(m, i, j);
      EACH {
        long p = place + a * PANEL + LANES * b;
        adamw(acc[a][b], w + p, first + p, second + p, o);
      }
    }
}

INLINE void bias_step(int n, const float *db, float *w, float *first, float *second, Update o) {
  for (int j = 0; j < n; j += LANES) adamw(LOAD(db + j), w + j, first + j, second + j, o);
}

/* An encoder that no loss reads (λ = 0) has no gradient; AdamW still lets it decay. */
static void decay(float *w, long count, Update o) {
  for (long p = 0; p < count; p += LANES) STORE(w + p, LOAD(w + p) * o.decay);
}

/* (rows, columns) to (columns, rows), both in panels. */
static void transpose(int rows, int columns, const float *from, float *to) {
  for (int i = 0; i < rows; i += LANES)
    for (int j = 0; j < columns; j += LANES) {
      V r[LANES];
      UNROLLED for (int a = 0; a < LANES; a++) r[a] = LOAD(AT(from, rows, i + a, j));
      transpose_square(r);
      UNROLLED for (int a = 0; a < LANES; a++) STORE(AT(to, columns, j + a, i), r[a]);
    }
}

static void copy_transposed(const Net *n, int decoder) {
  for (long s = 0, size = (long)n->H * n->L; s < n->S; s++)
    transpose(n->H, n->L, n->w.w2 + s * size, n->w2t + s * size);
  if (!decoder) return;
  transpose(n->J, n->H, n->w.w3, n->w3t);
  transpose(n->H, n->D, n->w.w4, n->w4t);
}

#include "objectives.h"

/* ---- a step -------------------------------------------------------------------------------- */

/* The clips of a batch, view-major, from (clips, T, width) to rows of a matrix. */
static void gather(const Net *n, const float *from, int width, const int64_t *clips, float *to) {
  for (int t = 0; t < n->T; t++)
    for (int c = 0; c < 2 * n->B; c++) {
      const float *features = from + (clips[c] * n->T + t) * width;
      for (int j = 0; j < width; j += PANEL) {
        int count = width - j < PANEL ? width - j : PANEL;
        memcpy(AT(to, n->M, t * 2 * n->B + c, j), features + j, 4 * (unsigned)count);
      }
    }
}

static int used(const Run *r, int s) { return r->decoder || r->terms[s]; }

/* z = relu(x · W₁ + b₁) · W₂ + b₂, of every subspace. */
static void encode(const Net *n, const Run *r) {
  for (long s = 0, M = n->M; s < n->S; s++) {
    if (!used(r, (int)s)) continue;
    float *hidden = n->hidden + s * n->H * M, *w2 = n->w.w2 + s * n->H * n->L;
    float *z = n->z + s * n->L * M, *b2 = n->w.b2 + s * n->L;
    forward(n->M, n->H, n->D, n->x, n->w.w1 + s * n->H * n->D, n->w.b1 + s * n->H, hidden, 1,
            n->halves);
    if (n->relu) forward(n->M, n->L, n->H, hidden, w2, b2, z, 1, n->halves);
    else forward(n->M, n->L, n->H, hidden, w2, b2, z, 0, n->halves);
  }
}

/* error = d(z) − x and L_rec = mean(error²); then the error times γλ·dL_rec/d(error), which is
 * γλ·2·error/elements, and db₄ = Σ over rows of that. */
static float reconstruct(const Net *n, float rec_weight) {
  float elements = (float)n->R * (float)n->d, scale = rec_weight * 2 / elements;
  double squares = 0;
  forward(n->M, n->H, n->J, n->z, n->w.w3, n->w.b3, n->wide, 1, n->halves);
  const Halves h = n->halves;
  if (h.left) pair_rows(n->M, n->H, n->wide, h.left), pair_columns(n->H, n->D, n->w.w4, h.right);
  for (int j = 0; j < n->D; j += WIDE) {
    V total[VECTORS], square = {0};
    UNROLLED for (int b = 0; b < VECTORS; b++) total[b] = (V){0};
    for (int i = 0; i < n->M; i += ROWS) {
      V acc[ROWS][VECTORS];
      affine(acc, i, j, n->M, n->H, n->wide, n->w.w4, n->w.b4, h);
      const float *x = AT(n->x, n->M, i, j);
      float *to = AT(n->error, n->M, i, j);
      EACH {
        V e = acc[a][b] - LOAD(x + a * PANEL + LANES * b);
        if (i + a >= n->R) e = (V){0}; /* a row of padding */
        square += e * e;
        e *= scale;
        total[b] += e;
        STORE(to + a * PANEL + LANES * b, e);
      }
    }
    squares += sum(square);
    UNROLLED for (int b = 0; b < VECTORS; b++) STORE(n->db4 + j + LANES * b, total[b]);
  }
  return (float)(squares / elements);
}

/* With y = x · W + b, dW = xᵀ · dy, db = Σ over rows of dy, dx = dy · Wᵀ, the transposed copy being
 * that of the weights before their update. Hidden units give way to their own gradient, once the
 * weights after them have stepped. */
static void output_backward(const Net *n, Update o) {
  int M = n->M, H = n->H, D = n->D;
  const Layers *w = &n->w, *m = &n->m, *v = &n->v;
  weight_step(H, D, M, n->wide, n->error, w->w4, m->w4, v->w4, o, n->halves);
  bias_step(D, n->db4, w->b4, m->b4, v->b4, o);
  input_gradient(M, H, D, n->error, n->w4t, n->wide, n->wide, 0, n->db3, n->halves);
}

/* dz = (1 − λ)·dL_dis/dz, which stands there already, + γλ·dL_rec/dz */
static void decoder_backward(const Net *n, Update o) {
  int M = n->M, H = n->H, J = n->J;
  const Layers *w = &n->w, *m = &n->m, *v = &n->v;
  weight_step(J, H, M, n->z, n->wide, w->w3, m->w3, v->w3, o, n->halves);
  bias_step(H, n->db3, w->b3, m->b3, v->b3, o);
  if (n->relu) input_gradient(M, J, H, n->wide, n->w3t, n->dz, n->z, 1, n->db2, n->halves);
  else input_gradient(M, J, H, n->wide, n->w3t, n->dz, 0, 1, n->db2, n->halves);
}

/* What decoder_backward leaves in dz and db₂, where there is no decoder. */
static void latents_backward(const Net *n) {
  for (int j = 0; j < n->J; j += LANES) {
    V total = {0};
    for (int i = 0; i < n->M; i++) {
      float *dz = AT(n->dz, n->M, i, j);
      if (n->relu) STORE(dz, above_zero(LOAD(dz), LOAD(AT(n->z, n->M, i, j))));
      total += LOAD(dz);
    }
    STORE(n->db2 + j, total);
  }
}

static void encoder_backward(const Net *n, int s, Update o) {
  int M = n->M, H = n->H, L = n->L, D = n->D;
  const Layers *w = &n->w, *m = &n->m, *v = &n->v;
  long one = (long)s * H * D, two = (long)s * H * L, bias1 = (long)s * H, bias2 = (long)s * L;
  float *dz = n->dz + bias2 * M, *hidden = n->hidden + bias1 * M;
  weight_step(H, L, M, hidden, dz, w->w2 + two, m->w2 + two, v->w2 + two, o, n->halves);
  bias_step(L, n->db2 + bias2, w->b2 + bias2, m->b2 + bias2, v->b2 + bias2, o);
  input_gradient(M, H, L, dz, n->w2t + two, hidden, hidden, 0, n->db1 + bias1, n->halves);
  weight_step(D, H, M, n->x, hidden, w->w1 + one, m->w1 + one, v->w1 + one, o, n->halves);
  bias_step(H, n->db1 + bias1, w->b1 + bias1, m->b1 + bias1, v->b1 + bias1, o);
}

static void decay_encoder(const Net *n, int s, Update o) {
  decay(n->w.w1 + (long)s * n->H * n->D, (long)n->H * n->D, o);
  decay(n->w.b1 + (long)s * n->H, n->H, o);
  decay(n->w.w2 + (long)s * n->H * n->L, (long)n->H * n->L, o);
  decay(n->w.b2 + (long)s * n->L, n->L, o);
}

/* ---- what Python calls --------------------------------------------------------------------- */

long arena_bytes(const Sizes *s) {
  Net n;
  return lay_out(&n, s, 64) + 64;
}

/* Whether the processor has bf16. */
int has_halves(void) { return HALVES; }

/* J, with its padding. */
int latent_features(const Sizes *s) { return s->subspaces * padded(s->latent, PANEL); }

/* `steps` steps from number `done` on: latents (N, T, D), clips (steps, 2·B); losses (steps, 2) are
 * L_rec and L_dis. */
void train(void *arena, const Sizes *s, const Run *r, const AdamW *optimizer, long done,
           const float *latents, const int64_t *clips, long steps, float *losses) {
  Net n = net_of(s, arena);
  unsigned before = flush_denormals();
  for (long step = 0; step < steps; step++) {
    Update o = update_of(optimizer, (double)(done + step + 1));
    gather(&n, latents, n.d, clips + step * 2 * n.B, n.x);
    encode(&n, r);
    losses[2 * step] = r->decoder ? reconstruct(&n, r->rec_weight) : 0;
    if (r->decoder) output_backward(&n, o);
    losses[2 * step + 1] = disentangle(&n, r, 1);
    if (r->decoder) decoder_backward(&n, o);
    else latents_backward(&n);
    for (int k = 0; k < n.S; k++)
      if (used(r, k)) encoder_backward(&n, k, o);
      else decay_encoder(&n, k, o);
    copy_transposed(&n, r->decoder);
  }
  restore(before);
}

/* Σ over the rows of a matrix in `latents` and its reconstruction of share·(d(z) − x)². */
static double shared_error(const Net *n, const float *shares) {
  double total = 0;
  forward(n->M, n->H, n->J, n->z, n->w.w3, n->w.b3, n->wide, 1, n->halves);
  forward(n->M, n->D, n->H, n->wide, n->w.w4, n->w.b4, n->error, 0, n->halves);
  for (int row = 0; row < n->R; row++) {
    V squares = {0};
    for (int j = 0; j < n->D; j += LANES) {
      V e = LOAD(AT(n->error, n->M, row, j)) - LOAD(AT(n->x, n->M, row, j));
      squares += e * e;
    }
    total += shares[row % (2 * n->B)] * (double)sum(squares);
  }
  return total;
}

/* Losses over fixed pairs of `count` clips, latents (count, T, D): `out` is L_rec, the mean of L_dis
 * over batches (steps, 2·B), and that of |L_dis|. Clips come in many pairs, so each is encoded once,
 * and its latents kept in z (count, T, J); `shares` (count): of a clip's squared error in L_rec. */
void validate(void *arena, const Sizes *s, const Run *r, const float *latents, long count,
              const float *shares, const int64_t *batches, long steps, float *z, double *out) {
  Net n = net_of(s, arena);
  unsigned before = flush_denormals();
  n.halves = (Halves){0, 0}; /* in single precision, as torch's */
  int block = 2 * n.B;
  float *own = n.lengths;
  out[0] = out[1] = out[2] = 0;
  for (long start = 0; start < count; start += block) {
    for (int c = 0; c < block; c++) { /* what is beyond the last clip counts for nothing */
      n.block[c] = start + c < count ? start + c : count - 1;
      own[c] = start + c < count ? shares[start + c] : 0;
    }
    gather(&n, latents, n.d, n.block, n.x);
    encode(&n, r);
    for (int c = 0; c < block && start + c < count; c++)
      for (int t = 0; t < n.T; t++)
        for (int j = 0; j < n.J; j += PANEL)
          memcpy(z + ((start + c) * n.T + t) * n.J + j, AT(n.z, n.M, t * block + c, j), 4 * PANEL);
    if (r->decoder) out[0] += shared_error(&n, own);
  }
  for (long step = 0; step < steps; step++) {
    gather(&n, z, n.J, batches + step * block, n.z);
    double loss = (double)disentangle(&n, r, 0) / (double)steps;
    out[1] += loss, out[2] += fabs(loss);
  }
  restore(before);
}

/* A layer's weights between the order of multiview.Layout, (out, in), and panels, from row `row`
 * and column `column` on. `stride`: inputs of the whole layer. */
static void move(float *panels, long m, int row, int column, float *vector, int outs, int ins,
                 int stride, int out) {
  for (int o = 0; o < outs; o++)
    for (int i = 0; i < ins; i++) {
      float *inside = AT(panels, m, row + i, column + o), *outside = vector + (long)o * stride + i;
      if (out) *outside = *inside;
      else *inside = *outside;
    }
}

static void move_layers(const Net *n, const Layers *w, int decoder, float *vector, int out) {
  int d = n->d, h = n->h, l = n->l;
  for (int s = 0; s < n->S; s++, vector += h * d) move(w->w1, n->D, 0, s * n->H, vector, h, d, d, out);
  for (int s = 0; s < n->S; s++, vector += h) move(w->b1, 1, 0, s * n->H, vector, h, 1, 1, out);
  for (int s = 0; s < n->S; s++, vector += l * h)
    move(w->w2 + (long)s * n->H * n->L, n->H, 0, 0, vector, l, h, h, out);
  for (int s = 0; s < n->S; s++, vector += l) move(w->b2, 1, 0, s * n->L, vector, l, 1, 1, out);
  if (!decoder) return;
  for (int s = 0; s < n->S; s++) move(w->w3, n->J, s * n->L, 0, vector + s * l, h, l, n->S * l, out);
  vector += h * n->S * l;
  move(w->b3, 1, 0, 0, vector, h, 1, 1, out), vector += h;
  move(w->w4, n->H, 0, 0, vector, d, h, h, out), vector += d * h;
  move(w->b4, 1, 0, 0, vector, d, 1, 1, out);
}

/* A run's weights and moments in; nothing of an earlier run is left. */
void load(void *arena, const Sizes *s, int decoder, float *weights, float *first, float *second) {
  memset(arena, 0, (size_t)arena_bytes(s));
  Net n = net_of(s, arena);
  move_layers(&n, &n.w, decoder, weights, 0);
  move_layers(&n, &n.m, decoder, first, 0);
  move_layers(&n, &n.v, decoder, second, 0);
  copy_transposed(&n, decoder);
}

void save(void *arena, const Sizes *s, int decoder, float *weights, float *first, float *second) {
  Net n = net_of(s, arena);
  move_layers(&n, &n.w, decoder, weights, 1);
  move_layers(&n, &n.m, decoder, first, 1);
  move_layers(&n, &n.v, decoder, second, 1);
}

/* The machine's peak: multiply-adds of registers alone, enough of them at once to hide how long one
 * takes. Returns their operations. */
double multiply_adds(long rounds, float *out) {
  enum { CHAINS = 12 };
  V acc[CHAINS], x = all(0.5f), y = all(out[0]);
  /* Chains of different numbers: of equal ones a compiler makes one. */
  UNROLLED for (int c = 0; c < CHAINS; c++) acc[c] = all((float)c * out[0]);
  for (long round = 0; round < rounds; round++)
    UNROLLED for (int c = 0; c < CHAINS; c++) acc[c] = acc[c] * x + y;
  for (int c = 0; c < CHAINS; c++) out[0] += sum(acc[c]);
  return 2.0 * CHAINS * LANES * (double)rounds;
}

/* L_dis alone, of latents z (S, 2, B, T, L), and dz likewise. */
float terms_alone(void *arena, const Sizes *s, const Run *r, const float *z, float *dz) {
  memset(arena, 0, (size_t)arena_bytes(s));
  Net n = net_of(s, arena);
  float loss = 0;
  for (int out = 0; out < 2; out++) {
    long p = 0;
    for (int k = 0; k < n.S; k++)
      for (int c = 0; c < 2 * n.B; c++)
        for (int t = 0; t < n.T; t++)
          for (int i = 0; i < n.l; i++, p++) {
            long place = PLACE(n.M, t * 2 * n.B + c, k * n.L + i);
            if (out) dz[p] = n.dz[place];
            else n.z[place] = z[p];
          }
    if (!out) loss = disentangle(&n, r, 1);
  }
  return loss;
}
