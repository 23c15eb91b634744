// Films of a race, side by side: played together, each from the same lap on.
"use strict";
for (const row of document.querySelectorAll(".films")) {
  const films = [...row.querySelectorAll("video")];
  const start = () => films.forEach((film) => film.play());
  row.querySelector(".together").addEventListener("click", () => {
    if (films.every((film) => film.paused)) start(); else films.forEach((film) => film.pause());
  });
  for (const button of row.querySelectorAll("[data-lap]")) {
    button.addEventListener("click", () => {
      for (const film of films) film.currentTime = Number(film.dataset.starts.split(" ")[button.dataset.lap] ?? film.duration);
      start();
    });
  }
}
document.addEventListener("DOMContentLoaded", () => {
  const first = document.querySelector(".films");
  if (!first) return;
  keys[" "] = () => first.querySelector(".together").click();
  for (let n = 1; n < 10; n++) keys[n] = () => first.querySelector(`[data-lap="${n - 1}"]`)?.click();
});
