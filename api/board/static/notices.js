// What the board tells people: a banner for a lasting state, a toast for what was just done, and a
// live region for screen readers.

import { byId, el } from "./dom.js";

const banner = byId("banner");
const toast = byId("toast");
const live = byId("live");

/** Tell a screen reader what has happened. */
export function announce(text, region = live) {
  // The same text twice is read twice only if it changed in between.
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}

let lasting = "";
let waiting = "";

/** Show a lasting state; without a text there is none. */
export function showBanner(text) {
  lasting = text;
  renderBanner();
}

/** Show that a request waits, above any lasting state. */
export function showWait(text) {
  waiting = text;
  renderBanner();
}

function renderBanner() {
  const text = waiting || lasting;
  if (banner.textContent === text) return;
  banner.textContent = text;
  banner.hidden = !text;
}

/** Show what was done until the next toast, with a way back if there is one. */
export function showToast(text, undo = null) {
  const close = () => {
    hideToast();
    byId("columns").focus();
  };
  const dismiss = el("button", { class: "quiet", "aria-label": "Dismiss", onclick: close }, "✕");
  const back = undo && el("button", { class: "quiet", id: "undo", onclick: undo }, "Undo");
  const hadFocus = toast.contains(document.activeElement);
  toast.className = "toast";
  toast.replaceChildren(...[el("p", {}, text), back, dismiss].filter(Boolean));
  toast.hidden = false;
  // The button that had the focus is gone.
  if (hadFocus) (back ?? dismiss).focus();
  announce(undo ? `${text} Control Z undoes it.` : text);
}

/** Show that something failed. */
export function showError(text) {
  showToast(text);
  toast.classList.add("failed");
}

export function hideToast() {
  toast.hidden = true;
  toast.replaceChildren();
}
