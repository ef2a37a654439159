// What has no surface: backdrop, studio lights seen in reflections, bokeh, fireworks, snow, steam.
FN vec glow_dots(const float *P, float u, float v) {  // out-of-focus lights
  vec c = grey(0);
  float seed = P[PROP_SEED];
  for (int k = 0; k < 36; k++) {
    float x = (hash(seed, k) * 2 - 1) * 1.9f, y = hash(seed, k + 40) * 1.7f - .5f, r = .05f + .1f * hash(seed, k + 80);
    float d = hyp(u - x, v - y);
    float m = smooth(r, r * .88f, d) * (.3f + .45f * hash(seed, k + 120)) * (.75f + .25f * sat(d / r));
    c = c + mix(vec_at(P, PROP_RGB), V(1.f, .8f, .45f), hash(seed, k + 160)) * m;
  }
  return c;
}
FN vec fireworks(const float *P, float u, float v) {  // three bursts of rays, a little soft
  vec c = grey(0);
  float seed = P[PROP_SEED];
  for (int k = 0; k < 4; k++) {
    float x = (k - 1.5f) * .62f + .3f * (hash(seed, k) - .5f), y = .55f + .4f * hash(seed, k + 7);
    float R = .26f + .22f * hash(seed, k + 14), d = hyp(u - x, v - y), a = atan2f(v - y, u - x);
    if (d > R * 1.15f) continue;
    float rays = 15.f + 3.f * k, cell = a * rays / (2 * PI) + hash(seed, k + 21);
    float off = (cell - floorf(cell) - .5f) * 2 * PI / rays * d;
    float trail = expf(-off * off * 9000.f) * smooth(R, R * .35f, d) * smooth(.02f, .1f, d);
    float tip = expf(-(off * off + (d - R) * (d - R)) * 5000.f);
    vec rgb = k == 0 ? V(1.f, .72f, .3f) : (k == 1 ? V(1.f, .32f, .3f) : (k == 2 ? V(.5f, .75f, 1.f) : V(.9f, .5f, 1.f)));
    c = c + rgb * (trail * 1.1f + tip * 1.6f) + rgb * (.1f * smooth(R, 0.f, d));
  }
  return c;
}
FN vec backdrop(const float *P, vec d, float sx, float sy) {
  float t = sat(d.y * 1.15f + .42f);
  vec c = mix(vec_at(P, BACK_LOW), vec_at(P, BACK_TOP), t * t * (3 - 2 * t));
  float u = (atan2f(d.x, -d.z) + P[BASE_YAW]) * P[FOCAL], v = d.y / hi(hyp(d.x, d.z), .2f) * P[FOCAL] + P[BASE_TILT];
  float pool = sat(1.f - hyp(u - .45f * P[KEY_DIR], v - .25f) * .55f);  // the light's pool on the wall
  c = c * (.80f + .30f * pool);
  int kind = (int)P[PROP_KIND];
  if (kind == BOKEH) c = c + glow_dots(P, u, v);
  if (kind == FIREWORKS) c = c + fireworks(P, u, v);
  return c;
}
FN float panel(vec d, vec axis, float w, float h) {  // a softbox as seen along d
  float z = dot(d, axis);
  if (z <= 0) return 0.f;
  vec r = norm(cross(V(0, 1, .01f), axis)), u = cross(axis, r);
  return smooth(w, w * .8f, fabsf(dot(d, r) / z)) * smooth(h, h * .85f, fabsf(dot(d, u) / z));
}
FN vec studio(const float *P, vec d) {  // the room that reflections see
  float t = sat(d.y * .5f + .5f), wall = smooth(.35f, -.6f, d.z);
  vec room = mix(grey(.16f), grey(.42f), t);
  vec c = mix(room, mix(vec_at(P, BACK_LOW), vec_at(P, BACK_TOP), t) * .85f, wall);
  vec k = vec_at(P, KEY_DIR), key = vec_at(P, KEY_RGB);
  c = c + key * (2.3f * panel(d, norm(V(k.x, k.y * .6f, k.z)), .55f, .95f));
  c = c + grey(.9f) * panel(d, norm(V(-k.x * 1.2f + (k.x == 0 ? .9f : 0.f), .15f, .25f)), .18f, 1.2f);
  return c + key * (.7f * panel(d, V(0, .96f, -.28f), .9f, .5f));
}
FN float snowfall(const float *P, float sx, float sy) {
  float m = 0, seed = P[PROP_SEED];
  for (int k = 0; k < 34; k++) {
    float x = (hash(seed, k) * 2 - 1) * 1.85f, y = hash(seed, k + 40) * 2.2f - P[TIME] * (.25f + .3f * hash(seed, k + 80));
    y = y - 2.2f * floorf(y / 2.2f) - 1.1f;
    float r = .009f + .026f * hash(seed, k + 120) * hash(seed, k + 160);
    m = hi(m, smooth(r, r * .3f, hyp(sx - x - .02f * sinf(P[TIME] * 2.f + k), sy - y)) * .9f);
  }
  return m;
}
FN float steam(const float *P, vec o, vec d) {  // two wisps on an upright sheet facing the camera
  vec top = V(0, P[PODIUM_HEIGHT] + P[TOP], 0), n = norm(V(o.x, 0, o.z));
  float z = dot(d, n);
  if (z > -.05f) return 0.f;
  vec p = o + d * (dot(top - o, n) / z) - top;
  float x = p.x * n.z - p.z * n.x, y = p.y;
  if (y < -.05f || y > 1.1f) return 0.f;
  float m = 0;
  for (int k = 0; k < 2; k++) {
    float sway = .11f * sinf(y * 5.f - P[TIME] * 2.2f + k * 2.4f + P[PROP_SEED]) * (.3f + y) + (k - .5f) * .2f;
    float w = .05f + .09f * y, body = expf(-(x - sway) * (x - sway) / (w * w));
    m += body * (.55f + .6f * noise(V(x * 5.f, y * 4.f - P[TIME] * 1.5f, P[PROP_SEED] + k)));
  }
  return sat(m * .5f) * smooth(-.05f, .12f, y) * smooth(1.1f, .35f, y);
}
