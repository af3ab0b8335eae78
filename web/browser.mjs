// A page in headless Chromium, for tests of its layout and for pictures of it. Chromium is spoken to over two pipes
// (its DevTools protocol), so that nothing has to be installed beside it.
//   node browser.mjs PAGE.html PICTURE.png [WIDTH [light|dark]]   the whole page as a picture
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const kNames = [process.env.CHROMIUM, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

// The program's name; null where there is none.
export function findBrowser() {
  return kNames.find((name) => name && spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0) ?? null;
}

export async function openBrowser(program) {
  const profile = mkdtempSync(join(tmpdir(), "flywheel-browser-"));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe", `--user-data-dir=${profile}`];
  const child = spawn(program, [...flags, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const [write, read] = [child.stdio[3], child.stdio[4]];
  const waiting = new Map();
  const listeners = new Set();
  let last = 0;
  let rest = "";
  const ended = new Promise((done) => child.once("exit", done));
  ended.then(() => waiting.forEach(({ reject }) => reject(new Error(`${program} ended`))));
  read.setEncoding("utf8");
  read.on("data", (text) => {
    const messages = (rest + text).split("\0");
    rest = messages.pop();
    for (const message of messages.map((one) => JSON.parse(one))) {
      if (message.id === undefined) for (const listener of listeners) listener(message);
      const call = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) call?.reject(new Error(message.error.message));
      else call?.resolve(message.result);
    }
  });
  const send = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      write.write(JSON.stringify({ id: last, method, params, sessionId }) + "\0");
    });
  const event = (name, sessionId) =>
    new Promise((resolve) => {
      const listener = (message) => {
        if (message.method !== name || message.sessionId !== sessionId) return;
        listeners.delete(listener);
        resolve(message.params);
      };
      listeners.add(listener);
    });
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  await send("Page.enable", {}, sessionId);
  await send("Runtime.enable", {}, sessionId);

  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true }, sessionId);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  return {
    evaluate,
    // `width` CSS pixels; the page has drawn its charts when this is done.
    async open(file, width, theme = "light") {
      await send("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: false }, sessionId);
      const loaded = event("Page.loadEventFired", sessionId);
      // Another query for every page: only the fragment differing would be no navigation.
      await send("Page.navigate", { url: `${pathToFileURL(resolve(file))}?${++last}#theme=${theme}` }, sessionId);
      await loaded;
      await evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))");
    },
    async picture(file, clip = undefined) {
      const [width, height] = await evaluate("[document.documentElement.clientWidth, document.documentElement.scrollHeight]");
      const area = clip ?? { x: 0, y: 0, width, height };
      const { data } = await send("Page.captureScreenshot", { captureBeyondViewport: true, clip: { ...area, scale: 1 } }, sessionId);
      writeFileSync(file, Buffer.from(data, "base64"));
    },
    async close() {
      child.kill();
      await ended;
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [page, picture, width = "1280", theme = "light"] = process.argv.slice(2);
  const program = findBrowser();
  if (picture === undefined || program === null) {
    console.error(program === null ? "no Chromium found: install chromium, or name one in CHROMIUM" : "usage: node browser.mjs PAGE.html PICTURE.png [WIDTH [light|dark]]");
    process.exit(2);
  }
  const browser = await openBrowser(program);
  await browser.open(page, Number(width), theme);
  await browser.picture(picture);
  await browser.close();
}
