/* L_dis of one batch and its gradient: models/objectives.py and models/similarity.py, term by term.
 * Part of step.c. A term acts on one subspace's latents, seen as vectors of F = T·L features. */

typedef struct {
  const float *z;
  float *dz;   /* null where the loss alone is asked for */
  long rows;   /* of the matrix that z lies in */
  int T, B, L; /* L: padded */
  int l;
  const Net *n;
} Views;

/* Features c… of token t of clip b in view v. */
#define CLIP(x, t, v, b, c) AT(x, o->rows, ((t) * 2 + (v)) * o->B + (b), c)
#define FEATURES for (int t = 0; t < o->T; t++) for (int c = 0; c < o->L; c += LANES)

INLINE int least(int a, int b) { return a < b ? a : b; }

/* out (B, B): ⟨clip i of view v, clip j of view w⟩. */
static void gram(const Views *o, const float *z, int v, int w, float *out) {
  enum { SIDE = 4 };
  int B = o->B, last = o->B - 1;
  for (int i = 0; i < B; i += SIDE)
    for (int j = 0; j < B; j += SIDE) {
      V acc[SIDE][SIDE], x[SIDE], y[SIDE];
      UNROLLED for (int a = 0; a < SIDE; a++)
        UNROLLED for (int b = 0; b < SIDE; b++) acc[a][b] = (V){0};
      FEATURES {
        UNROLLED for (int a = 0; a < SIDE; a++) x[a] = LOAD(CLIP(z, t, v, least(i + a, last), c));
        UNROLLED for (int b = 0; b < SIDE; b++) y[b] = LOAD(CLIP(z, t, w, least(j + b, last), c));
        UNROLLED for (int a = 0; a < SIDE; a++)
          UNROLLED for (int b = 0; b < SIDE; b++) acc[a][b] += x[a] * y[b];
      }
      for (int a = 0; a < SIDE && i + a < B; a++)
        for (int b = 0; b < SIDE && j + b < B; b++) out[(i + a) * B + j + b] = sum(acc[a][b]);
    }
}

/* out (B): ⟨clip b of view v, clip b of view w⟩. */
static void matched(const Views *o, int v, int w, float *out) {
  for (int b = 0; b < o->B; b++) {
    V acc = {0};
    FEATURES acc += LOAD(CLIP(o->z, t, v, b, c)) * LOAD(CLIP(o->z, t, w, b, c));
    out[b] = sum(acc);
  }
}

/* The lengths of both views' clips, of which the smallest keeps a zero vector from dividing. */
static void lengths(const Views *o) {
  float *out = o->n->lengths;
  for (int v = 0; v < 2; v++) matched(o, v, v, out + v * o->B);
  for (int b = 0; b < 2 * o->B; b++) {
    out[b] = sqrtf(out[b]);
    if (out[b] < 1e-8f) out[b] = 1e-8f;
  }
}

/* dz of view v: own[i]·z_v[i] + Σ_j mix[i, j]·z_w[j]. */
static void combine(const Views *o, const float *z, int v, int w, const float *own,
                    const float *mix) {
  int last = o->B - 1;
  for (int t = 0; t < o->T; t++)
    for (int c = 0; c < o->L; c += WIDE)
      for (int i = 0; i < o->B; i += ROWS) {
        V acc[ROWS][VECTORS];
        EACH {
          V x = LOAD(CLIP(z, t, v, least(i + a, last), c + LANES * b));
          acc[a][b] = (own ? own[least(i + a, last)] : 0) * x;
        }
        for (int j = 0; j < o->B; j++) {
          const float *y = CLIP(z, t, w, j, c);
          EACH acc[a][b] += mix[least(i + a, last) * o->B + j] * LOAD(y + LANES * b);
        }
        EACH if (i + a < o->B) STORE(CLIP(o->dz, t, v, i + a, c + LANES * b), acc[a][b]);
      }
}

/* sim (B, B): the cosine of every clip of view 1 with every clip of view 2. */
static void cosines(const Views *o) {
  const float *l1 = o->n->lengths, *l2 = l1 + o->B;
  lengths(o);
  gram(o, o->z, 0, 1, o->n->sim);
  for (int i = 0; i < o->B; i++)
    for (int j = 0; j < o->B; j++) o->n->sim[i * o->B + j] /= l1[i] * l2[j];
}

/* s = z₁·z₂ / (|z₁| |z₂|), so ds/dz₁ = z₂ / (|z₁| |z₂|) − s·z₁ / |z₁|², summed over pairs;
 * z₂ likewise, along the columns. `up` (B, B) is dL/ds. */
static void cosines_backward(const Views *o) {
  if (!o->dz) return;
  const Net *n = o->n;
  int B = o->B;
  float *l1 = n->lengths, *l2 = l1 + B, *shrink1 = n->shrink, *shrink2 = shrink1 + B;
  for (int b = 0; b < 2 * B; b++) n->shrink[b] = 0;
  for (int i = 0; i < B; i++)
    for (int j = 0; j < B; j++) {
      int p = i * B + j;
      shrink1[i] -= n->up[p] * n->sim[p], shrink2[j] -= n->up[p] * n->sim[p];
      n->up[p] /= l1[i] * l2[j], n->up_t[j * B + i] = n->up[p];
    }
  for (int b = 0; b < 2 * B; b++) n->shrink[b] /= n->lengths[b] * n->lengths[b];
  combine(o, o->z, 0, 1, shrink1, n->up);
  combine(o, o->z, 1, 0, shrink2, n->up_t);
}

/* The same of matched clips alone: sim (B), up (B). */
static void matched_cosines(const Views *o) {
  lengths(o);
  matched(o, 0, 1, o->n->sim);
  for (int b = 0; b < o->B; b++) o->n->sim[b] /= o->n->lengths[b] * o->n->lengths[o->B + b];
}

static void matched_cosines_backward(const Views *o) {
  if (!o->dz) return;
  const float *l1 = o->n->lengths, *l2 = l1 + o->B;
  for (int b = 0; b < o->B; b++) {
    float direct = o->n->up[b] / (l1[b] * l2[b]), along = o->n->up[b] * o->n->sim[b];
    float shrink1 = along / (l1[b] * l1[b]), shrink2 = along / (l2[b] * l2[b]);
    FEATURES {
      V x = LOAD(CLIP(o->z, t, 0, b, c)), y = LOAD(CLIP(o->z, t, 1, b, c));
      STORE(CLIP(o->dz, t, 0, b, c), y * direct - x * shrink1);
      STORE(CLIP(o->dz, t, 1, b, c), x * direct - y * shrink2);
    }
  }
}

/* −log(1 − |s|), 1 − |s| clamped at ε, where the slope is zero: else it is sign(s) / (1 − |s|). */
static float separation(float s, float epsilon, float *slope) {
  float rest = 1 - fabsf(s);
  *slope = rest < epsilon ? 0 : (float)((s > 0) - (s < 0)) / rest;
  return -logf(rest < epsilon ? epsilon : rest);
}

/* −log s, and below ε linear: −log ε + (ε − s). */
static float similarity(float s, float epsilon, float *slope) {
  *slope = s < epsilon ? -1 : -1 / s;
  return s < epsilon ? -logf(epsilon) + (epsilon - s) : -logf(s);
}

/* Equation 1: the mean over i of log Σ_j exp(s_ij/τ) − s_ii/τ, whose slope is
 * (softmax_j(s_i/τ) − [i = j]) / (τ·B). */
static float infonce_sim(const Views *o, float weight, float temperature) {
  int B = o->B;
  float loss = 0;
  cosines(o);
  for (int i = 0; i < B; i++) {
    const float *s = o->n->sim + i * B;
    float *up = o->n->up + i * B, most = s[0], total = 0;
    for (int j = 1; j < B; j++) most = s[j] > most ? s[j] : most;
    for (int j = 0; j < B; j++) total += up[j] = expf((s[j] - most) / temperature);
    for (int j = 0; j < B; j++)
      up[j] = (up[j] / total - (float)(i == j)) * (weight / (temperature * (float)B));
    loss += logf(total) + (most - s[i]) / temperature;
  }
  cosines_backward(o);
  return loss / (float)B;
}

/* Equation 2. */
static float infonce_sep(const Views *o, float weight, float epsilon) {
  int pairs = o->B * o->B;
  float loss = 0;
  cosines(o);
  for (int p = 0; p < pairs; p++) {
    loss += separation(o->n->sim[p], epsilon, &o->n->up[p]);
    o->n->up[p] *= weight / (float)pairs;
  }
  cosines_backward(o);
  return loss / (float)pairs;
}

/* Equations 3 and 4. */
static float cosine_term(const Views *o, float weight, float epsilon, int sep) {
  float loss = 0;
  matched_cosines(o);
  for (int b = 0; b < o->B; b++) {
    float s = o->n->sim[b], *up = &o->n->up[b];
    loss += sep ? separation(s, epsilon, up) : similarity(s, epsilon, up);
    *up *= weight / (float)o->B;
  }
  matched_cosines_backward(o);
  return loss / (float)o->B;
}

/* VICReg's variance and covariance of view v, x its clips less their mean.
 * Hinge, mean over F of max(0, 1 − σ), σ² = Σ_b x² / (B − 1) + 1e-4: d(1 − σ)/dx = −x/(σ·(B − 1)).
 * Penalty, ‖X·Xᵀ‖² less the diagonal's power², power = Σ_b x²: d‖X·Xᵀ‖²/dX = 4·(X·Xᵀ)·X and
 * d power²/dx = 4·power·x. Both sum to zero over the batch, as the centring asks. */
static float spread(const Views *o, int v, float weight, float hinge_weight, float penalty_weight) {
  float *x = o->n->centred, *products = o->n->sim, *alongs = o->n->power, rest = (float)(o->B - 1);
  V hinges = {0}, diagonal = {0};
  FEATURES {
    V mean = {0}, power = {0};
    for (int b = 0; b < o->B; b++) mean += LOAD(CLIP(o->z, t, v, b, c));
    mean /= (float)o->B;
    for (int b = 0; b < o->B; b++) {
      V centred = LOAD(CLIP(o->z, t, v, b, c)) - mean;
      power += centred * centred;
      STORE(CLIP(x, t, v, b, c), centred);
    }
    V deviation = root(power / rest + 1e-4f), hinge = above_zero(1.0f - deviation, 1.0f - deviation);
    for (int lane = 0; lane < LANES; lane++)
      if (c + lane >= o->l) hinge[lane] = 0; /* padding */
    hinges += hinge, diagonal += power * power;
    V along = above_zero(all(-hinge_weight / rest) / deviation, hinge);
    STORE(alongs + t * o->L + c, (along - power * (4 * penalty_weight)) * weight);
  }
  gram(o, x, v, v, products);
  float squares = 0;
  for (int p = 0; p < o->B * o->B; p++) {
    squares += products[p] * products[p];
    products[p] *= 4 * penalty_weight * weight;
  }
  float loss = sum(hinges) * hinge_weight + (squares - sum(diagonal)) * penalty_weight;
  if (!o->dz) return loss;
  combine(o, x, v, v, 0, products);
  FEATURES {
    V along = LOAD(alongs + t * o->L + c);
    for (int b = 0; b < o->B; b++) {
      float *dz = CLIP(o->dz, t, v, b, c);
      STORE(dz, LOAD(dz) + along * LOAD(CLIP(x, t, v, b, c)));
    }
  }
  return loss;
}

/* And its invariance, mean((z₁ − z₂)²): 2·(z₁ − z₂) / elements, and the negative for z₂. */
static float vicreg(const Views *o, float weight, float invariance, float variance,
                    float covariance) {
  float features = (float)o->T * (float)o->l, elements = features * (float)o->B;
  float rest = (float)(o->B - 1), loss = 0, scale = weight * invariance * 2 / elements;
  for (int v = 0; v < 2; v++)
    loss += spread(o, v, weight, variance / 2 / features, covariance / (rest * rest * features));
  V squares = {0};
  for (int b = 0; b < o->B; b++)
    FEATURES {
      V apart = LOAD(CLIP(o->z, t, 0, b, c)) - LOAD(CLIP(o->z, t, 1, b, c));
      squares += apart * apart;
      if (!o->dz) continue;
      float *first = CLIP(o->dz, t, 0, b, c), *second = CLIP(o->dz, t, 1, b, c);
      STORE(first, LOAD(first) + scale * apart);
      STORE(second, LOAD(second) - scale * apart);
    }
  return loss + invariance * sum(squares) / elements;
}

static float term(const Views *o, const Run *r, int which) {
  float w = r->dis_weight;
  switch (which) {
  case INFONCE_SIM: return infonce_sim(o, w, r->temperature);
  case INFONCE_SEP: return infonce_sep(o, w, r->epsilon);
  case COSINE_SIM: return cosine_term(o, w, r->epsilon, 0);
  case COSINE_SEP: return cosine_term(o, w, r->epsilon, 1);
  case VICREG_SIM: return vicreg(o, w, r->invariance, r->variance, r->covariance);
  default: return vicreg(o, w, -r->invariance, r->variance, r->covariance);
  }
}

/* The clips' mean over tokens, as views of one token. dz/T goes to each token. */
static float mean_term(const Net *n, const Run *r, int which, const float *z, float *dz) {
  Views pooled = {n->pooled, dz ? n->dpooled : 0, 2L * n->B, 1, n->B, n->L, n->l, n};
  float share = 1 / (float)n->T;
  for (int row = 0; row < 2 * n->B; row++)
    for (int c = 0; c < n->L; c += LANES) {
      V total = {0};
      for (int t = 0; t < n->T; t++) total += LOAD(AT(z, n->M, t * 2 * n->B + row, c));
      STORE(AT(n->pooled, 2L * n->B, row, c), total * share);
    }
  float loss = term(&pooled, r, which);
  if (!dz) return loss;
  for (int row = 0; row < 2 * n->B; row++)
    for (int c = 0; c < n->L; c += LANES) {
      V one = LOAD(AT(n->dpooled, 2L * n->B, row, c)) * share;
      for (int t = 0; t < n->T; t++) STORE(AT(dz, n->M, t * 2 * n->B + row, c), one);
    }
  return loss;
}

/* L_dis, and dz = (1 − λ)·dL_dis/dz if asked for: no two terms act on the same latents. */
static float disentangle(const Net *n, const Run *r, int gradient) {
  float loss = 0;
  for (int s = 0; s < n->S; s++) {
    long block = (long)s * n->L * n->M;
    const float *z = n->z + block;
    float *dz = gradient ? n->dz + block : 0;
    Views flat = {z, dz, n->M, n->T, n->B, n->L, n->l, n};
    if (!r->terms[s]) {
      if (dz) memset(dz, 0, 4 * (size_t)n->L * (size_t)n->M);
    } else if (n->mean) loss += mean_term(n, r, r->terms[s], z, dz);
    else loss += term(&flat, r, r->terms[s]);
  }
  return loss;
}
