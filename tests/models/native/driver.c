/* Trains a little of everything at odd sizes, each array as long as it is said to be, for the
 * sanitizers: tests/models/native/test_build.py. */
#include "probe.c"
#include "step.c"

#include <stdio.h>
#include <stdlib.h>

static float *numbers(long count, float scale) {
  float *x = malloc(4 * (size_t)count);
  for (long i = 0; i < count; i++) x[i] = scale * ((float)rand() / (float)RAND_MAX - 0.5f);
  return x;
}

static void try(const Sizes *s, int term, int decoder) {
  enum { CLIPS = 9, STEPS = 3 };
  long d = s->features, h = s->hidden, j = (long)s->subspaces * s->latent;
  long count = s->subspaces * (h * d + h + s->latent * h) + j;
  if (decoder) count += h * j + h + d * h + d;
  Run run = {decoder, {term, s->subspaces == 2 ? term : 0}, 1, 1, 1, 1e-6f, 25, 25, 1};
  AdamW adamw = {1e-3, 1e-3, 0.9, 0.999, 1e-8};
  float *w = numbers(count, 0.5f), *m = numbers(count, 0), *v = numbers(count, 0);
  float *latents = numbers(CLIPS * s->tokens * d, 2), *losses = numbers(2 * STEPS, 0);
  int64_t *clips = malloc(sizeof(int64_t) * STEPS * 2 * (size_t)s->pairs);
  for (int i = 0; i < STEPS * 2 * s->pairs; i++) clips[i] = rand() % CLIPS;
  char *arena = malloc((size_t)arena_bytes(s));
  load(arena, s, decoder, w, m, v);
  train(arena, s, &run, &adamw, 0, latents, clips, STEPS, losses);
  save(arena, s, decoder, w, m, v);
  float *shares = numbers(CLIPS, 1), *kept = malloc(4 * CLIPS * (size_t)(s->tokens * latent_features(s)));
  double *validated = malloc(3 * sizeof(double));
  validate(arena, s, &run, latents, CLIPS, shares, clips, STEPS, kept, validated);
  if (!isfinite(validated[0] + validated[1] + validated[2])) abort();
  free(shares), free(kept), free(validated);
  float *z = numbers(2L * s->pairs * s->tokens * j, 1), *dz = numbers(2L * s->pairs * s->tokens * j, 1);
  if (!isfinite(losses[2 * STEPS - 1]) || !isfinite(terms_alone(arena, s, &run, z, dz))) abort();
  free(w), free(m), free(v), free(latents), free(losses), free(clips), free(arena), free(z), free(dz);
}

static void try_probes(int blocks, int width, int batch, float dropout) {
  enum { CLIPS = 41, OUTPUTS = 11, TASKS = 2, EPOCHS = 2 };
  const int classes[TASKS] = {7, 4}, inputs = blocks * width, F = padded(width, PANEL);
  int64_t *labels = malloc(sizeof(int64_t) * TASKS * CLIPS), *clips = malloc(sizeof(int64_t) * CLIPS);
  int64_t *said = malloc(sizeof(int64_t) * TASKS * CLIPS);
  for (int i = 0; i < TASKS * CLIPS; i++) labels[i] = rand() % classes[i / CLIPS];
  for (int i = 0; i < CLIPS; i++) clips[i] = (i * 7) % CLIPS;
  float *features = numbers(CLIPS * inputs, 2), *mean = numbers(blocks * F, 0), *scale = numbers(blocks * F, 1);
  float *w = numbers(OUTPUTS * inputs, 1), *b = numbers(OUTPUTS, 1);
  uint16_t *bits = malloc(2 * CLIPS * (size_t)inputs);
  for (int i = 0; i < CLIPS * inputs; i++) bits[i] = (uint16_t)rand();
  Head head = {features, mean, scale, labels, classes, CLIPS, blocks, width, TASKS, batch, blocks, 0, dropout,
               {1e-2, 1e-3, 0.9, 0.999, 1e-8}};
  char *state = malloc((size_t)probe_bytes(&head)), *place = malloc((size_t)probe_batch_bytes(&head));
  probe_load(&head, state, w, b);
  for (int epoch = 0; epoch < EPOCHS; epoch++) {
    probe_train(&head, state, place, epoch * CLIPS, clips, CLIPS, bits);
    probe_choose(&head, state, place, clips, CLIPS, said);
  }
  probe_say(&head, state, place, clips, CLIPS, said);
  for (int i = 0; i < TASKS * CLIPS; i++) if (said[i] < 0 || said[i] >= classes[i / CLIPS]) abort();
  probe_kept(&head, state, w);
  if (!isfinite(w[OUTPUTS * inputs - 1])) abort();
  free(labels), free(clips), free(said), free(features), free(mean), free(scale), free(w), free(b);
  free(bits), free(state), free(place);
}

int main(void) {
  int trainings = 0;
  const Sizes sizes[] = {{3, 5, 7, 6, 3, 2, 0, 0, 0},
                         {1, 2, 33, 65, 16, 2, 0, 1, HALVES},
                         {4, 9, 8, 32, 8, 1, 1, 0, 0}};
  for (int i = 0; i < 3; i++)
    for (int term = NONE; term <= VICREG_SEP; term++)
      for (int decoder = 0; decoder < 2; decoder++, trainings++) try(&sizes[i], term, decoder);
  for (int blocks = 1; blocks < 3; blocks++)
    for (int width = 3; width < 60; width += 29)
      for (int batch = 1; batch < 65; batch += 20, trainings++)
        try_probes(blocks, width, batch, 0.25f * (float)(batch % 3));
  printf("%d trainings\n", trainings);
  return 0;
}
