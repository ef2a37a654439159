// Materials: what colour and shine a hit point has.
struct Look { vec albedo, emit; float rough, metal, glass, shine; };
enum { SEAMLESS, MARBLE, BLACK_MARBLE, WOOD, CONCRETE, SATIN, MIRROR, ON_PODIUM, SAND, SNOW_GROUND };
enum { MATTE, GLOSSY, METAL, GLASS, CERAMIC };

FN vec ground_albedo(const float *P, vec p, float far) {
  int kind = (int)P[SURFACE];
  vec a = vec_at(P, SURFACE_A), b = vec_at(P, SURFACE_B);
  float s = P[SURFACE_SCALE];
  vec q = V(p.x * s + P[SURFACE_SEED], 0.f, p.z * s + P[SURFACE_SEED] * .7f);
  float sharp = 1.f / (1.f + .12f * far * far);  // texture softens away from the focus
  if (kind == MARBLE || kind == BLACK_MARBLE) {
    float n = fbm(q * .9f), v = fabsf(sinf((q.x * .8f + q.z * 1.1f + 5.5f * n) * 1.4f));
    return mix(a, b, sat(smooth(.25f, 0.f, v) * .6f * sharp + .28f * n * n));
  }
  if (kind == WOOD) {
    float row = floorf(q.z * 1.1f), z = q.z * 1.1f - row;
    float n = noise(V(q.x * .5f + row * 5.3f, row * 3.1f, q.z * 4.f));
    float grain = .5f + .5f * sinf(n * 9.f + q.z * 6.f + sinf(q.x * .7f + row) * 1.2f);
    float gap = smooth(0.f, .03f, lo(z, 1.f - z));
    return mix(a, b, grain * .55f * (.4f + .6f * sharp)) * ((.86f + .22f * hash(3.f, (int)row + 64)) * (.55f + .45f * gap));
  }
  if (kind == CONCRETE) return mix(a, b, sat(fbm(q * 2.2f) * .9f * sharp + noise(q * .7f) * .5f - .25f));
  if (kind == SATIN) {
    float n = .5f + .5f * sinf(q.x * 1.9f + 1.6f * sinf(q.z * .9f + q.x * .35f)), m = .5f + .5f * sinf(q.z * 1.5f + 2.f * sinf(q.x * .6f));
    return mix(a, b, .8f * n * m);
  }
  if (kind == SAND) return mix(a, b, sat(.5f + .35f * sinf(q.z * 7.f + 2.4f * noise(q * .8f)) * sharp + .3f * (noise(q * 9.f) - .5f) * sharp));
  if (kind == SNOW_GROUND) return mix(a, b, sat(.2f + .5f * noise(q * .9f) + .2f * (noise(q * 7.f) - .5f) * sharp));
  return a;
}
FN void finish(Look *m, int kind) {
  m->metal = m->glass = 0.f;
  if (kind == MATTE) { m->rough = .62f; m->shine = .25f; }
  else if (kind == GLOSSY) { m->rough = .15f; m->shine = 1.f; }
  else if (kind == METAL) { m->rough = .2f; m->metal = 1.f; m->shine = 1.f; }
  else if (kind == GLASS) { m->rough = .06f; m->glass = 1.f; m->shine = 1.f; }
  else { m->rough = .28f; m->shine = .75f; }
}
FN float dash(float x, float y, float w, float h) { return smooth(.014f, 0.f, fabsf(x) - w) * smooth(.014f, 0.f, fabsf(y) - h); }
FN float emblem(int kind, float x, float y, float r) {  // a brand mark, one of four
  float d = hyp(x, y);
  if (kind == 0) return smooth(.02f, 0.f, fabsf(d - r) - r * .16f);
  if (kind == 1) return smooth(.02f, 0.f, fabsf(x) + fabsf(y) - r);
  if (kind == 2) return smooth(.02f, 0.f, d - r * .95f) * (1.f - smooth(.02f, 0.f, hyp(x - r * .4f, y - r * .25f) - r * .75f));
  return smooth(.02f, 0.f, hi(hyp(x - r * .5f, y) , hyp(x + r * .5f, y)) - r * 1.05f);
}
FN void pattern(const float *P, vec p, Look *m) {  // print on the body
  int kind = (int)P[PATTERN];
  if (!kind) return;
  float a = atan2f(p.x, p.z), y = p.y * 3.2f, k = 0.f;
  bool flat = (int)P[PRODUCT] == 8 || (int)P[PRODUCT] == 10;
  float u = flat ? (p.x + p.z) * 3.2f : a * 2.2f;
  if (kind == 1) { float f = y - floorf(y) - .5f; k = smooth(.06f, 0.f, fabsf(f) - .16f); }
  else if (kind == 2) { float x = u - floorf(u) - .5f, f = y - floorf(y) - .5f; k = smooth(.06f, 0.f, hyp(x, f) - .22f); }
  else if (kind == 3) { float x = u * 1.2f - floorf(u * 1.2f) - .5f; k = smooth(.06f, 0.f, fabsf(x) - .17f); }
  else { k = smooth(.52f, .6f, noise(V(p.x * 3.f, p.y * 3.f, p.z * 3.f + P[SURFACE_SEED]))); }
  m->albedo = mix(m->albedo, vec_at(P, CONTRAST), k * .85f);
}
BIGFN void body_print(const float *P, vec p, Look *m) {  // p in the product's frame
  pattern(P, p, m);
  if (P[LABELLED] < .5f) return;
  int kind = (int)P[PRODUCT], mark = (int)P[EMBLEM];
  float a = atan2f(p.x, p.z), k = 0.f;
  if (kind == 3) {  // a can's printed band and mark
    float y = p.y - P[SHAPE + 1], wave = .12f * sinf(a + P[SHAPE + 2]);
    k = smooth(.03f, 0.f, fabsf(y - wave) - .3f);
    k *= 1.f - emblem(mark, a * P[SHAPE], y - wave * .3f, .17f);
  } else if (kind == 2) k = emblem(mark, a * P[SHAPE], p.y - P[SHAPE + 1], .19f);
  else if (kind == 4) {
    float y = p.y - P[SHAPE + 1], x = a * P[SHAPE];
    k = hi(dash(x, y - .05f, .34f, .035f), dash(x, y + .07f, .2f, .018f));
  } else if (kind == 0) k = p.y < .7f ? emblem(mark, a * .36f, p.y - P[SHAPE], .1f) : 0.f;
  else if (kind == 12) k = 0.f;
  m->albedo = mix(m->albedo, vec_at(P, CONTRAST), sat(k));
}
BIGFN void dial(const float *P, vec p, Look *m) {  // a watch face: twelve marks and two hands
  vec q = p - V(0, .82f, 0);
  float y = q.y * .94f - q.z * .34f, x = q.x, r = hyp(x, y), a = atan2f(x, y), face = P[SHAPE];
  float c = a * 12.f / (2 * PI), off = (c - floorf(c + .5f)) * 2 * PI / 12.f * r;
  float k = smooth(.012f, 0.f, fabsf(off) - .014f) * smooth(.02f, 0.f, fabsf(r - face * .7f) - .05f);
  for (int i = 0; i < 2; i++) {
    float t = i ? P[SHAPE + 2] : P[SHAPE + 3], s = sinf(t), d = cosf(t), along = x * s + y * d, across = x * d - y * s;
    k = hi(k, smooth(.012f, 0.f, fabsf(across) - (i ? .014f : .022f)) * smooth(.02f, 0.f, fabsf(along - face * (i ? .3f : .2f)) - face * (i ? .32f : .22f)));
  }
  m->albedo = mix(vec_at(P, CONTRAST), vec_at(P, ACCENT_RGB), sat(k));
  m->rough = .3f; m->shine = .5f;
}
BIGFN void screen(const float *P, vec p, Look *m) {  // a phone's wallpaper and dock
  float c = cosf(P[SHAPE]), n = sinf(P[SHAPE]);
  float u = p.x / .43f, v = ((p.y - .02f) * c + p.z * n - .92f) / .88f;
  float t = sat(.5f + .35f * v + .25f * sinf(u * 2.2f + v * 2.6f + P[SHAPE + 1]));
  vec rgb = mix(vec_at(P, BODY_RGB), vec_at(P, CONTRAST), t);
  rgb = rgb + grey(.5f) * smooth(.24f, .2f, hyp((u - .2f) * .5f, v - .3f));
  for (int k = 0; k < 4; k++) {
    float e = hi(fabsf(u - (k - 1.5f) * .42f) - .13f, fabsf(v + .82f) - .065f);
    rgb = mix(rgb, grey(.92f), smooth(.02f, 0, e) * .8f);
  }
  m->albedo = grey(.02f); m->emit = rgb * .75f; m->rough = .05f; m->shine = .7f;
}
BIGFN void label(const float *P, vec p, Look *m) {  // a paper label: mark above two lines
  m->albedo = vec_at(P, CONTRAST); m->rough = .5f; m->shine = .3f;
  int kind = (int)P[PRODUCT];
  float y = p.y - P[SHAPE + 1] * (kind == 9 ? .88f : (kind == 14 ? .85f : .95f)), x = p.x;
  float k = emblem((int)P[EMBLEM], x, y - .09f, .1f);
  k = hi(k, hi(dash(x, y + .1f, .17f, .022f), dash(x, y + .18f, .1f, .014f)));
  m->albedo = mix(m->albedo, vec_at(P, LABEL_INK), sat(k));
}
