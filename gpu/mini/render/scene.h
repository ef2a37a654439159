// The whole scene as one distance field: surface, podium, product, props.
FN vec local(const float *P, vec p) {  // world to the product's own frame
  return turn(p - V(0, P[PODIUM_HEIGHT], 0), P[YAW_COS], P[YAW_SIN]);
}
BIGFN void product(const float *P, vec p, Hit *h) {
  switch ((int)P[PRODUCT]) {
    case 0: lipstick(P, p, h); break;
    case 1: perfume(P, p, h); break;
    case 2: mug(P, p, h); break;
    case 3: can(P, p, h); break;
    case 4: cream_jar(P, p, h); break;
    case 5: earbuds(P, p, h); break;
    case 6: phone(P, p, h); break;
    case 7: candle(P, p, h); break;
    case 8: gift_box(P, p, h); break;
    case 9: coffee_pouch(P, p, h); break;
    case 10: handbag(P, p, h); break;
    case 11: watch(P, p, h); break;
    case 12: headphones(P, p, h); break;
    case 13: tea_tin(P, p, h); break;
    case 14: serum(P, p, h); break;
    default: lotion(P, p, h);
  }
}
FN float bound(const float *P) { return 2.0f; }  // all but hanging props fit in this sphere
FN vec middle(const float *P) { return V(0, P[PODIUM_HEIGHT] + .75f, 0); }
BIGFN Hit solids(const float *P, vec p) {
  Hit h; h.d = 1e9f; h.id = BODY;
  float tall = P[PODIUM_HEIGHT];
  if (tall > 0.f) {
    float r = hi(.95f, P[RADIUS] + .12f);
    add(&h, cylinder(p - V(0, tall * .5f, 0), r, tall * .5f, .03f), PODIUM);
  }
  vec q = p - V(0, tall, 0);
  float outside = len(q - V(0, .85f, 0)) - 1.75f;
  if (outside > .15f) add(&h, outside, EMPTY);
  else { Hit k; k.d = 1e9f; k.id = BODY; product(P, local(P, p), &k); add(&h, k.d, k.id); }
  if (P[PROP_KIND] > 0.5f) props(P, p, q, &h);
  return h;
}
FN Hit world(const float *P, vec p) {
  Hit g; g.d = p.y; g.id = GROUND;
  if (!hangs(P)) {
    float far = len(p - middle(P)) - bound(P);
    if (far > .25f) { if (far < g.d) { g.d = far; g.id = EMPTY; } return g; }
  }
  Hit h = solids(P, p);
  return h.d < g.d ? h : g;
}
FN bool meets(const float *P, vec o, vec d, float *in, float *out) {  // ray against the bound
  vec c = o - middle(P);
  float b = dot(c, d), q = dot(c, c) - bound(P) * bound(P), k = b * b - q;
  if (k < 0) return false;
  k = sqrtf(k); *in = -b - k; *out = -b + k;
  return *out > 0;
}
FN vec normal(const float *P, vec p, float e) {  // four taps on a tetrahedron
  vec a = V(1, -1, -1), b = V(-1, -1, 1), c = V(-1, 1, -1), d = V(1, 1, 1), n = grey(0);
  for (int i = 0; i < 4; i++) {
    vec k = i == 0 ? a : (i == 1 ? b : (i == 2 ? c : d));
    n = n + k * world(P, p + k * e).d;
  }
  return norm(n);
}
FN float shadow(const float *P, vec o, vec d) {  // penumbra from the closest miss, both sides
  float in, out;
  if (!hangs(P) && !meets(P, o, d, &in, &out)) return 1.f;
  float k = P[HARDNESS], r = 1.f, t = .02f;
  for (int i = 0; i < 44; i++) {
    Hit at = world(P, o + d * t);
    float h = at.d;
    if (at.id != EMPTY) r = lo(r, .5f + .5f * h * k / t);
    if (r < 0.f) break;
    t += clampf(h * .7f, .025f, .025f + .08f * t);  // short steps: long ones draw rings
    if (t > 4.f) break;
  }
  r = sat(r);
  return r * r * (3 - 2 * r);
}
FN float occlusion(const float *P, vec p, vec n) {
  if (!hangs(P) && len(p - middle(P)) > 2.7f) return 1.f;
  float o = 0, w = 1;
  for (int i = 1; i <= 5; i++) {
    float h = .03f + .11f * i;
    Hit at = world(P, p + n * h);
    if (at.id != EMPTY) o += hi(h - at.d, 0.f) * w;
    w *= .72f;
  }
  return sat(1.f - .62f * o);
}
