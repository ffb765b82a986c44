// A token's colour as a canvas understands it: resolved for the theme.
export function token(host: HTMLElement, name: string): string {
  const was = host.style.color;
  host.style.color = `var(${name})`;
  const found = getComputedStyle(host).color;
  host.style.color = was;
  return found;
}
