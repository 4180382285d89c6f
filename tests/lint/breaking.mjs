// Lists the changes of an OpenAPI document that break clients and are not declared in the changelog:
// node breaking.mjs <before> <after> <changelog>
import { readFileSync } from "node:fs";
import { apiCompare } from "api-smart-diff";

const DECLARATIONS = /^### Breaking changes of the OpenAPI document\n(.*?)(?=^#|$(?![^]))/ms;

const [before, after] = process.argv.slice(2, 4).map((file) => JSON.parse(readFileSync(file)));
const unreleased = readFileSync(process.argv[4], "utf8").split(/^## /m)[1] ?? "";

// A declaration covers each change whose line begins with it.
const [, declarations = ""] = unreleased.match(DECLARATIONS) ?? [];
const declared = [...declarations.matchAll(/^- `(.+?)`/gm)].map(([, text]) => text);

// An array's element is named by its name or its value, because its place changes with others.
const nameOf = (element, place) =>
  typeof element === "object" ? (element?.name ?? place) : (element ?? place);

const line = ({ action, path, before: removed, after: added }) => {
  const [, url, method, ...steps] = path;
  let node = before.paths[url]?.[method];
  const names = steps.map((step, place) => {
    node = place === steps.length - 1 ? (removed ?? added) : node?.[step];
    return typeof step === "number" || /^\d+$/.test(step) ? nameOf(node, step) : step;
  });
  return `${(method ?? "").toUpperCase()} ${url}: ${action} ${names.join("/")}`.trim();
};

// Components are compared where an operation uses them, which tells requests from responses.
const breaks = apiCompare(before, after)
  .diffs.filter(({ type, path }) => type === "breaking" && path[0] === "paths")
  .map(line)
  .filter((text) => !declared.some((declaration) => text.startsWith(declaration)));

if (breaks.length > 0) {
  console.error("These changes break clients:\n");
  for (const text of [...new Set(breaks)].sort()) console.error(`- \`${text}\``);
  console.error(
    "\nKeep what clients use; or list them, or what they begin with, in CHANGELOG.md under Unreleased" +
      "\nin a section `### Breaking changes of the OpenAPI document`.",
  );
  process.exit(1);
}
