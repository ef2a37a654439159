// Light on a hit point: key with soft shadow, fill with occlusion, bounce, one reflection, glass.
BIGFN void look_at(const float *P, int id, vec p, vec n, float far, Look *m) {
  m->albedo = grey(.7f); m->emit = grey(0); m->rough = .5f; m->metal = 0; m->glass = 0; m->shine = .5f;
  int kind = (int)P[PRODUCT];
  vec q = local(P, p);
  if (id == GROUND) {
    m->albedo = ground_albedo(P, p, far); m->rough = (int)P[SURFACE] == MIRROR ? .02f : .25f; m->shine = P[SURFACE_GLOSS];
  } else if (id == PODIUM) { m->albedo = vec_at(P, PODIUM_RGB); m->rough = .5f; m->shine = .3f;
  } else if (id == BODY) {
    m->albedo = vec_at(P, BODY_RGB); finish(m, (int)P[MATERIAL]); body_print(P, q, m);
  } else if (id == ACCENT) { m->albedo = vec_at(P, ACCENT_RGB); finish(m, (int)P[ACCENT_MATERIAL]);
  } else if (id == INSIDE) {
    if (kind == 0) { m->albedo = vec_at(P, CONTRAST); m->rough = .32f; m->shine = .6f; }
    else if (kind == 2) {
      m->albedo = P[SHAPE + 4] < .5f ? V(.08f, .03f, .012f) : V(.60f, .37f, .19f); m->rough = .12f; m->shine = .8f;
      float r = hyp(q.x, q.z), w = smooth(.1f, 0.f, fabsf(r - .17f - .06f * cosf(atan2f(q.z, q.x) * 2.f)) - .05f);
      if (P[SHAPE + 4] > .5f) m->albedo = mix(m->albedo, V(.95f, .88f, .76f), w);
    } else if (kind == 6) screen(P, q, m);
    else if (kind == 11) dial(P, q, m);
    else { m->albedo = V(.95f, .89f, .78f); m->emit = V(.35f, .2f, .07f); m->rough = .4f; }
  } else if (id == TRIM || id == PROP_METAL) { m->albedo = vec_at(P, TRIM_RGB); finish(m, METAL);
  } else if (id == GLOW) m->emit = kind == 5 ? V(.3f, 1.f, .5f) : V(2.6f, 1.6f, .55f);
  else if (id == BEAN) { m->albedo = V(.15f, .07f, .032f); m->rough = .3f; m->shine = .6f;
  } else if (id == LABEL) label(P, q, m);
  else if (id == DARK) { m->albedo = grey(.03f); m->rough = .35f; m->shine = .6f;
  } else if (id == PROP) {
    m->albedo = vec_at(P, PROP_RGB);
    if ((int)P[PROP_KIND] == LANTERNS) { m->emit = vec_at(P, PROP_RGB) * .5f + V(.12f, .03f, 0.f); m->shine = .3f; }
    else if ((int)P[PROP_KIND] == ORNAMENTS) finish(m, GLOSSY);
    else { m->rough = .6f; m->shine = .2f; }
  }
}
FN vec plain_view(const float *P, vec o, vec d, float sx, float sy) {  // ground and wall, no solids
  vec bg = backdrop(P, d, sx, sy);
  if (d.y > -.01f) return bg;
  vec p = o + d * (-o.y / d.y);
  vec c = ground_albedo(P, p, 1.f) * (vec_at(P, KEY_RGB) * (sat(P[KEY_DIR + 1]) * .8f) + vec_at(P, FILL_RGB));
  return mix(c, bg, smooth(3.5f, 10.f, hyp(p.x, p.z)));
}
BIGFN vec mirrored(const float *P, vec o, vec d, float sx, float sy) {  // what a reflection ray sees
  float in, out, t = .02f;
  if (d.y >= 0 && !hangs(P) && !meets(P, o, d, &in, &out)) return studio(P, d);
  Hit h; bool hit = false;
  for (int i = 0; i < 40 && t < 7.f; i++) {
    h = world(P, o + d * t);
    if (h.d < .003f) { hit = true; break; }
    t += h.d;
  }
  if (!hit) return studio(P, d);
  vec p = o + d * t, n = h.id == GROUND ? V(0, 1, 0) : normal(P, p, .004f);
  Look m; look_at(P, h.id, p, n, 1.f, &m);
  vec c = m.albedo * (vec_at(P, KEY_RGB) * (sat(dot(n, vec_at(P, KEY_DIR))) * .8f) + vec_at(P, FILL_RGB) * (.6f + .4f * n.y));
  c = c * (1.f - .6f * m.metal) + m.emit;
  if (m.metal > .5f || m.glass > .5f) c = c * .5f + m.albedo * studio(P, reflect(d, n)) * .6f;
  return mix(c, studio(P, d), smooth(2.5f, 7.f, t));
}
FN vec glass_body(const float *P, vec p, vec n, vec rd, float nv, const Look *m, float sx, float sy) {
  float eta = .72f, k = 1.f - eta * eta * (1.f - nv * nv);
  vec through = norm(rd * eta + n * (eta * nv - sqrtf(hi(k, 0))));
  vec seen = plain_view(P, p + through * .35f, through, sx, sy);
  vec tint = mix(m->albedo, grey(1), .1f), key = vec_at(P, KEY_RGB);
  float edge = (1.f - nv) * (1.f - nv), level = sat((p.y - P[PODIUM_HEIGHT]) / (2 * P[SHAPE + 1] + .01f));
  vec filled = tint * mix(tint, grey(1), smooth(.66f, .70f, level) * .7f);
  vec c = mix(seen, grey(.5f * (seen.x + seen.y + seen.z)), .35f) * filled * (1.05f - .6f * edge);
  return c * .8f + m->albedo * key * (.16f + .26f * sat(dot(through, vec_at(P, KEY_DIR) * -1.f) + .5f));
}
BIGFN vec shade(const float *P, vec ro, vec rd, float t, int id, float sx, float sy) {
  vec p = ro + rd * t, n = id == GROUND ? V(0, 1, 0) : normal(P, p, .0025f);
  if (dot(n, rd) > 0 && id != GROUND) n = n * -1.f;
  float far = hi(0.f, len(p) - 1.f);
  Look m; look_at(P, id, p, n, far, &m);
  if (id == GLOW) return m.emit;
  vec L = vec_at(P, KEY_DIR), key = vec_at(P, KEY_RGB), fill = vec_at(P, FILL_RGB);
  float nl = sat(dot(n, L)), lit = nl > 0 ? nl * shadow(P, p + n * .008f, L) : 0.f, o = occlusion(P, p, n);
  vec H = norm(L - rd);
  float a = m.rough * m.rough + .003f, nh = sat(dot(n, H)), q = nh * nh * (a * a - 1) + 1;
  float D = lo(a * a / (PI * q * q), 12.f), nv = sat(-dot(n, rd)), fresnel = powf(1.f - nv, 5.f);
  float F0 = mixf(.045f, .85f, m.metal), F = F0 + (1 - F0) * fresnel * (1.f - .7f * m.rough);
  vec spec = mix(grey(1), m.albedo, m.metal);
  float rim = sat(dot(n, norm(V(-L.x, .4f, -.7f)))) * .20f;
  vec c = m.albedo * (key * lit + fill * ((.66f + .34f * n.y) * o) + key * (rim * o));
  if (n.y < .3f && id != GROUND) c = c + m.albedo * vec_at(P, SURFACE_A) * key * (.18f * sat(.3f - n.y) * o);
  c = c * ((1.f - m.metal) * (1.f - m.glass * .8f)) + spec * key * (D * F * lit * .6f * m.shine) + m.emit;
  bool shiny = m.metal > .5f || m.glass > .5f;
  float gloss = shiny ? 1.f : m.shine * (1.f - m.rough) * (1.f - m.rough);
  if (gloss > .04f) {
    vec r = mirrored(P, p + n * .012f, reflect(rd, n), sx, sy);
    r = V(lo(r.x, 2.6f), lo(r.y, 2.6f), lo(r.z, 2.6f));
    float k = m.metal > .5f ? mixf(.92f, 1.f, fresnel) * (.45f + .55f * o) : (F0 + (1 - F0) * fresnel) * gloss;
    if (id == GROUND && (int)P[SURFACE] == MIRROR) k = .30f + .5f * fresnel;
    c = c + r * spec * (k * (id == GROUND ? 1.2f : 1.3f));
  }
  if (m.glass > .5f) c = c + glass_body(P, p, n, rd, nv, &m, sx, sy);
  if ((int)P[PRODUCT] == 7 && id != INSIDE) {  // a candle's own light
    vec to = V(0, P[PODIUM_HEIGHT] + 2 * P[SHAPE + 1] + .2f, 0) - p;
    c = c + m.albedo * V(1.f, .6f, .25f) * (.14f * (.3f + .7f * sat(dot(n, norm(to)))) / (dot(to, to) + .15f));
  }
  if (id == GROUND) c = mix(c, backdrop(P, rd, sx, sy), smooth(2.6f, 8.5f, hyp(p.x, p.z)));
  return c;
}
