// Builds one page, named by the mode, with its script and style inside: a file that opens without a server or a network.
import { defineConfig, type Plugin } from "vite";

function inlineEverything(name: string): Plugin {
  return {
    name: "inline-everything",
    enforce: "post",
    generateBundle(_options, bundle) {
      const page = bundle[name];
      if (page?.type !== "asset") throw new Error(`${name} is missing from the bundle`);
      let script = "";
      let style = "";
      for (const [other, file] of Object.entries(bundle)) {
        if (file === page) continue;
        if (file.type === "chunk") script += file.code;
        else if (other.endsWith(".css")) style += String(file.source);
        else throw new Error(`${other} cannot be put into the page`);
        delete bundle[other];
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

export default defineConfig(({ mode }) => ({
  plugins: [inlineEverything(`${mode}.html`)],
  build: {
    target: "es2021",
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 1 << 20,
    chunkSizeWarningLimit: 2000,
    rollupOptions: { input: `${mode}.html`, output: { format: "iife", inlineDynamicImports: true } },
  },
}));
