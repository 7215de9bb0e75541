// Keeps a page up to date, takes the keys, and follows an output. All text is set as text.
"use strict";

const LIVE_MS = 2000;
const KEPT = 5000; // entries of an output that stay on the page

// Live: the sections that are marked are fetched again and put in place of the old ones, where they differ.
const live = document.getElementById("live");
let on = sessionStorage.getItem("live") !== "off";

let lost = ""; // since when what is shown is not brought up to date, where it should be

function show() {
  live?.setAttribute("aria-pressed", String(on));
  if (live) live.textContent = on && lost ? `not up to date since ${lost}` : "live";
}

function heard(fresh) {
  lost = fresh ? "" : lost || new Date().toLocaleTimeString();
  show();
}

function toggle() {
  on = !on;
  sessionStorage.setItem("live", on ? "on" : "off");
  show();
}

function nameOf(element) {
  return element?.id ? "#" + CSS.escape(element.id) : element?.href ? `a[href="${CSS.escape(element.getAttribute("href"))}"]` : null;
}

async function refresh() {
  const old = document.querySelectorAll("[data-live]");
  if (!on || document.hidden || old.length === 0 || !getSelection().isCollapsed) return;
  const answer = await fetch(location.href, { redirect: "error" });
  heard(answer.ok);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const section of old) {
    const next = page.getElementById(section.id);
    if (next === null || next.innerHTML === section.innerHTML) continue;
    const focused = section.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    section.replaceWith(next);
    if (focused) next.querySelector(focused)?.focus();
  }
}

function again() {
  refresh().catch(() => heard(false)).finally(() => setTimeout(again, LIVE_MS)); // a server that is away may come back
}

live?.addEventListener("click", toggle);
show();
setTimeout(again, LIVE_MS);

// Keys: a letter opens its page, j and k go along the links of a list.
function walk(step) {
  const rows = [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a"));
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
  rows.forEach((row) => row.classList.toggle("here", row === next));
  next.querySelector("a").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const link = /^[a-z]$/.test(event.key) ? document.querySelector(`a[data-key="${event.key}"]`) : null;
  if (event.key === "/") document.getElementById("find").focus();
  else if (event.key === "j") walk(1);
  else if (event.key === "k") walk(-1);
  else if (event.key === "l") toggle();
  else if (link) link.click();
  else return;
  event.preventDefault();
});

// Output: what a dead attempt had said is struck out where `restarted` says so.
const output = document.getElementById("output");
if (output) {
  const following = document.getElementById("following");
  const source = new EventSource(output.dataset.stream);
  source.onopen = () => (following.textContent = "following");
  source.onerror = () => (following.textContent = source.readyState === EventSource.CLOSED ? "not connected" : "connecting again");
  source.addEventListener("over", () => {
    source.close();
    following.textContent = "over: the runtime is destroyed";
  });
  source.addEventListener("failed", (event) => (following.textContent = JSON.parse(event.data)));
  source.onmessage = (event) => {
    const entry = JSON.parse(event.data);
    const line = document.createElement("li");
    const facts = document.createElement("span");
    facts.textContent = [entry.kind === "data" ? entry.channel || "data" : entry.kind, entry.place, entry.attempt > 1 ? `attempt ${entry.attempt}` : ""].filter(Boolean).join(" · ");
    const value = document.createElement("span");
    value.className = "value";
    value.textContent = entry.value;
    line.append(facts, value);
    if (entry.kind === "restarted") {
      for (const earlier of output.children) {
        const dropped = earlier.dataset.run === entry.run_id && earlier.dataset.kind === "data" && earlier.dataset.position > entry.drop_after && (entry.place === "" || earlier.dataset.place === entry.place);
        if (dropped) earlier.classList.add("dropped");
      }
    }
    Object.assign(line.dataset, { run: entry.run_id, kind: entry.kind, place: entry.place, position: event.lastEventId });
    output.append(line);
    while (output.children.length > KEPT) output.firstChild.remove();
  };
}
