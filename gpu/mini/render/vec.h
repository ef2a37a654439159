// Vectors, smooth curves and integer-hash noise. Knows nothing of scenes.
// One source for NVRTC (device) and gcc -x c++ (host): keep to plain C with struct operators.
#ifdef __CUDACC__
#define FN __device__ __forceinline__
#define BIGFN __device__ __noinline__
#else
#include <math.h>
#define FN static inline
#define BIGFN static
#endif
#define PI 3.14159265f

struct vec { float x, y, z; };
FN vec V(float x, float y, float z) { vec r; r.x = x; r.y = y; r.z = z; return r; }
FN vec grey(float x) { return V(x, x, x); }
FN vec operator+(vec a, vec b) { return V(a.x + b.x, a.y + b.y, a.z + b.z); }
FN vec operator-(vec a, vec b) { return V(a.x - b.x, a.y - b.y, a.z - b.z); }
FN vec operator*(vec a, vec b) { return V(a.x * b.x, a.y * b.y, a.z * b.z); }
FN vec operator*(vec a, float s) { return V(a.x * s, a.y * s, a.z * s); }
FN float dot(vec a, vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
FN vec cross(vec a, vec b) {
  return V(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}
FN float len(vec a) { return sqrtf(dot(a, a)); }
FN float hyp(float a, float b) { return sqrtf(a * a + b * b); }
FN vec norm(vec a) { return a * (1.f / sqrtf(dot(a, a) + 1e-20f)); }
FN float hi(float a, float b) { return a > b ? a : b; }
FN float lo(float a, float b) { return a < b ? a : b; }
FN float clampf(float x, float a, float b) { return x < a ? a : (x > b ? b : x); }
FN float sat(float x) { return clampf(x, 0.f, 1.f); }
FN float mixf(float a, float b, float t) { return a + (b - a) * t; }
FN vec mix(vec a, vec b, float t) { return a + (b - a) * t; }
FN float smooth(float a, float b, float x) {
  float t = sat((x - a) / (b - a));
  return t * t * (3.f - 2.f * t);
}
FN vec reflect(vec d, vec n) { return d - n * (2.f * dot(d, n)); }
FN vec turn(vec p, float c, float s) { return V(p.x * c - p.z * s, p.y, p.x * s + p.z * c); }

// Integer hashes (not sin-based ones): host and device give the same picture.
FN unsigned scramble(unsigned x) {
  x ^= x >> 16; x *= 0x7feb352du; x ^= x >> 15; x *= 0x846ca68bu; x ^= x >> 16;
  return x;
}
FN float hash(float seed, int k) {
  return (scramble((unsigned)(int)(seed * 64.f) * 9781u + (unsigned)k * 6271u + 17u) & 0xffffff)
    * (1.f / 16777216.f);
}
FN float lattice(int x, int y, int z) {
  return (scramble((unsigned)x * 73856093u ^ (unsigned)y * 19349663u ^ (unsigned)z * 83492791u)
    & 0xffffff) * (1.f / 16777216.f);
}
FN float noise(vec p) {
  float fx = floorf(p.x), fy = floorf(p.y), fz = floorf(p.z);
  int x = (int)fx, y = (int)fy, z = (int)fz;
  float u = p.x - fx, v = p.y - fy, w = p.z - fz;
  u = u * u * (3 - 2 * u); v = v * v * (3 - 2 * v); w = w * w * (3 - 2 * w);
  float a = mixf(mixf(lattice(x, y, z), lattice(x + 1, y, z), u),
                 mixf(lattice(x, y + 1, z), lattice(x + 1, y + 1, z), u), v);
  float b = mixf(mixf(lattice(x, y, z + 1), lattice(x + 1, y, z + 1), u),
                 mixf(lattice(x, y + 1, z + 1), lattice(x + 1, y + 1, z + 1), u), v);
  return mixf(a, b, w);
}
FN float fbm(vec p) {
  return .53f * noise(p) + .28f * noise(p * 2.03f + V(7, 3, 1)) + .19f * noise(p * 4.1f + V(1, 9, 4));
}
