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

// A bar as long as `part` of its track; bars of one column have tracks of one length, so that lengths compare. Beside it
// its number in words.
export function bar(part: number, words = ""): HTMLElement {
  const length = `${(Math.max(0, Math.min(1, part)) * 100).toFixed(2)}%`;
  return h("span", { class: "share" }, h("span", { class: "track" }, h("span", { class: "bar", style: `width:${length}` })), words !== "" && h("span", { class: "words" }, words));
}

// "model.mixers=window,window,attention" may wrap after its commas, so that no name in it is broken.
export function breakable(text: string): (Node | string)[] {
  return text.split(/(?<=,)(?=\S)/).flatMap((part, index) => (index === 0 ? [part] : [h("wbr"), part]));
}

type Sortable = number | string | null | undefined;

// A number is never broken; `text` may wrap at its blanks, any other cell stays on one line.
export interface Column<Row> {
  title: string;
  cell: (row: Row) => Child;
  number?: boolean;
  text?: boolean;
  value?: (row: Row) => Sortable; // to sort by; a column without stays as it is
}

// What is not known comes last in either direction.
export function compareValues(a: Sortable, b: Sortable, direction: number): number {
  if (a === null || a === undefined || b === null || b === undefined) return Number(a === null || a === undefined) - Number(b === null || b === undefined);
  if (typeof a === "number" && typeof b === "number") return direction * (a - b);
  return direction * String(a).localeCompare(String(b), "en", { numeric: true });
}

// Heads that sort their column when they are pressed: once up, once more down.
export function sortHeads<Row>(columns: Column<Row>[], sort: (compare: (a: Row, b: Row) => number) => void): HTMLElement[] {
  let sorted: { column: number; direction: number } | null = null;
  const heads = columns.map((column, index) => {
    const value = column.value;
    const kind = column.number ? "number" : null;
    if (value === undefined) return h("th", { scope: "col", class: kind }, column.title);
    const button = h("button", { type: "button", class: "sort" }, column.title);
    const head = h("th", { scope: "col", class: kind, "aria-sort": "none" }, button);
    button.addEventListener("click", () => {
      const direction = sorted?.column === index ? -sorted.direction : 1;
      sorted = { column: index, direction };
      heads.forEach((other, i) => other.hasAttribute("aria-sort") && other.setAttribute("aria-sort", i !== index ? "none" : direction > 0 ? "ascending" : "descending"));
      sort((a, b) => compareValues(value(a), value(b), direction));
    });
    return head;
  });
  return heads;
}

export function cells<Row>(columns: Column<Row>[], row: Row): HTMLElement[] {
  return columns.map((column) => {
    const content = column.cell(row);
    return h("td", { class: column.number ? "number" : null }, column.text ? h("span", { class: "text" }, content) : content);
  });
}

export function table<Row>(label: string, columns: Column<Row>[], rows: Row[], classOf: (row: Row) => string | null = () => null): HTMLElement {
  const body = h("tbody");
  const draw = (shown: Row[]): void => body.replaceChildren(...shown.map((row) => h("tr", { class: classOf(row) }, cells(columns, row))));
  draw(rows);
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h(
      "table",
      {},
      h("caption", { class: "visually-hidden" }, label),
      h("thead", {}, h("tr", {}, sortHeads(columns, (compare) => draw([...rows].sort(compare))))),
      body,
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
