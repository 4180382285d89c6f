// A list of labels as removable chips, and a field that adds one.

import { el } from "./dom.js";

/** Make a chip whose button takes it away. */
export function chip(text, onRemove) {
  const remove = el("button", { type: "button", "aria-label": `Remove ${text}` }, "✕");
  remove.addEventListener("click", onRemove);
  return el("span", { class: "chip" }, text, remove);
}

export class LabelField {
  #labels = [];

  constructor(list, input) {
    this.list = list;
    this.input = input;
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !input.value.trim()) return;
      event.preventDefault();
      this.#addTyped();
    });
  }

  /** The labels, with one that was typed and not yet added. */
  get value() {
    this.#addTyped();
    return this.#labels;
  }

  set value(labels) {
    this.#labels = [...labels];
    this.input.value = "";
    this.#render();
  }

  #addTyped() {
    const label = this.input.value.trim().normalize();
    if (label && !this.#labels.includes(label)) this.#labels.push(label);
    this.input.value = "";
    this.#render();
  }

  #remove(label) {
    this.#labels = this.#labels.filter((each) => each !== label);
    this.#render();
    this.input.focus();
  }

  #render() {
    this.list.replaceChildren(
      ...this.#labels.map((label) => chip(label, () => this.#remove(label))),
    );
  }
}
