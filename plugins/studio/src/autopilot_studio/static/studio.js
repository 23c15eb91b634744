// On all pages: light or dark, the shortcuts, short messages; on the list: moving through it by keyboard.
"use strict";
const $ = (query) => document.querySelector(query);
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

function paint() {
  root.dataset.theme = localStorage.getItem("theme") || (dark.matches ? "dark" : "light");
  document.dispatchEvent(new Event("theme"));
}
function turn() {
  localStorage.setItem("theme", root.dataset.theme === "dark" ? "light" : "dark");
  paint();
}
dark.addEventListener("change", paint);
paint();

let saying;
function say(text, bad = false) {
  const box = $("#said");
  box.textContent = text;
  box.className = bad ? "show bad" : "show";
  clearTimeout(saying);
  saying = setTimeout(() => { box.className = ""; }, bad ? 6000 : 2500);
}
document.addEventListener("htmx:responseError", (e) => say(e.detail.xhr.responseText, true));
document.addEventListener("htmx:sendError", () => say("the studio has ended: start it again", true));

$("#theme").addEventListener("click", turn);
$("#help").addEventListener("click", () => $("#shortcuts").showModal());

const PLACES = { s: "/", p: "/policy", d: "/data", t: "/runs", r: "/races", b: "/board" };
let going = false;
// A page's own keys: set `keys["x"] = function`. Letters typed into fields are text.
const keys = { t: turn, "?": () => $("#shortcuts").showModal() };
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || $("#shortcuts").open) return;
  const field = e.target.closest("input:not([type=checkbox]), select, textarea");
  if (field) {
    if (e.key === "Escape") field.blur();
    return;
  }
  if (going && PLACES[e.key]) { location.href = PLACES[e.key]; return; }
  going = e.key === "g";
  const act = keys[e.shiftKey && keys["Shift+" + e.key] ? "Shift+" + e.key : e.key];
  if (!act || ((e.key === " " || e.key === "Enter") && e.target.closest("button, a, summary, [type=checkbox]"))) return;
  e.preventDefault();
  act(e);
});

if ($("#list")) {
  const links = () => [...document.querySelectorAll("#list a.open")];
  const move = (by) => {
    const all = links(), row = document.activeElement.closest("tr");
    const at = row ? all.indexOf(row.querySelector("a.open")) : -1;
    all[Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
  };
  const judge = (verdict) => {
    const row = document.activeElement.closest("tr");
    if (row) row.querySelector("." + verdict)?.click();
    else say("choose a session with j and k first");
  };
  Object.assign(keys, {
    j: () => move(1), k: () => move(-1), "/": () => $("#q").focus(),
    a: () => judge("approved"), x: () => judge("rejected"), n: () => judge("new"),
    "[": () => $("#before")?.click(), "]": () => $("#after")?.click(),
  });
  document.addEventListener("htmx:beforeSwap", (e) => { e.detail.target.dataset.focus = document.activeElement.closest("tr")?.dataset.id || ""; });
  document.addEventListener("htmx:afterSwap", (e) => {
    const id = e.detail.target.dataset.focus;
    if (id) document.getElementById("s-" + id)?.querySelector("a.open").focus();
  });
}
