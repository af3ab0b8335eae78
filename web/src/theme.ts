// Light or dark: the system's choice until the reader makes one; the choice is kept where the browser allows it.
import { h } from "./dom";

const kKey = "flywheel-theme";

function stored(): string | null {
  try {
    return localStorage.getItem(kKey);
  } catch {
    return null;
  }
}

const systemIsDark = (): boolean => window.matchMedia("(prefers-color-scheme: dark)").matches;

export function applyStoredTheme(): void {
  const asked = new URLSearchParams(location.hash.slice(1)).get("theme") ?? stored();
  if (asked === "light" || asked === "dark") document.documentElement.dataset["theme"] = asked;
}

export function themeToggle(): HTMLElement {
  const isDark = (): boolean => (document.documentElement.dataset["theme"] ?? (systemIsDark() ? "dark" : "light")) === "dark";
  const button = h("button", { type: "button", class: "theme" });
  const name = (): void => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
  };
  button.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    document.documentElement.dataset["theme"] = next;
    try {
      localStorage.setItem(kKey, next);
    } catch {
      // Kept for this visit only.
    }
    name();
  });
  name();
  return button;
}
