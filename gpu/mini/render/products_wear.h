// Things worn or carried: earbuds, phone, handbag, watch, headphones. Each stands on y = 0.
BIGFN void earbuds(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float w = s[0], y = s[1], d = s[2];
  vec q = p - V(0, y, 0);
  float b = box(q, V(w, y, d), lo(y, d) * .95f);
  float seam = fabsf(q.y - y * .35f) - .012f;
  add(h, lo(hi(b, -seam), b + .02f), BODY);
  add(h, sphere(q - V(0, y * .02f, d * .985f), .03f), GLOW);
  if (s[3] < .5f) return;
  for (int k = 0; k < 2; k++) {
    vec e = p - V(k ? w + .34f : -w - .32f, .19f, .34f);
    float bud = melt(ellipsoid(e, V(.19f, .19f, .17f)), box(e - V(0, -.03f, .17f), V(.06f, .06f, .26f), .055f), .06f);
    add(h, bud, BODY);
    add(h, ellipsoid(e - V(k ? -.14f : .14f, .05f, -.02f), V(.08f, .1f, .1f)), DARK);
  }
}
BIGFN void phone(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float c = cosf(s[0]), n = sinf(s[0]);
  vec q = p - V(0, .02f, 0);
  q = V(q.x, q.y * c + q.z * n, -q.y * n + q.z * c) - V(0, .92f, 0);
  float plate = hi(box(V(q.x, q.y, 0), V(.47f, .92f, 1.f), .1f), fabsf(q.z) - .055f);
  add(h, hi(plate, box(q, V(.47f, .92f, .055f), .035f)), BODY);
  if (s[2] < .5f) {  // its back: a camera plate with three lenses
    vec k = q - V(-.2f, .64f, .055f);
    add(h, hi(box(V(k.x, k.y, 0), V(.21f, .22f, 1.f), .07f), fabsf(k.z) - .03f), ACCENT);
    for (int i = 0; i < 3; i++) {
      vec l = k - V(i < 2 ? -.09f : .09f, i == 0 ? .1f : (i == 1 ? -.1f : .0f), .03f);
      add(h, disc_z(l, .082f, .035f, .01f), TRIM);
      add(h, disc_z(l - V(0, 0, .01f), .066f, .035f, .01f), DARK);
    }
  } else {
    vec k = q - V(0, 0, .05f);
    add(h, hi(box(V(k.x, k.y, 0), V(.43f, .88f, 1.f), .08f), fabsf(k.z) - .012f), INSIDE);
  }
  add(h, box(p - V(0, .06f, -.42f), V(.2f, .06f, .16f), .03f), DARK);
}
BIGFN void handbag(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float w = s[0], y = s[1], d = s[2];
  vec q = p - V(0, y, 0);
  float t = sat((q.y + y) / (2 * y)), ww = w * mixf(1.f, s[3], t), dd = d * mixf(1.f, .55f, t);
  float b = box(q, V(ww, y, dd), lo(.12f, dd * .9f)) * .85f;
  add(h, b, BODY);
  float flap = hi(b - .022f, -(q.y - y * (.02f + .34f * q.x * q.x / (w * w))));
  add(h, hi(flap, -q.z - dd * .9f), BODY);
  vec c = p - V(0, y * 1.03f, d * .8f);
  add(h, box(c, V(.11f, .09f, .07f), .03f), TRIM);
  vec a = p - V(0, 2 * y - .02f, 0);
  float arc = ring_xy(V(a.x, a.y * s[4], a.z), w * .52f, .045f);
  add(h, hi(arc, -a.y - .05f) * .9f, ACCENT);
  for (int k = 0; k < 2; k++) add(h, ring_xy(a - V((k ? 1.f : -1.f) * w * .52f, -.02f, 0), .07f, .022f), TRIM);
}
BIGFN void watch(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  vec q = p - V(0, .82f, 0);
  q = V(q.x, q.y * .94f - q.z * .34f, q.y * .34f + q.z * .94f);  // leans back 20 degrees
  float r = (hyp(q.y, q.z * 1.25f) - .72f) * .8f;
  float wide = .24f + .1f * sat(1.f - fabsf(q.y) * 1.6f) * (q.z > 0 ? 1.f : 0.f);
  add(h, slab(fabsf(r) - .02f, fabsf(q.x) - wide + .03f) - .03f, BODY);
  vec f = q - V(0, 0, .6f);
  float face = s[0];
  float shell = s[1] < .5f ? disc_z(f, face, .1f, .03f) : hi(box(V(f.x, f.y, 0), V(face * .86f, face, 1.f), .14f), fabsf(f.z) - .1f);
  add(h, shell, TRIM);
  float dial = s[1] < .5f ? disc_z(f - V(0, 0, .085f), face * .86f, .022f, .005f)
                          : hi(box(V(f.x, f.y, 0), V(face * .74f, face * .88f, 1.f), .1f), fabsf(f.z - .085f) - .022f);
  add(h, dial, INSIDE);
  add(h, disc_x(f - V(face + .04f, 0, 0), .06f, .04f, .01f), TRIM);
}
BIGFN void headphones(const float *P, vec p, Hit *h) {
  const float *s = P + SHAPE;
  float R = s[0], cup = s[1];
  vec a = p - V(0, cup + .42f, 0);
  float e = hyp(a.x, a.y * .86f) - R;
  float band = slab(fabsf(e) - .035f, fabsf(a.z) - .1f) - .02f;
  add(h, hi(band * .9f, -a.y - .12f), BODY);
  float pad = slab(fabsf(e + .06f) - .03f, fabsf(a.z) - .08f) - .03f;
  add(h, hi(pad * .9f, -a.y + R * .62f), DARK);
  for (int k = 0; k < 2; k++) {
    float side = k ? 1.f : -1.f;
    vec c = p - V(side * R * .98f, cup + .02f, 0);
    add(h, box(c - V(side * .03f, cup + .12f, 0), V(.035f, .3f, .07f), .03f), TRIM);
    vec l = V(c.x, c.y / 1.12f, c.z);
    add(h, disc_x(l - V(side * .06f, 0, 0), cup * .92f, .12f, .09f) * .9f, BODY);
    add(h, disc_x(l - V(side * .185f, 0, 0), cup * .62f, .012f, .01f) * .9f, ACCENT);
    add(h, disc_x(l + V(side * .13f, 0, 0), cup * .84f, .1f, .09f) * .9f, DARK);
  }
}
