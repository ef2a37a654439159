// Cosmetics and care: lipstick, perfume, cream jar, candle, serum, lotion. Each stands on y = 0.
// s = P + SHAPE, the product's own proportions, drawn in scenes.py.
BIGFN void lipstick(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float base = s[0], bullet = s[1];
  add(h, cylinder(p - V(0, base, 0), .36f, base, .03f), BODY);
  add(h, cylinder(p - V(0, 2 * base + .015f, 0), .368f, .03f, .012f), TRIM);
  add(h, cylinder(p - V(0, 2 * base + .17f, 0), .29f, .16f, .02f), ACCENT);
  vec q = p - V(0, 2 * base + .33f + bullet, 0);
  float c = cylinder(q, .225f, bullet + .1f, .06f);
  float cut = (q.y - bullet * .45f + .85f * q.x) * .72f;  // the slanted tip, about 40 degrees
  add(h, -melt(-c, -cut, .04f) * .85f, INSIDE);
  if (s[2] > .5f) {  // its cap beside it
    vec r = p - V(s[3], 0, .3f);
    add(h, cylinder(r - V(0, .52f, 0), .37f, .52f, .04f), BODY);
    add(h, cylinder(r - V(0, .1f, 0), .378f, .04f, .012f), TRIM);
  }
}
BIGFN void perfume(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float w = s[0], y = s[1], d = s[2];
  vec q = p - V(0, y, 0);
  float b = s[3] < .5f ? box(q, V(w, y, d), .09f)
          : (s[3] < 1.5f ? cylinder(q, w * .95f, y, .12f) : ellipsoid(q, V(w * 1.1f, y, d * 1.4f)));
  add(h, b, BODY);
  add(h, cylinder(p - V(0, 2 * y + .05f, 0), .16f, .09f, .015f), TRIM);
  vec c = p - V(0, 2 * y + .33f, 0);
  add(h, s[4] < .5f ? cylinder(c, .24f, .21f, .03f)
       : (s[4] < 1.5f ? box(c, V(.26f, .2f, .22f), .04f) : sphere(c, .26f)), ACCENT);
  if (P[LABELLED] > .5f && s[3] < .5f)
    add(h, box(p - V(0, y * .95f, d), V(w * .52f, y * .36f, .012f), .005f), LABEL);
}
BIGFN void cream_jar(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  add(h, cylinder(p - V(0, s[1], 0), s[0], s[1], s[3]), BODY);
  add(h, cylinder(p - V(0, 2 * s[1] + .012f, 0), s[0] * .95f, .02f, .005f), DARK);
  add(h, cylinder(p - V(0, 2 * s[1] + .02f + s[2], 0), s[0] * 1.02f, s[2], .04f), ACCENT);
}
BIGFN void candle(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float R = s[0], y = s[1];
  float shell = cylinder(p - V(0, y, 0), R, y, .05f);
  add(h, hi(shell, -cylinder(p - V(0, 2 * y, 0), R - .05f, .18f, 0.f)), BODY);
  add(h, cylinder(p - V(0, y * .95f, 0), R - .045f, y * .9f, .0f), INSIDE);
  add(h, cylinder(p - V(0, 2 * y - .03f, 0), .016f, .09f, .0f), DARK);
  vec f = p - V(0, 2 * y + .17f, 0);
  float t = sat((f.y + .14f) / .34f), r = .085f * sqrtf(t) * (1.f - t) * 2.4f;
  add(h, hi(hyp(f.x, f.z) - r, fabsf(f.y - .03f) - .17f) * .6f, GLOW);
  if (P[LABELLED] > .5f) {
    float l = hi(cylinder(p - V(0, y * .9f, 0), R + .008f, y * .4f, .005f), fabsf(p.x) - R * .7f);
    add(h, hi(l, -p.z), LABEL);
  }
}
BIGFN void serum(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float R = s[0], y = s[1];
  float b = cylinder(p - V(0, y, 0), R, y, .1f);
  b = melt(b, cylinder(p - V(0, 2 * y + .04f, 0), R * .45f, .1f, .02f), .12f);
  add(h, b, BODY);
  add(h, cylinder(p - V(0, 2 * y + .27f, 0), R * .56f, .13f, .02f), TRIM);
  vec q = p - V(0, 2 * y + .62f, 0);
  float bulb = melt(cylinder(q + V(0, .16f, 0), R * .5f, .08f, .02f), ellipsoid(q, V(R * .5f, .3f, R * .5f)), .05f);
  add(h, bulb * .9f, ACCENT);
  if (P[LABELLED] > .5f) {
    float l = hi(cylinder(p - V(0, y * .85f, 0), R + .008f, y * .55f, .005f), fabsf(p.x) - R * .72f);
    add(h, hi(l, -p.z), LABEL);
  }
}
BIGFN void lotion(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float R = s[0], y = s[1];
  vec q = p - V(0, y, 0);
  float b = s[2] < .5f ? cylinder(q, R, y, .12f) : box(q, V(R * 1.05f, y, R * .72f), .14f);
  add(h, b, BODY);
  add(h, cylinder(p - V(0, 2 * y + .07f, 0), R * .5f, .08f, .015f), ACCENT);
  add(h, cylinder(p - V(0, 2 * y + .24f, 0), .055f, .14f, .01f), ACCENT);
  add(h, cylinder(p - V(0, 2 * y + .38f, 0), .12f, .06f, .02f), ACCENT);
  vec n = p - V(-.24f, 2 * y + .39f - .10f * p.x * p.x, 0);
  add(h, box(n, V(.25f, .042f, .062f), .03f) * .9f, ACCENT);
  if (P[LABELLED] > .5f) {
    float l = s[2] < .5f ? hi(cylinder(p - V(0, y * .95f, 0), R + .008f, y * .5f, .005f), fabsf(p.x) - R * .7f)
                         : box(p - V(0, y * .95f, R * .72f), V(R * .7f, y * .5f, .012f), .005f);
    add(h, hi(l, -p.z), LABEL);
  }
}
