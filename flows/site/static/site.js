"use strict";
// Everything works without this: it remembers the language, and looks again while a run goes on.
for (const button of document.querySelectorAll("[data-language]"))
  if (button.tagName === "BUTTON")
    button.addEventListener("click", () => {
      const chosen = button.dataset.language;
      document.cookie = `language=${chosen}; Path=/; Max-Age=31536000; SameSite=Strict`;
      document.documentElement.dataset.language = chosen;
    });

if (document.querySelector(".state.running"))
  setInterval(() => { if (!document.hidden) location.reload(); }, 5000);
