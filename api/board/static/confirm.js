// The dialog before a change of many tasks that is made at once.

import { ask, byId } from "./dom.js";

const dialog = byId("confirm");

/** Return whether the person agrees; the button names what is going to be done. */
export async function confirms(question, action) {
  byId("confirm-text").textContent = question;
  byId("confirm-yes").textContent = action;
  return (await ask(dialog)) === "yes";
}
