"use strict";
// The address after # holds the state, so that a view can be sent to someone:
// #product=rouge-01&day=2026-03-02&delivery=douyin&language=en; anything without = is an anchor.
const root = document.documentElement;
const axes = ["product", "day", "delivery"];
const all = (selector) => [...document.querySelectorAll(selector)];

const read = () => {
  const hash = location.hash.slice(1);
  return new URLSearchParams(hash.includes("=") ? hash : "");
};

const write = (name, value) => {
  const state = read();
  value ? state.set(name, value) : state.delete(name);
  history.replaceState(null, "", state.size ? `#${state}` : "#");
  show();
};

const show = () => {
  const state = read();
  const wanted = (axis, value) => !state.get(axis) || state.get(axis) === value;
  const language = state.get("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
  root.lang = language === "en" ? "en" : "zh";
  for (const frame of all(".frame")) frame.hidden = !wanted("delivery", frame.dataset.delivery);
  let shown = 0;
  for (const shot of all(".shot")) {
    const frames = !state.get("delivery") || shot.querySelector(".frame:not([hidden])");
    shot.hidden = !(wanted("product", shot.dataset.product) && wanted("day", shot.dataset.day) && frames);
    document.querySelector(`.tile[href="#${shot.id}"]`).hidden = shot.hidden;
    shown += !shot.hidden;
  }
  document.querySelector(".nothing").hidden = shown > 0;
  for (const button of all("[data-axis] button"))
    button.ariaPressed = String((state.get(button.parentElement.dataset.axis) || "") === button.dataset.value);
};

for (const button of all("[data-axis] button"))
  button.addEventListener("click", () => write(button.parentElement.dataset.axis, button.dataset.value));
for (const button of all("[data-language]"))
  button.addEventListener("click", () => write("language", button.dataset.language));
addEventListener("hashchange", () => location.hash.includes("=") && show());
for (const form of all(".filters")) form.hidden = !form.children.length;
show();

// A clip plays while it can be seen, and lets its decoder rest when it can't.
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const play = (video) => video.play().catch(() => {});  // refused on battery saver: the poster stays
const watch = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) isIntersecting ? play(target) : target.pause();
}, { threshold: 0.35 });
for (const video of all("video")) {
  video.addEventListener("playing", () => video.classList.add("on"));
  if (!still) watch.observe(video);
  video.parentElement.addEventListener("pointerenter", () => play(video));
}
