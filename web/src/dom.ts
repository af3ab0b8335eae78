// Elements without markup strings: text from the lab only ever becomes text nodes, so no name in it can become HTML.

export type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | EventListener>;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Child | Child[])[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

// What stands where a number or a chart would: what is missing, and why when that is known.
export function missing(what: string): HTMLElement {
  return h("p", { class: "missing" }, what);
}

// One key number of an opening.
export function tile(label: string, value: string, note: Child, emphasis = false): HTMLElement {
  return h(
    "div",
    { class: emphasis ? "tile emphasis" : "tile" },
    h("dt", {}, label),
    h("dd", {}, h("span", { class: "value" }, value), h("span", { class: "note" }, note)),
  );
}

export interface Column<Row> {
  title: string;
  cell: (row: Row) => Child;
  number?: boolean;
}

export function table<Row>(label: string, columns: Column<Row>[], rows: Row[]): HTMLElement {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h(
      "table",
      {},
      h("caption", { class: "visually-hidden" }, label),
      h(
        "thead",
        {},
        h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.number ? "number" : null }, column.title))),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h("tr", {}, columns.map((column) => h("td", { class: column.number ? "number" : null }, column.cell(row)))),
        ),
      ),
    ),
  );
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A file:// page may have no clipboard access; a selected text area works everywhere.
    const area = h("textarea", { class: "visually-hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

export function copyButton(text: string, what: string): HTMLElement {
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    button.textContent = (await copyText(text)) ? "Copied" : "Select it by hand";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

export function command(text: string, what: string): HTMLElement {
  return h("div", { class: "command" }, h("code", { tabindex: "0" }, text), copyButton(text, what));
}
