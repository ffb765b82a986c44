// Bytes as people read them: offsets, hexadecimal, ASCII, and what the chosen ones are as numbers.
import { useMemo, useRef, useState } from "preact/hooks";
import { ascii, numbers, rows, toHex } from "../core/bytes";
import { t } from "../texts";
import { Copy } from "./basic";

const MOST = 4096;

export function Hex({ bytes, narrow }: { bytes: Uint8Array<ArrayBuffer>; narrow?: boolean }) {
  const [at, choose] = useState(0);
  const [all, showAll] = useState(false);
  const grid = useRef<HTMLDivElement>(null);
  const width = narrow || innerWidth <= 640 ? 8 : 16;
  const shown = useMemo(() => rows(all ? bytes : bytes.subarray(0, MOST), width), [bytes, all, width]);
  if (!bytes.length) return <p class="dim">{t("bytes.none")}</p>;
  const here = Math.min(at, bytes.length - 1);
  const move = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const next = Math.min(bytes.length - 1, Math.max(0, here + by));
    choose(next);
    grid.current?.querySelector<HTMLElement>(`[data-at="${next}"]`)?.scrollIntoView({ block: "nearest" });
  };
  return (
    <div class="hex">
      <div
        class="hex-rows"
        ref={grid}
        tabIndex={0}
        role="application"
        aria-label={t("bytes.label", { n: bytes.length })}
        aria-roledescription={t("bytes.viewer")}
        onKeyDown={move}
        onClick={(event) => {
          const place = (event.target as Element).closest<HTMLElement>("[data-at]");
          if (place) choose(Number(place.dataset.at));
        }}
      >
        <div class="hex-row ruler" aria-hidden="true">
          <span class="offset" />
          <span class="cells">
            {Array.from({ length: width }, (_, i) => (
              <b key={i}>{i.toString(16).padStart(2, "0")}</b>
            ))}
          </span>
        </div>
        {shown.map((row) => (
          <div class="hex-row" key={row.offset}>
            <span class="offset">{row.offset.toString(16).padStart(4, "0")}</span>
            <span class="cells">
              {row.bytes.map((byte, i) => (
                <b key={i} data-at={row.offset + i} class={row.offset + i === here ? "on" : ""}>
                  {byte.toString(16).padStart(2, "0")}
                </b>
              ))}
            </span>
            <span class="ascii">
              {row.bytes.map((byte, i) => (
                <b key={i} data-at={row.offset + i} class={row.offset + i === here ? "on" : byte < 0x20 || byte > 0x7e ? "dim" : ""}>
                  {ascii(byte)}
                </b>
              ))}
            </span>
          </div>
        ))}
        {!all && bytes.length > MOST && (
          <button type="button" class="link" onClick={() => showAll(true)}>
            {t("bytes.more", { n: bytes.length - MOST })}
          </button>
        )}
      </div>
      <div class="inspector" aria-live="polite">
        <header>
          {t("bytes.at", { at: `${here} (0x${here.toString(16)})` })}
          <Copy text={toHex(bytes)} label={t("bytes.copy")} />
        </header>
        <table>
          <thead>
            <tr>
              <td />
              <th scope="col">{t("bytes.big")}</th>
              <th scope="col">{t("bytes.little")}</th>
            </tr>
          </thead>
          <tbody>
            {numbers(bytes, here).map((each) => (
              <tr key={each.as}>
                <th scope="row">{each.as}</th>
                <td>{each.big}</td>
                <td>{each.little}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
