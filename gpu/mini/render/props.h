// Festival props that are solid: lanterns, ornaments, petals, leaves, confetti.
// Snow, steam, bokeh and fireworks are light, not solids: see air.h.
enum { NO_PROP, LANTERNS, SNOW, PETALS, ORNAMENTS, FIREWORKS, BOKEH, STEAM, LEAVES, CONFETTI };
FN bool hangs(const float *P) { return (int)P[PROP_KIND] == LANTERNS; }

BIGFN void lanterns(const float *P, vec p, Hit *h) {
  float seed = P[PROP_SEED], spread = P[PROP_SPREAD];
  for (int k = 0; k < 4; k++) {
    float x = (k < 2 ? -1.f : 1.f) * spread * (.72f + .75f * (k & 1) + .22f * hash(seed, k));
    float y = 2.05f - .35f * (k & 1) + .7f * hash(seed, k + 9), z = -1.2f - 1.1f * hash(seed, k + 20);
    vec q = turn(p, cosf(P[BASE_YAW]), sinf(P[BASE_YAW])) - V(x, y, z);
    if (fabsf(q.x) > .9f) { add(h, fabsf(q.x) - .6f, EMPTY); continue; }
    float ribs = 1.f + .03f * cosf(atan2f(q.z, q.x) * 14.f), R = (k & 1 ? .38f : .46f) * ribs;
    add(h, ellipsoid(q, V(R, R * .8f, R)) * .85f, PROP);
    add(h, cylinder(q - V(0, R * .8f, 0), .16f, .05f, .01f), PROP_METAL);
    add(h, cylinder(q + V(0, R * .8f, 0), .16f, .05f, .01f), PROP_METAL);
    add(h, cylinder(q - V(0, 1.6f, 0), .012f, 1.2f, 0), PROP_METAL);
    add(h, frustum(q + V(0, R * .8f + .25f, 0), .075f, .03f, .2f, .01f), PROP_METAL);
  }
}
BIGFN void ornaments(const float *P, vec p, Hit *h) {
  if (p.y > .9f) { add(h, p.y - .62f, EMPTY); return; }
  float seed = P[PROP_SEED], R0 = P[RADIUS];
  for (int k = 0; k < 6; k++) {
    float a = k * 1.047f + seed, R = .14f + .13f * hash(seed, k);
    float away = R0 + .22f + .4f * hash(seed, k + 10), z = sinf(a) * away * .8f, x = cosf(a) * away;
    if (z > .2f && fabsf(x) < R0) x = x < 0 ? x - R0 * .7f : x + R0 * .7f;  // not in front of the product
    vec q = p - V(x, R, z);
    add(h, sphere(q, R), (k & 1) ? PROP_METAL : PROP);
    add(h, cylinder(q - V(0, R + .02f, 0), .045f, .035f, .01f), PROP_METAL);
  }
}
BIGFN void scatter(const float *P, vec p, Hit *h) {  // petals, leaves, confetti on the surface
  if (p.y > .35f) { add(h, p.y - .2f, EMPTY); return; }
  float seed = P[PROP_SEED], R0 = P[RADIUS];
  int kind = (int)P[PROP_KIND], n = kind == LEAVES ? 7 : 12;
  for (int k = 0; k < n; k++) {
    float a = k * (6.2832f / n) + seed, away = R0 + .16f + .75f * hash(seed, k);
    vec q = p - V(cosf(a) * away, .04f, sinf(a) * away * .8f + .1f);
    q = turn(q, cosf(k * 2.1f + seed), sinf(k * 2.1f + seed));
    float size = .8f + .5f * hash(seed, k + 40);
    if (kind == CONFETTI) {
      q.y -= .03f * hash(seed, k + 60) + .25f * q.x * (hash(seed, k + 80) - .5f);
      add(h, box(q, V(.075f * size, .012f, .05f), .006f), PROP_METAL);
    } else if (kind == LEAVES) {
      float w = .13f * size * sat(1.f - 7.f * q.x * q.x / (size * size)) + .004f;
      q.y -= .06f - .22f * q.x * q.x + .6f * fabsf(q.z) * .3f;
      add(h, box(q, V(.34f * size, .012f, w), .01f) * .6f, PROP);
    } else {
      q.y -= .5f * q.x * q.x + .2f * q.z * q.z;
      add(h, ellipsoid(q, V(.16f * size, .022f, .105f * size)) * .7f, PROP);
    }
  }
}
FN void props(const float *P, vec world, vec local, Hit *h) {
  int kind = (int)P[PROP_KIND];
  if (kind == LANTERNS) lanterns(P, world, h);
  else if (kind == ORNAMENTS) ornaments(P, local, h);
  else if (kind == PETALS || kind == LEAVES || kind == CONFETTI) scatter(P, local, h);
}
