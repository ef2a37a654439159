"use strict";
// The address after # holds the view, so that it can be sent to someone:
// #product=rouge-01&day=2026-03-02&delivery=douyin&language=en
const all = (selector) => [...document.querySelectorAll(selector)];
const read = () => new URLSearchParams(location.hash.slice(1));

const write = (name, value) => {
  const view = read();
  if (value) view.set(name, value);
  else view.delete(name);
  history.replaceState(null, "", `#${view}`);
  show();
};

const show = () => {
  const view = read();
  const wanted = (data, axis) => !view.get(axis) || view.get(axis) === data[axis];
  const served = document.documentElement.dataset.language;  // a site knows what was chosen before
  const language = view.get("language") || served || navigator.language.slice(0, 2);
  document.documentElement.lang = language === "zh" ? "zh" : "en";
  for (const frame of all(".frame")) frame.hidden = !wanted(frame.dataset, "delivery");
  for (const shot of all(".shot")) {
    const delivered = shot.querySelector(".frame:not([hidden])") || shot.querySelector(".gap");
    const fits = wanted(shot.dataset, "product") && wanted(shot.dataset, "day");
    shot.hidden = !(fits && (delivered || !view.get("delivery")));
  }
  for (const tile of all(".tile")) tile.hidden = target(tile).hidden;
  for (const empty of all(".nothing")) empty.hidden = all(".shot:not([hidden])").length > 0;
  document.body.classList.toggle("zones", view.has("zones"));
  for (const button of all("[data-zones]")) button.ariaPressed = String(view.has("zones"));
  for (const button of all("[data-axis] button")) {
    const chosen = view.get(button.parentElement.dataset.axis) || "";
    button.ariaPressed = String(chosen === button.dataset.value);
  }
};

const target = (tile) => document.getElementById(tile.hash.slice(1));

for (const button of all("[data-axis] button"))
  button.addEventListener("click", () => write(button.parentElement.dataset.axis, button.dataset.value));
for (const button of all("[data-zones]"))
  button.addEventListener("click", () => write("zones", read().has("zones") ? "" : "1"));
for (const button of all("[data-language]"))
  button.addEventListener("click", () => write("language", button.dataset.language));
for (const tile of all(".tile"))
  tile.addEventListener("click", (event) => {
    event.preventDefault();  // an anchor would take the place of the view
    target(tile).scrollIntoView();
  });
for (const filters of all(".filters")) filters.hidden = filters.children.length === 0;
addEventListener("hashchange", show);
show();

// A clip plays while it can be seen, on a large contact sheet or where less motion is wished for
// while it is pointed at. Out of sight its decoder rests.
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const play = (video) => video.play().catch(() => {});  // refused when saving power: the poster stays
const watch = new IntersectionObserver((seen) => {
  for (const { target: video, isIntersecting } of seen)
    if (isIntersecting) play(video);
    else video.pause();
}, { threshold: 0.3 });
for (const video of all("video")) {
  video.addEventListener("playing", () => video.classList.add("on"));
  if (!calm && !video.closest(".some, .many")) watch.observe(video);
  else {
    video.closest("a").addEventListener("pointerenter", () => play(video));
    video.closest("a").addEventListener("pointerleave", () => video.pause());
  }
}
