// What is wrong with a page's layout: numbers and names broken, labels cut or covered, axes that do not tell values apart.
//   node faults.mjs PAGE.html    lists them at the widths of phones and of wide screens
import { fileURLToPath } from "node:url";
import { findBrowser, openBrowser } from "./browser.mjs";

export const kWidths = [400, 800, 1280, 1920];

// Runs in the page. Lines of its tables, its charts' labels and its width, as far as they are wrong.
function faults() {
  const found = [];
  const visible = (element) => element.getClientRects().length > 0;
  const linesOf = (range) => new Set([...range.getClientRects()].filter((box) => box.width > 0).map((box) => Math.round(box.top / 4))).size;
  for (const cell of document.querySelectorAll("td")) {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      const range = document.createRange();
      range.selectNodeContents(node);
      if (cell.classList.contains("number") && linesOf(range) > 1) found.push(`number on several lines: ${node.data}`);
      for (const word of node.data.matchAll(/[\p{L}\p{N}_.=+−]+/gu)) {
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        // A word of more than forty letters may be broken: it is wider than a column may be.
        if (word[0].length <= 40 && linesOf(range) > 1) found.push(`broken in the middle: ${word[0]}`);
      }
    }
  }
  const overlaps = (a, b) => a.left < b.right - 0.5 && b.left < a.right - 0.5 && a.top < b.bottom - 0.5 && b.top < a.bottom - 0.5;
  for (const chart of document.querySelectorAll(".chart svg")) {
    if (!visible(chart)) continue;
    const where = `${chart.getAttribute("aria-label") ?? "a chart"}: `;
    for (const axis of chart.querySelectorAll('[aria-label="x-axis tick label"], [aria-label="y-axis tick label"], [aria-label="text"]')) {
      const labels = [...axis.querySelectorAll("text")].filter((text) => text.textContent !== "");
      const boxes = labels.map((text) => text.getBoundingClientRect());
      for (let i = 0; i < labels.length; i++) {
        if (boxes[i].left < chart.getBoundingClientRect().left - 8 || boxes[i].right > innerWidth) found.push(`${where}cut at the side of the screen: ${labels[i].textContent}`);
        for (let j = 0; j < i; j++) if (overlaps(boxes[i], boxes[j])) found.push(`${where}one over the other: ${labels[j].textContent}, ${labels[i].textContent}`);
      }
      const names = labels.map((text) => text.textContent);
      if (axis.getAttribute("aria-label") !== "text" && new Set(names).size < names.length) found.push(`${where}the same label twice: ${names}`);
      if (axis.getAttribute("aria-label") === "x-axis tick label" && names.length < 2) found.push(`${where}an axis with ${names.length} labels`);
    }
  }
  for (const chart of document.querySelectorAll(".chart"))
    if (visible(chart) && chart.querySelector("svg") === null) found.push(`an empty chart: ${chart.className}`);
  if (document.documentElement.scrollWidth > innerWidth) found.push(`the page is ${document.documentElement.scrollWidth} wide on a screen of ${innerWidth}`);
  return [...new Set(found)];
}

export async function faultsOf(browser, file, width, theme = "light") {
  await browser.open(file, width, theme);
  await browser.evaluate('document.querySelectorAll("details").forEach((part) => (part.open = true))');
  return browser.evaluate(`(${faults})()`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const program = findBrowser();
  if (process.argv[2] === undefined || program === null) {
    console.error(program === null ? "no Chromium found: install chromium, or name one in CHROMIUM" : "usage: node faults.mjs PAGE.html");
    process.exit(2);
  }
  const browser = await openBrowser(program);
  for (const width of kWidths) {
    const found = await faultsOf(browser, process.argv[2], width);
    console.log(`${width} pixels: ${found.length} faults`);
    for (const fault of found) console.log(`  ${fault}`);
  }
  await browser.close();
}
