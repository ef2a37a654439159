// Table and gifts: mug, can, gift box, coffee pouch, tea tin. Each stands on y = 0.
BIGFN void mug(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float R = s[0], y = s[1], foot = R * s[2];
  vec q = p - V(0, y, 0);
  float outer = frustum(q, foot, R, y, .05f);
  float hole = frustum(q - V(0, .09f, 0), foot - .06f, R - .06f, y, .02f);
  float b = hi(outer, -hole);
  vec t = q - V((R + foot) * .5f + .07f, 0, 0);
  float ear = ring_xy(V(t.x, t.y * .85f, t.z), y * .56f, .075f);
  ear = hi(ear, -frustum(q, foot - .03f, R - .03f, y + .2f, 0.f));
  add(h, melt(b, ear, .05f) * .95f, BODY);
  add(h, cylinder(q - V(0, y * .66f, 0), R - .05f, .02f, 0.f), INSIDE);
  if (s[3] > .5f) add(h, hi(frustum(p - V(0, .06f, 0), R * 1.1f, R * 1.75f, .06f, .02f),
                          -frustum(p - V(0, .13f, 0), R * 1.0f, R * 1.7f, .06f, .02f)), ACCENT);
}
BIGFN void can(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float R = s[0], y = s[1];
  add(h, cylinder(p - V(0, y, 0), R, y, .05f), BODY);
  add(h, frustum(p - V(0, 2 * y + .03f, 0), R - .01f, R * .84f, .07f, .01f), TRIM);
  vec q = p - V(0, 2 * y + .1f, 0);
  add(h, ring_xz(q, R * .82f, .03f), TRIM);
  add(h, frustum(p - V(0, .02f, 0), R * .8f, R * .98f, .05f, .01f), TRIM);
  add(h, box(q - V(0, .01f, .1f), V(.08f, .012f, .14f), .01f), TRIM);
}
BIGFN void gift_box(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float w = s[0], y = s[1];
  add(h, box(p - V(0, y, 0), V(w, y, w), .025f), BODY);
  add(h, box(p - V(0, 2 * y - .09f, 0), V(w + .04f, .13f, w + .04f), .025f), BODY);
  vec q = p - V(0, y + .02f, 0);
  add(h, lo(box(q, V(.12f, y + .025f, w + .052f), .01f), box(q, V(w + .052f, y + .025f, .12f), .01f)), ACCENT);
  for (int k = 0; k < 2; k++) {  // two loops and two tails of the bow
    float side = k ? 1.f : -1.f;
    vec a = p - V(side * .24f, 2 * y + .21f, 0);
    a = V(a.x * .8f + a.y * .6f * side, -a.x * .6f * side + a.y * .8f, a.z);
    float r = hyp(a.x / 1.5f, a.y) - .15f;
    add(h, (hyp(r, hi(fabsf(a.z) - .09f, 0)) - .026f) * .7f, ACCENT);
    vec t = p - V(side * .26f, 2 * y + .06f, .2f);
    t = V(t.x * .75f - t.z * .66f * side, t.y - .12f * t.x * t.x, t.x * .66f * side + t.z * .75f);
    add(h, box(t, V(.26f, .018f, .075f), .012f) * .85f, ACCENT);
  }
  add(h, ellipsoid(p - V(0, 2 * y + .12f, 0), V(.13f, .1f, .12f)), ACCENT);
}
BIGFN void coffee_pouch(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float w = s[0], y = s[1];
  vec q = p - V(0, y, 0);
  float t = sat((q.y + y) / (2 * y));
  float d = mixf(.33f, .035f, smooth(.2f, .93f, t)), ww = w * mixf(1.f, .95f, t) * (1.f - .03f * sinf(t * 9.f));
  float b = box(q, V(ww, y, d), lo(.1f, d * .95f)) * .75f;
  if (t > .9f) b += .006f * smooth(.9f, .93f, t) * sinf(q.y * 110.f);  // the crimped seal
  add(h, b, BODY);
  if (P[LABELLED] > .5f) {
    float l = hi(b - .007f, box(q - V(0, -y * .12f, .2f), V(w * .64f, y * .42f, .4f), .03f));
    add(h, hi(l, -q.z), LABEL);
  }
  if (p.y > .35f) { add(h, p.y - .18f, EMPTY); return; }
  for (int k = 0; k < 10; k++) {
    float a = k * .628f + s[2], r = w + .2f + .4f * hash(s[2], k);
    vec e = p - V(cosf(a) * r, .06f, sinf(a) * r * .8f + .22f);
    e = turn(e, cosf(k * 1.7f), sinf(k * 1.7f));
    float bean = ellipsoid(e, V(.12f, .065f, .085f));
    add(h, hi(bean, -(hyp(e.z, e.y - .065f) - .018f)), BEAN);
  }
}
BIGFN void tea_tin(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float w = s[0], y = s[1];
  vec q = p - V(0, y, 0);
  add(h, s[2] < .5f ? box(q, V(w, y, w * .8f), .06f) : cylinder(q, w, y, .04f), BODY);
  float top = s[2] < .5f ? .42f : .95f;
  if (s[2] < .5f) add(h, cylinder(p - V(0, 2 * y + .03f, 0), w * .62f, .05f, .01f), TRIM);
  add(h, cylinder(p - V(0, 2 * y + .14f, 0), w * (s[2] < .5f ? .7f : 1.02f), .11f, .03f), ACCENT);
  add(h, cylinder(p - V(0, 2 * y + .27f, 0), .05f, .06f, .01f), TRIM);
  add(h, sphere(p - V(0, 2 * y + .36f, 0), .085f * (.7f + top * .3f)), TRIM);
  if (P[LABELLED] > .5f) {
    float l = s[2] < .5f ? box(p - V(0, y, w * .8f), V(w * .62f, y * .62f, .012f), .005f)
                         : hi(cylinder(p - V(0, y, 0), w + .008f, y * .62f, .005f), fabsf(p.x) - w * .6f);
    add(h, hi(l, -p.z), LABEL);
  }
}
