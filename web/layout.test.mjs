// The pages as a browser lays them out, at the widths of phones and of wide screens: nothing is cut, broken or drawn over
// something else. Needs Chromium; test.mjs builds the pages it opens.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { findBrowser, openBrowser } from "./browser.mjs";
import { faultsOf, kWidths } from "./faults.mjs";

const program = findBrowser();
const skip = program === null && "no Chromium found: install chromium, or name one in CHROMIUM";
const browser = program === null ? null : await openBrowser(program);
after(() => browser?.close());

const page = (name) => `.test/pages/${name}.html`;
const texts = (selector) => browser.evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((element) => element.textContent)`);

for (const name of ["example", "hostile", "empty", "old", "comparison"])
  test(`report of ${name} campaign: no number or name broken, no label cut or covered, at every width`, { skip }, async () => {
    for (const width of kWidths) {
      assert.deepEqual(await faultsOf(browser, page(name), width, width === 800 ? "dark" : "light"), [], `at a width of ${width}`);
    }
  });

test("labels tell 6.5e10 from 6e10 and 1.3e10 from 1e10", { skip }, async () => {
  await browser.open(page("example"), 1280);
  assert.deepEqual((await texts("#loss .legend li")).slice(0, 2), ["1.3×10¹⁰ FLOPs", "6.5×10¹⁰ FLOPs"]);
  const rungs = ["1.3×10¹⁰", "6.5×10¹⁰", "2×10¹¹", "6×10¹¹", "2×10¹²", "6×10¹²"];
  assert.deepEqual(await texts('#isoflop [aria-label="text"] text'), rungs);
  assert.deepEqual(await texts("#isoflop td:first-child"), rungs);
});

test("bars are as long as their values, at every width", { skip }, async () => {
  for (const width of kWidths) {
    await browser.open(page("example"), width);
    const [longest, other] = await browser.evaluate('[...document.querySelectorAll("#noise .bar")].map((bar) => bar.getBoundingClientRect().width)');
    assert.ok(Math.abs(other / longest - 0.0061 / 0.0098) < 0.02, `${other} of ${longest} at a width of ${width}`);
  }
  assert.ok((await texts("#noise td")).includes("0.0064 to 0.0233"), "the interval of a noise floor");
});

test("a comparison says what it compared, what it took and which runs were not made", { skip }, async () => {
  await browser.open(page("comparison"), 1280);
  assert.ok((await texts("#comparison td")).includes("model.value_residual: false → true"));
  assert.match((await texts("#spend .lede"))[0], /^53 s by the clock/);
  assert.deepEqual(await texts("#runs .count"), ["12 of 12 runs: 10 done, 2 planned"]);
  assert.equal((await texts("#provenance details")).length, 2);
  assert.doesNotMatch((await texts("main"))[0], /machine not measured|Not measured: (the total|how busy)/);
});

test("± is half of the 90% interval over documents, said once in words, and a report without it has none", { skip }, async () => {
  const shown = () => browser.evaluate('[...document.querySelectorAll(".tiles dd, #noise td")].map((element) => element.textContent).filter((text) => text.includes("±"))');
  await browser.open(page("example"), 1280);
  const all = (await shown()).join("; ");
  for (const half of ["± 0.007", "± 0.010", "± 0.0067"]) assert.ok(all.includes(half), `${half} in ${all}`);
  assert.equal(all.split("90%, over documents").length - 1, 1);
  await browser.open(page("old"), 1280);
  assert.deepEqual(await shown(), []);
});

test("learning curves are lines of more than ten points", { skip }, async () => {
  await browser.open(page("example"), 1280);
  const points = await browser.evaluate('[...document.querySelectorAll("#curves [aria-label=line] path")].map((path) => path.getAttribute("d").split(/[ML]/).length - 1)');
  assert.ok(points.length > 20, `${points.length} lines`);
  assert.ok(points.every((count) => count > 10), `${points}`);
});

test("a table sorts by the column whose head is pressed, and what is unknown stays last", { skip }, async () => {
  await browser.open(page("example"), 1280);
  const order = (column) => browser.evaluate(`[...document.querySelectorAll("#costs tbody tr")].map((row) => row.cells[${column}].textContent)`);
  const press = (column) => browser.evaluate(`document.querySelectorAll("#costs th")[${column}].querySelector("button").click()`);
  await press(3);
  assert.deepEqual(await order(3), ["2.3090", "2.4130", "2.4310"]);
  await press(3);
  assert.deepEqual(await order(3), ["2.4310", "2.4130", "2.3090"]);
  assert.equal(await browser.evaluate('document.querySelectorAll("#costs tr.front").length'), 2);
});

test("a change that was only screened is not called rejected", { skip }, async () => {
  await browser.open(page("example"), 1280);
  const became = await browser.evaluate('[...document.querySelectorAll("#findings [aria-label=Proposals] tbody tr")].map((row) => [row.cells[0].textContent, row.cells[2].textContent])');
  // A change is shown with the name that its list gives it before it.
  const of = (change) => became.find(([text]) => text === change || text.endsWith(`: ${change}`))?.[1];
  assert.equal(of("model.norm_placement=sandwich"), "not tested");
  assert.equal(of("schedule.decay_fraction=0.25, optimizer.weight_decay=0.05"), "rejected");
});
