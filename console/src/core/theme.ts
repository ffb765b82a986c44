// Light, dark, or as the system has it.
import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEPT = "iotgw.theme";

export const theme = signal<Theme>((localStorage.getItem(KEPT) as Theme | null) ?? "system");

// Whether the system is dark now.
const dark = matchMedia("(prefers-color-scheme: dark)");
export const night = signal(dark.matches);
dark.addEventListener("change", () => (night.value = dark.matches));

export function setTheme(wanted: Theme): void {
  localStorage.setItem(KEPT, wanted);
  theme.value = wanted;
  apply();
}

export function apply(): void {
  if (theme.peek() === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.peek();
}
