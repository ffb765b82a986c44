// Icons, drawn on a grid of 16.
const PATHS = {
  check: "M3 8.5l3.2 3L13 4.5",
  balanced: "M8 2a6 6 0 100 12A6 6 0 008 2zM5.4 8.2l1.9 1.9 3.4-4",
  cross: "M4 4l8 8M12 4l-8 8",
  clock: "M8 2a6 6 0 100 12A6 6 0 008 2zM8 5v3.2l2 1.5",
  dot: "M8 6.5a1.5 1.5 0 100 3 1.5 1.5 0 000-3z",
  warn: "M8 2.2l6.3 11.3H1.7zM8 6.5v3.2M8 11.6v.2",
  info: "M8 2a6 6 0 100 12A6 6 0 008 2zM8 7.2v3.6M8 5v.2",
  quiet: "M2 8h3l1.5-4 3 8L11 8h3",
  copy: "M6 6h7.5v7.5H6zM10 6V2.5H2.5V10H6",
  left: "M10 3L5 8l5 5",
  right: "M6 3l5 5-5 5",
  menu: "M2.5 4h11M2.5 8h11M2.5 12h11",
  search: "M7 2.5a4.5 4.5 0 100 9 4.5 4.5 0 000-9zM10.3 10.3L14 14",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3.2l7.5 4.8L5 12.8z",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  whole: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  overview: "M2.5 3.5h4v4h-4zM9.5 3.5h4v4h-4zM2.5 10h11v3h-11z",
  messages: "M2.5 3.5h11v8h-6L4.5 14v-2.5h-2z",
  failures: "M8 2.2l6.3 11.3H1.7zM8 6.5v3.2M8 11.6v.2",
  events: "M3 3v10h10M5.5 10l2.5-3 2 1.5L13 5",
  devices: "M5 2.5h6v11H5zM7 11.5h2",
  downlinks: "M8 2.5v8M4.8 7.5L8 10.7l3.2-3.2M3 13.5h10",
  credentials: "M5.5 7a3 3 0 105.5 1.7L14 8V6.5h-1.5L11 5a3 3 0 00-5.5 2zM2.5 13l3.2-3.2",
  datasources: "M2.5 8h7M7 5l3 3-3 3M10 2.5h3.5v11H10",
  converters: "M5.5 4.5L2 8l3.5 3.5M10.5 4.5L14 8l-3.5 3.5M9 3L7 13",
  integrations: "M6 2.5H2.5v11H6M6.5 8h7M10.5 5l3 3-3 3",
  usage: "M3 13V8M6.5 13V4M10 13V6.5M13.5 13V10",
  tokens: "M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 015 0v2.5",
  settings: "M8 5.5a2.5 2.5 0 100 5 2.5 2.5 0 000-5zM8 2v1.7M8 12.3V14M2 8h1.7M12.3 8H14M3.8 3.8L5 5M11 11l1.2 1.2M12.2 3.8L11 5M5 11l-1.2 1.2",
  down: "M3 6l5 5 5-5",
  up: "M8 13.5v-8M4.8 8.5L8 5.3l3.2 3.2M3 2.5h10",
  out: "M6 2.5H2.5v11H6M6 8h7.5M10.5 5l3 3-3 3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
