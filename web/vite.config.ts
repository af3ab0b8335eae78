// Builds report.html with its script and style inside: one file that opens without a server or a network.
import { defineConfig, type Plugin } from "vite";

function inlineEverything(): Plugin {
  return {
    name: "inline-everything",
    enforce: "post",
    generateBundle(_options, bundle) {
      const page = bundle["report.html"];
      if (page?.type !== "asset") throw new Error("report.html is missing from the bundle");
      let script = "";
      let style = "";
      for (const [name, file] of Object.entries(bundle)) {
        if (file === page) continue;
        if (file.type === "chunk") script += file.code;
        else if (name.endsWith(".css")) style += String(file.source);
        else throw new Error(`${name} cannot be put into the page`);
        delete bundle[name];
      }
      // The only spots where script text could end its own element or hide what follows.
      script = script.replace(/<\/(script)/gi, "<\\/$1").replace(/<!--/g, "<\\!--");
      page.source = String(page.source)
        .replace(/<script type="module"[^>]*><\/script>\s*/g, "")
        .replace(/<link rel="(stylesheet|modulepreload)"[^>]*>\s*/g, "")
        .replace("</head>", () => `<style>${style.trim()}</style>\n</head>`)
        .replace("</body>", () => `<script>${script.trim()}</script>\n</body>`)
        .replace(/\r/g, "");
    },
  };
}

export default defineConfig({
  plugins: [inlineEverything()],
  build: {
    target: "es2021",
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 1 << 20,
    chunkSizeWarningLimit: 2000,
    rollupOptions: { input: "report.html", output: { format: "iife", inlineDynamicImports: true } },
  },
});
