// What both pages share: navigation, sections, and that one damaged part of the data does not hide the rest.
import { h, missing, type Child } from "./dom";
import "./style.css";
import { applyStoredTheme, themeToggle } from "./theme";

export interface Section<Args extends unknown[]> {
  id: string;
  title: string;
  short: string; // in the navigation; empty: not there
  wide: boolean;
  content: (...args: Args) => Child[];
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function contentOf<Args extends unknown[]>(spec: Section<Args>, args: Args): Child[] {
  try {
    return spec.content(...args);
  } catch (error) {
    return [missing(`This part of the data cannot be shown: ${messageOf(error)}`)];
  }
}

function element(spec: { id: string; title: string; wide: boolean }, content: Child[]): HTMLElement {
  return h("section", { id: spec.id, class: spec.wide ? "wide" : null, "aria-labelledby": `${spec.id}-title` }, h("h2", { id: `${spec.id}-title` }, spec.title), content);
}

// Says only that something is missing.
const isMissing = (content: Child[]): boolean => content.filter(Boolean).every((child) => child instanceof HTMLElement && child.classList.contains("missing"));

// What is not there is told in one place, a line each, instead of an empty section each.
function absent(parts: { title: string; content: Child[] }[]): HTMLElement | null {
  if (parts.length === 0) return null;
  const rows = parts.map(({ title, content }) => h("li", {}, h("strong", {}, `${title}. `), content.map((child) => (child instanceof HTMLElement ? child.textContent : child)).join(" ")));
  return element({ id: "absent", title: "Not on this page", wide: true }, [h("ul", { class: "limits" }, rows)]);
}

export function layout<Args extends unknown[]>(opening: (...args: Args) => HTMLElement, sections: Section<Args>[], footer: string, ...args: Args): HTMLElement[] {
  const parts = sections.map((spec) => ({ ...spec, content: contentOf(spec, args) })).filter(({ content }) => content.some(Boolean));
  const shown = parts.filter(({ content }) => !isMissing(content));
  const links = shown.filter((spec) => spec.short !== "").map((spec) => h("a", { href: `#${spec.id}` }, spec.short));
  let head: HTMLElement;
  try {
    head = opening(...args);
  } catch (error) {
    head = missing(`The summary cannot be shown: ${messageOf(error)}`);
  }
  return [
    h("nav", { "aria-label": "Sections" }, h("span", { class: "brand" }, "flywheel"), h("div", { class: "links" }, links), themeToggle()),
    h("main", { id: "main" }, head, h("div", { class: "sections" }, shown.map((spec) => element(spec, spec.content)), absent(parts.filter(({ content }) => isMissing(content))))),
    h("footer", {}, footer),
  ];
}

// Draws what `draw` makes of the embedded data; says so when it cannot be read at all.
export function open(draw: (json: string) => HTMLElement[]): void {
  applyStoredTheme();
  const root = document.getElementById("page")!;
  try {
    root.replaceChildren(...draw(document.getElementById("data")?.textContent ?? "{}"));
  } catch (error) {
    root.replaceChildren(h("main", { id: "main" }, missing(`This page's data cannot be read: ${messageOf(error)}`)));
  }
}
