// One pixel: lens, march, tone curve. Writes RGB and the product's mask. Entry points below.
BIGFN vec trace(const float *P, vec ro, vec rd, float sx, float sy, bool *on_product) {
  float floor_t = rd.y < -1e-4f ? -ro.y / rd.y : 1e9f, end = lo(floor_t, 18.f), in = .5f, out = 18.f, t = 0;
  bool go = hangs(P) || meets(P, ro, rd, &in, &out), hit = false;
  Hit h; h.id = GROUND;
  if (go) {
    t = hi(in, .5f);
    end = lo(end, hangs(P) ? 18.f : out);
    for (int i = 0; i < 110 && t < end; i++) {
      h = solids(P, ro + rd * t);
      if (h.d < .0007f * t) { hit = true; break; }
      t += h.d * .9f;
    }
  }
  *on_product = hit && h.id >= BODY && h.id <= DARK;
  if (!hit && floor_t > 18.f) return backdrop(P, rd, sx, sy);
  return hit ? shade(P, ro, rd, t, h.id, sx, sy) : shade(P, ro, rd, floor_t, GROUND, sx, sy);
}
// Straight up to 0.7, then a soft shoulder: a product's sRGB stays near its named colour.
FN float tone(float x) { return x < .7f ? x : .7f + .3f * (1.f - expf(-(x - .7f) / .42f)); }
FN unsigned char code(float x) { return (unsigned char)(255.f * powf(sat(x), 1.f / 2.2f) + .5f); }

FN void pixel(const float *P, int W, int H, int x, int y, int n, unsigned char *out, long plane) {
  vec eye = vec_at(P, EYE), f = norm(vec_at(P, TARGET) - eye), r = norm(cross(f, V(0, 1, 0))), u = cross(r, f);
  vec sum = grey(0);
  float mask = 0.f, unit = 2.f / sqrtf((float)W * H);  // screen units: equal area in every aspect
  for (int s = 0; s < n * n; s++) {
    float jx = ((s % n) + .5f) / n, jy = ((s / n) + .5f) / n;
    float sx = (x + jx - W * .5f) * unit, sy = (H * .5f - y - jy) * unit;
    // lens: the sample's place in the pixel, shuffled, is its place on the aperture
    int k = (s * 5 + 2) % (n * n);
    float lx = (((k % n) + .5f) / n - .5f) * P[LENS], ly = (((k / n) + .5f) / n - .5f) * P[LENS];
    vec aim = r * ((sx + P[SHIFT]) / P[FOCAL]) + u * ((sy + P[SHIFT + 1]) / P[FOCAL]) + f;
    vec off = r * lx + u * ly, rd = norm(aim * P[FOCUS] - off);
    bool on;
    vec c = trace(P, eye + off, rd, sx, sy, &on);
    mask += on ? 1.f : 0.f;
    if ((int)P[PROP_KIND] == SNOW) c = mix(c, grey(1.2f), snowfall(P, sx, sy));
    if ((int)P[PROP_KIND] == STEAM) c = mix(c, grey(1.05f), steam(P, eye + off, rd) * .75f);
    c = c * P[EXPOSURE];
    sum = sum + V(tone(c.x), tone(c.y), tone(c.z));
  }
  float vx = (2.f * x - W) / W, vy = (2.f * y - H) / H, k = (1.f - .07f * (vx * vx + vy * vy)) / (n * n);
  out[0] = code(sum.x * k); out[plane] = code(sum.y * k); out[2 * plane] = code(sum.z * k);
  out[3 * plane] = (unsigned char)(255.f * mask / (n * n) + .5f);
}
#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128) render(const float *scenes, unsigned char *out, int B, int W, int H, int n) {
  __shared__ float P[PARAMS];
  for (int i = threadIdx.x; i < PARAMS; i += blockDim.x) P[i] = scenes[(long)blockIdx.y * PARAMS + i];
  __syncthreads();
  int across = (W + 15) / 16;  // tiles of 16 x 8 keep a warp's rays together
  int x = (blockIdx.x % across) * 16 + (threadIdx.x & 15), y = (blockIdx.x / across) * 8 + (threadIdx.x >> 4);
  if (x >= W || y >= H) return;
  long plane = (long)W * H;
  pixel(P, W, H, x, y, n, out + (long)blockIdx.y * 4 * plane + (long)y * W + x, plane);
}
#else
extern "C" void render(const float *scenes, unsigned char *out, int B, int W, int H, int n) {
  long plane = (long)W * H;
  for (int b = 0; b < B; b++) {
    #pragma omp parallel for schedule(dynamic, 4)
    for (int y = 0; y < H; y++)
      for (int x = 0; x < W; x++)
        pixel(scenes + (long)b * PARAMS, W, H, x, y, n, out + (long)b * 4 * plane + (long)y * W + x, plane);
  }
}
#endif
