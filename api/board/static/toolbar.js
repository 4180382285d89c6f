// The filters in the header.

import { byId, fillOptions } from "./dom.js";
import {
  EMPTY,
  fromFragment,
  isFiltered,
  literal,
  nameOf,
  toFragment,
  WITHOUT,
} from "./filters.js";
import { chip } from "./labels.js";

const SEARCH_DELAY_MS = 250;

export class Toolbar {
  #timer = null;

  /** `onChange` is called with new filters. */
  constructor(onChange) {
    this.form = byId("filters");
    this.chips = byId("chosen-labels");
    this.clear = byId("clear-filters");
    this.onChange = onChange;
    this.filters = fromFragment(location.hash);
    this.names = { projects: [], labels: [], assignees: [] };
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", (event) => this.#changed(event.target));
    this.form.elements.q.addEventListener("input", (event) => this.#typed(event.target));
    this.clear.addEventListener("click", () => this.#set({ ...EMPTY, sort: this.filters.sort }));
    window.addEventListener("hashchange", () => this.#set(fromFragment(location.hash)));
    this.#render();
  }

  /** Offer the names in use. */
  offer(names) {
    // Options of a list that is open are left alone as long as they are right.
    if (JSON.stringify(names) === JSON.stringify(this.names)) return;
    this.names = names;
    this.#render();
  }

  #typed(input) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#changed(input), SEARCH_DELAY_MS);
  }

  #changed({ name, value }) {
    clearTimeout(this.#timer);
    if (name === "label") {
      const labels = new Set(this.filters.labels).add(value);
      if (value) this.#set({ ...this.filters, labels: [...labels] });
    } else if (value !== this.filters[name]) this.#set({ ...this.filters, [name]: value });
  }

  #set(filters) {
    if (toFragment(filters) === toFragment(this.filters)) return;
    this.filters = filters;
    const fragment = toFragment(filters);
    history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname);
    this.#render();
    this.onChange(filters);
  }

  #render() {
    const { elements } = this.form;
    const { filters, names } = this;
    const { assignee, project } = filters;
    const people = nameOptions(["Anyone", "Unassigned"], names.assignees, assignee);
    const projects = nameOptions(["Any project", "No project"], names.projects, project);
    fillOptions(elements.assignee, people, assignee);
    fillOptions(elements.project, projects, project);
    const labels = names.labels.filter((label) => !filters.labels.includes(label));
    fillOptions(elements.label, [["", "Any label"], ...labels.map((label) => [label, label])], "");
    for (const name of ["priority", "due", "sort"]) elements[name].value = filters[name];
    if (document.activeElement !== elements.q) elements.q.value = filters.q;
    for (const name of ["assignee", "project", "priority", "due"]) {
      elements[name].classList.toggle("active", filters[name] !== "");
    }
    const without = (label) => filters.labels.filter((each) => each !== label);
    this.chips.replaceChildren(
      ...filters.labels.map((label) =>
        chip(label, () => this.#set({ ...this.filters, labels: without(label) })),
      ),
    );
    this.clear.hidden = !isFiltered(filters);
  }
}

/** Return the options of a filter by name, with a chosen one that is not in use any more. */
function nameOptions([all, none], names, chosen) {
  const options = [["", all], [WITHOUT, none], ...names.map((name) => [literal(name), name])];
  if (!options.some(([value]) => value === chosen)) {
    options.push([chosen, nameOf(chosen)]);
  }
  return options;
}
