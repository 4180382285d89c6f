// Puts the board together.

import { Actions } from "./actions.js";
import { Api } from "./api.js";
import { Columns } from "./columns.js";
import { Comments } from "./comments.js";
import { byId, fillOptions } from "./dom.js";
import { Editor } from "./editor.js";
import { Feed } from "./feed.js";
import { nameOf, WITHOUT } from "./filters.js";
import { Follower } from "./follower.js";
import { askForKey } from "./keyentry.js";
import { installDrag, installKeys } from "./movement.js";
import { showBanner, showWait } from "./notices.js";
import { Refresher } from "./refresh.js";
import { SelectionBar } from "./selection.js";
import { session } from "./session.js";
import { Store } from "./store.js";
import { Toolbar } from "./toolbar.js";

const store = new Store();
const api = new Api(session, (seconds, status) => {
  const why = status === 429 ? "The server asks to wait" : "The server is busy";
  showWait(seconds ? `${why}: trying again in ${seconds} s.` : "");
});
const onFailure = (...failure) => refresher.failed(...failure);
const comments = new Comments(api, store, onFailure);
const refresher = new Refresher(api, store, comments, {
  onKeyNeeded: enterKey,
  onNames: offerNames,
});
const follower = new Follower(new Feed(api), refresher);
const actions = new Actions(api, store, onFailure);
const editor = new Editor(actions, comments);
const selection = new SelectionBar(store, actions, () => columns.focus());
const toolbar = new Toolbar((filters) => {
  refresher.use(filters);
  columns.reset();
  follower.reload();
});
const columns = new Columns(store, {
  onNew: newTask,
  onMoreClosed: () => {
    refresher.showOlder();
    follower.reload();
  },
});

// Where the task in the dialog was when it was opened.
let opened = null;

function newTask(status) {
  if (store.isReadOnly) return;
  opened = null;
  const { project, assignee, labels } = toolbar.filters;
  const name = (filter) => (filter && filter !== WITHOUT ? nameOf(filter) : null);
  editor.create({ project: name(project), assignee: name(assignee), labels }, status);
}

function offerNames(names) {
  toolbar.offer(names);
  for (const [kind, values] of Object.entries(names)) {
    fillOptions(byId(`known-${kind}`), values.map((value) => [value, ""]));
  }
}

async function enterKey(reason) {
  session.forget();
  actions.forget();
  follower.pause();
  byId("forget-key").hidden = true;
  session.key = await askForKey(reason);
  store.clear();
  showBanner("");
  byId("forget-key").hidden = false;
  follower.resume();
}

function forgetKey() {
  store.clear();
  enterKey("");
}

async function move(id, status) {
  if (store.isReadOnly) return;
  if (store.selected.has(id) && store.selected.size > 1) await selection.move(status);
  else if (store.get(id).status !== status) await actions.move(store.get(id), status);
}

async function remove(id) {
  if (store.isReadOnly) return;
  const place = columns.placeOf(id);
  const isDone = await actions.delete(store.get(id));
  if (isDone && document.activeElement === document.body) columns.focus(id, place);
}

function select(id) {
  if (!store.isReadOnly) store.select(id, !store.selected.has(id));
}

columns.main.addEventListener("click", ({ target }) => {
  if (!target.closest(".title")) return;
  const id = columns.idOf(target);
  opened = columns.placeOf(id);
  editor.edit(store.get(id), store.isReadOnly);
});
columns.main.addEventListener("change", ({ target }) => {
  if (target.matches(".select")) store.select(columns.idOf(target), target.checked);
});
installKeys(columns, { onMove: move, onSelect: select, onDelete: remove });
installDrag(columns, { onDrop: move });
// A dialog gives the focus back to what opened it, unless that is gone.
byId("editor").addEventListener("close", () => {
  if (!document.activeElement?.closest("main, header")) columns.focus(editor.task?.id, opened);
});

byId("new-task").addEventListener("click", () => newTask("todo"));
byId("forget-key").addEventListener("click", forgetKey);
byId("show-help").addEventListener("click", () => byId("help").showModal());
const SINGLE_KEYS = {
  n: () => newTask("todo"),
  "/": () => byId("filter-q").focus(),
  "?": () => byId("help").showModal(),
};
document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.altKey) return;
  const isTyping = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (isTyping) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key !== "z") return;
    actions.undo();
  } else {
    // Those who speak to their computer can turn single keys off: words would trigger them.
    const shortcut = byId("single-keys").checked && SINGLE_KEYS[event.key];
    if (!shortcut) return;
    shortcut();
  }
  event.preventDefault();
});

store.subscribe(() => {
  columns.render(toolbar.filters);
  byId("new-task").hidden = store.isReadOnly;
});
// Due times pass also while nothing changes.
setInterval(() => {
  columns.render(toolbar.filters);
  if (toolbar.filters.due) follower.reload();
}, 60_000);
byId("forget-key").hidden = session.key === null;
refresher.use(toolbar.filters);
columns.render(toolbar.filters);
follower.reload();
