// Signed distance primitives (units: about 1 = half a product's height). Formulas are the usual
// exact ones for box, cylinder, torus; ellipsoid and cone frustum are first-order bounds.
FN float sphere(vec p, float r) { return len(p) - r; }
FN float box(vec p, vec b, float round) {
  float x = fabsf(p.x) - b.x + round, y = fabsf(p.y) - b.y + round, z = fabsf(p.z) - b.z + round;
  float ox = hi(x, 0), oy = hi(y, 0), oz = hi(z, 0);
  return sqrtf(ox * ox + oy * oy + oz * oz) + lo(hi(x, hi(y, z)), 0) - round;
}
FN float slab(float dx, float dy) {  // meets two half-distances with a rounded outside
  return lo(hi(dx, dy), 0) + hyp(hi(dx, 0), hi(dy, 0));
}
FN float cylinder(vec p, float r, float h, float round) {
  return slab(hyp(p.x, p.z) - r + round, fabsf(p.y) - h + round) - round;
}
FN float disc_z(vec p, float r, float h, float round) { return cylinder(V(p.x, p.z, p.y), r, h, round); }
FN float disc_x(vec p, float r, float h, float round) { return cylinder(V(p.y, p.x, p.z), r, h, round); }
FN float frustum(vec p, float low, float top, float h, float round) {
  float r = mixf(low, top, sat((p.y + h) / (2 * h)));
  float k = 1.f / sqrtf(1.f + (low - top) * (low - top) / (4 * h * h));
  return slab((hyp(p.x, p.z) - r + round) * k, fabsf(p.y) - h + round) - round;
}
FN float ellipsoid(vec p, vec r) {
  float a = len(V(p.x / r.x, p.y / r.y, p.z / r.z));
  float b = len(V(p.x / (r.x * r.x), p.y / (r.y * r.y), p.z / (r.z * r.z)));
  return a * (a - 1.f) / (b + 1e-9f);
}
FN float ring_xy(vec p, float R, float r) { return hyp(hyp(p.x, p.y) - R, p.z) - r; }
FN float ring_xz(vec p, float R, float r) { return hyp(hyp(p.x, p.z) - R, p.y) - r; }
FN float melt(float a, float b, float k) {  // polynomial smooth minimum
  float h = sat(.5f + .5f * (b - a) / k);
  return mixf(b, a, h) - k * h * (1.f - h);
}

// What a ray can hit. BODY to DARK belong to the product: they make its mask. EMPTY is a bound
// round something not near: a safe step, but no occluder (taken as one it draws rings).
enum { EMPTY, GROUND, BODY, ACCENT, INSIDE, TRIM, GLOW, BEAN, LABEL, DARK, PODIUM, PROP, PROP_METAL };
struct Hit { float d; int id; };
FN void add(Hit *h, float d, int id) { if (d < h->d) { h->d = d; h->id = id; } }
