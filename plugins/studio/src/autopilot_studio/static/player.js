// The player: frames by number, the timeline, the edits, and a policy beside the human.
"use strict";
const player = $("#player"), id = player.dataset.id, bundle = player.dataset.bundle;
const frame = $("#frame"), heat = $("#heat"), canvas = $("#timeline");
let rows, edits, labels = [], gone = [], changed = [];
let at = 0, playing = null, from = null, to = null;  // positions in rows.index; marks include both ends
let policy = null, worst = [], nth = -1;
const ARROWS = { left: "◀", right: "▶", accelerate: "▲ gas", brake: "▼ brake" };
const address = (i) => `/sessions/${id}/frames/${rows.index[i]}.jpg`;

async function start() {
  const answer = await fetch(`/sessions/${id}/rows.json`);
  if (!answer.ok) return say(await answer.text(), true);
  rows = await answer.json();
  if (!rows.index.length) { $("#place").textContent = "no frames"; return; }
  canvas.setAttribute("aria-valuemax", rows.index.length - 1);
  take(rows.edits);
  const wanted = rows.index.findLastIndex((n) => n <= Number(location.hash.slice(1)));
  mark(null, null);
  show(Math.max(0, wanted));
  if (bundle) await ask();
}

// --- edits -----------------------------------------------------------------------------------
function take(now) {
  edits = now;
  const inside = (ranges, n) => ranges.some(([a, b]) => a <= n && n < b);
  gone = rows.index.map((n) => inside(edits.deleted, n));
  labels = rows.label.slice();
  changed = rows.index.map(() => false);
  rows.index.forEach((n, i) => {
    for (const [a, b, label] of edits.relabelled) if (a <= n && n < b) { labels[i] = label; changed[i] = true; }
  });
  for (const [button, what] of [["#undo", edits.undo], ["#redo", edits.redo]]) {
    $(button).disabled = what === null;
    $(button).textContent = button.slice(1) + (what ? ": " + what : "");
  }
  $("#state").textContent = edits.review;
  $("#state").className = "state " + edits.review;
  for (const button of document.querySelectorAll("[data-verdict]"))
    button.setAttribute("aria-pressed", button.dataset.verdict === edits.review);
}

async function send(fields) {
  const answer = await fetch(`/sessions/${id}/edit`, { method: "POST", body: new URLSearchParams(fields) });
  if (!answer.ok) { say(await answer.text(), true); return null; }
  const now = await answer.json();
  if (now.frames !== rows.index.length) { location.hash = rows.index[at]; location.reload(); return now; }
  take(now);
  paintTimeline();
  show(at);
  return now;
}

function range() {
  const a = from ?? at, b = to ?? at;
  return { start: rows.index[Math.min(a, b)], stop: rows.index[Math.max(a, b)] + 1 };
}

async function change(what, extra = {}) {
  const part = what === "split" ? { start: rows.index[at] } : ["delete", "restore", "relabel"].includes(what) ? range() : {};
  const now = await send({ what, ...part, ...extra });
  if (!now) return;
  const span = part.stop ? ` ${part.start} to ${part.stop - 1}` : "";
  if (what === "split") say(`split: the rest is ${now.said}`);
  else if (what === "undo" || what === "redo") say(`${what === "undo" ? "undone" : "redone"}: ${now.said}`);
  else if (what === "review") say(`marked as ${now.review}`);
  else say(`${what}${span}; u undoes it`);
  if (part.stop) mark(null, null);
}

function mark(a, b) {
  from = a; to = b;
  const r = range();
  $("#marked").textContent = from === null && to === null ? "no frames marked (i, o)" : `${r.start} to ${r.stop - 1} marked`;
  paintTimeline();
}

// --- showing a frame -------------------------------------------------------------------------
const ahead = new Map();
function prefetch(i) {
  const step = playing ? playing.speed * rows.hz > 30 ? Math.ceil(playing.speed * rows.hz / 30) : 1 : 1;
  for (let n = 1; n <= 8; n++) {
    const j = i + n * step;
    if (j >= rows.index.length || ahead.has(j)) continue;
    const image = new Image();
    image.src = address(j);
    ahead.set(j, image);
  }
  for (const j of ahead.keys()) if (j < i - 8 || j > i + 200) ahead.delete(j);
}

function show(i) {
  at = Math.min(Math.max(i, 0), rows.index.length - 1);
  frame.src = address(at);
  prefetch(at);
  $("#gone").hidden = !gone[at];
  const t = rows.t_ms[at] / 1000;
  $("#place").textContent = `frame ${rows.index[at]} · ${t.toFixed(1)} s of ${(rows.t_ms.at(-1) / 1000).toFixed(1)} s`;
  canvas.setAttribute("aria-valuenow", at);
  canvas.setAttribute("aria-valuetext", $("#place").textContent);
  const held = new Set(rows.sets[rows.held[at]]), sent = new Set(rows.sets[rows.sent[at]]);
  $("#held").replaceChildren(...rows.controls.map((control) => {
    const key = document.createElement("span");
    key.textContent = ARROWS[control] || control;
    key.title = control + (sent.has(control) ? ", sent to the game" : "") + (held.has(control) ? ", held" : "");
    key.className = (held.has(control) ? "on" : "") + (sent.has(control) !== held.has(control) ? " sent" : "");
    return key;
  }));
  $("#is").textContent = labels[at] < 0 ? "none: skipped" : rows.labels[labels[at]];
  $("#was").textContent = changed[at] ? `(recorded: ${rows.label[at] < 0 ? "none" : rows.labels[rows.label[at]]})` : "";
  hud();
  paintCursor();
  if (policy) showPolicy();
}

function hud() {
  const flags = rows.flags[at], said = [];
  if (!flags) said.push(["", "says nothing here"]);
  else {
    said.push(["lap", rows.lap[at] + 1]);
    if (rows.race_time_s[at] !== null) said.push(["time", rows.race_time_s[at].toFixed(2) + " s"]);
    if (rows.score[at] !== null) said.push(["score", rows.score[at].toFixed(1)]);
    if (rows.confidence[at] !== null && rows.confidence[at] < 1) said.push(["sure", Math.round(100 * rows.confidence[at]) + " %"]);
    const notes = [flags & 1 && "incident", flags & 2 && "wrong way", flags & 4 && "finished"].filter(Boolean);
    if (notes.length) said.push(["now", notes.join(", ")]);
  }
  $("#hud").replaceChildren(...said.flatMap(([name, value]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name; dd.textContent = value;
    return [dt, dd];
  }));
}

// --- playing ---------------------------------------------------------------------------------
function play() {
  if (playing) { playing = null; $("#play").textContent = "▶"; show(at); return; }
  if (at >= rows.index.length - 1) show(0);
  playing = { speed: Number($("#speed").value), last: performance.now(), due: 0 };
  $("#play").textContent = "❚❚";
  requestAnimationFrame(tick);
}

function tick(now) {
  if (!playing) return;
  playing.due += (now - playing.last) / 1000 * rows.hz * playing.speed;
  playing.last = now;
  const steps = Math.floor(playing.due);
  if (steps > 0) {
    playing.due -= steps;
    let next = at + steps;
    while ($("#skip").checked && next < rows.index.length && gone[next]) next++;
    if (next >= rows.index.length) { show(rows.index.length - 1); play(); return; }
    show(next);
  }
  requestAnimationFrame(tick);
}

function speed(by) {
  const box = $("#speed");
  box.selectedIndex = Math.min(Math.max(box.selectedIndex + by, 0), box.length - 1);
  if (playing) playing.speed = Number(box.value);
}

// --- timeline --------------------------------------------------------------------------------
let strip = null;  // everything but the cursor
const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
function paintTimeline() {
  if (!rows || !rows.index.length) return;
  const scale = devicePixelRatio || 1, width = Math.round(canvas.clientWidth * scale), height = Math.round(58 * scale);
  canvas.width = width; canvas.height = height;
  strip = new OffscreenCanvas(width, height);
  const draw = strip.getContext("2d"), n = rows.index.length, band = height * 0.52;
  const fills = rows.labels.map((_, i) => colour("--c" + i % 10)), none = colour("--none"), bad = colour("--bad"), ink = colour("--ink");
  draw.fillStyle = colour("--card");
  draw.fillRect(0, 0, width, height);
  const disagrees = colour("--accent");
  for (let x = 0; x < width; x++) {
    const a = Math.floor(x * n / width), b = Math.max(a + 1, Math.floor((x + 1) * n / width));
    const votes = new Map();
    let deleted = 0, relabelled = false, incident = false, lowest = 1;
    for (let i = a; i < b && i < n; i++) {
      votes.set(labels[i], (votes.get(labels[i]) || 0) + 1);
      deleted += gone[i]; relabelled ||= changed[i]; incident ||= rows.flags[i] & 1;
      if (policy && policy.agree[i] !== null) lowest = Math.min(lowest, policy.agree[i]);
    }
    const label = [...votes].sort((p, q) => q[1] - p[1])[0][0];
    draw.globalAlpha = deleted * 2 > b - a ? 0.22 : 1;
    draw.fillStyle = label < 0 ? none : fills[label];
    draw.fillRect(x, 0, 1, band);
    draw.globalAlpha = 1;
    if (deleted * 2 > b - a && x % (6 * scale) < scale) { draw.fillStyle = bad; draw.fillRect(x, 0, scale, band); }
    if (relabelled) { draw.fillStyle = ink; draw.fillRect(x, band - 3 * scale, 1, 3 * scale); }
    if (incident) { draw.fillStyle = bad; draw.fillRect(x, band + 2 * scale, 1, 5 * scale); }
    if (policy) { draw.fillStyle = disagrees; draw.fillRect(x, height - (1 - lowest) * (height - band - 9 * scale), 1, height); }
  }
  draw.fillStyle = ink;
  for (let i = 1; i < n; i++) if (rows.lap[i] > rows.lap[i - 1]) draw.fillRect(i * width / n, 0, scale, band + 8 * scale);
  if (from !== null || to !== null) {
    const a = Math.min(from ?? at, to ?? at), b = Math.max(from ?? at, to ?? at) + 1;
    draw.strokeStyle = colour("--focus"); draw.lineWidth = 3 * scale;
    draw.strokeRect(a * width / n, scale, Math.max((b - a) * width / n, 2), band - 2 * scale);
  }
  paintCursor();
}

function paintCursor() {
  if (!strip) return;
  const draw = canvas.getContext("2d"), scale = devicePixelRatio || 1, x = (at + 0.5) * canvas.width / rows.index.length;
  draw.drawImage(strip, 0, 0);
  draw.fillStyle = colour("--page"); draw.fillRect(x - 2 * scale, 0, 4 * scale, canvas.height);
  draw.fillStyle = colour("--ink"); draw.fillRect(x - scale, 0, 2 * scale, canvas.height);
}

// --- the policy beside the human -------------------------------------------------------------
async function ask() {
  for (;;) {
    const answer = await fetch(`/policy/${bundle}/${id}/scores.json`);
    if (!answer.ok) { $("#progress").textContent = await answer.text(); return; }
    const now = await answer.json();
    if (now.axes) { policy = now; break; }
    $("#progress").textContent = now.done ? `asking ${bundle}: ${now.done} of ${now.total} frames` : `starting ${bundle}…`;
    await new Promise((done) => setTimeout(done, 400));
  }
  $("#progress").textContent = "";
  $("#beside").hidden = false;
  rank();
  paintTimeline();
  show(at);
}

function rank() {
  // The frames with the smallest chance of what the human did, no two within a second.
  const order = [...rows.index.keys()].filter((i) => policy.agree[i] !== null).sort((a, b) => policy.agree[a] - policy.agree[b]);
  worst = [];
  for (const i of order) {
    if (worst.length >= 20) break;
    if (worst.every((j) => Math.abs(i - j) >= rows.hz)) worst.push(i);
  }
  $("#worst").replaceChildren(...worst.map((i, n) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.textContent = `frame ${rows.index[i]}: ${rows.labels[labels[i]]} had ${(100 * policy.agree[i]).toFixed(1)} %`;
    button.addEventListener("click", () => { nth = n; show(i); });
    item.append(button);
    return item;
  }));
}

function jump(by) {
  if (!worst.length) return say(bundle ? "the policy is not ready yet" : "choose a bundle first");
  nth = (nth + by + worst.length) % worst.length;
  show(worst[nth]);
}

const SVG = "http://www.w3.org/2000/svg";
function showPolicy() {
  const parts = [];
  let joint = 0;
  policy.axes.forEach((axis, a) => {
    const chances = axis.p[at], best = chances.indexOf(Math.max(...chances));
    if (policy.axes.length > 1) { const head = document.createElement("h3"); head.textContent = axis.name; parts.push(head); }
    axis.values.forEach((value, v) => {
      const line = document.createElement("div"), name = document.createElement("span"), number = document.createElement("span");
      line.className = v === best ? "prob top" : "prob";
      name.textContent = value; number.textContent = Math.round(chances[v] / 10) + " %";
      const svg = document.createElementNS(SVG, "svg"), bar = document.createElementNS(SVG, "rect");
      svg.setAttribute("viewBox", "0 0 1000 10"); svg.setAttribute("preserveAspectRatio", "none");
      bar.setAttribute("width", chances[v]); bar.setAttribute("height", 10); bar.setAttribute("class", policy.axes.length > 1 ? "l0" : "l" + v % 10);
      svg.append(bar); line.append(name, svg, number); parts.push(line);
    });
    joint = joint * axis.values.length + best;
  });
  $("#bars").replaceChildren(...parts);
  heat.hidden = !$("#look").checked || Boolean(playing);
  if (!heat.hidden) heat.src = `/policy/${bundle}/${id}/saliency/${rows.index[at]}.png`;
}

// --- hands -----------------------------------------------------------------------------------
const second = () => Math.max(1, Math.round(rows.hz));
const seek = (e) => { const box = canvas.getBoundingClientRect(); show(Math.floor((e.clientX - box.left) / box.width * rows.index.length)); };
canvas.addEventListener("pointerdown", (e) => {
  canvas.setPointerCapture(e.pointerId);
  seek(e);
  if (e.shiftKey) mark(from ?? at, at); else if (from !== null || to !== null) mark(null, null);
});
canvas.addEventListener("pointermove", (e) => { if (e.buttons) { seek(e); if (e.shiftKey) mark(from ?? at, at); } });
$("#play").addEventListener("click", play);
$("#speed").addEventListener("change", () => speed(0));
$("#look").addEventListener("change", showPolicy);
$("#label").addEventListener("change", (e) => { if (e.target.value) change("relabel", { label: e.target.value }); e.target.value = ""; });
for (const button of document.querySelectorAll("[data-step]")) button.addEventListener("click", () => show(at + Number(button.dataset.step)));
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => change(button.dataset.do));
for (const button of document.querySelectorAll("[data-verdict]")) button.addEventListener("click", () => change("review", { verdict: button.dataset.verdict }));
$("#choose").addEventListener("change", (e) => e.currentTarget.submit());
const visit = (other) => { if (other) location.href = `/sessions/${other}` + (bundle ? `?bundle=${bundle}` : ""); else say("there is none"); };
Object.assign(keys, {
  " ": play, ArrowLeft: () => show(at - 1), ArrowRight: () => show(at + 1),
  "Shift+ArrowLeft": () => show(at - second()), "Shift+ArrowRight": () => show(at + second()),
  Home: () => show(0), End: () => show(rows.index.length - 1), "-": () => speed(-1), "+": () => speed(1), "=": () => speed(1),
  i: () => mark(at, to), o: () => mark(from, at), Escape: () => mark(null, null),
  d: () => change("delete"), r: () => change("restore"), s: () => change("split"),
  a: () => change("review", { verdict: "approved" }), x: () => change("review", { verdict: "rejected" }), n: () => change("review", { verdict: "new" }),
  u: () => change("undo"), "Shift+U": () => change("redo"),
  "[": () => visit(player.dataset.earlier), "]": () => visit(player.dataset.later),
  b: () => jump(1), "Shift+B": () => jump(-1),
  m: () => { if (policy) { $("#look").checked = !$("#look").checked; showPolicy(); } },
  0: () => change("relabel", { label: "recorded" }),
});
for (let n = 1; n < 10; n++) keys[n] = () => { if (rows.labels[n - 1]) change("relabel", { label: n - 1 }); };
new ResizeObserver(paintTimeline).observe(canvas);
document.addEventListener("theme", paintTimeline);
start();
